// What was kept of cancelled downloads: the line that leads to it, and the list. The server sends no events about it; an
// order that goes on with it, or another cancelled download, changes the list of downloads.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, api } from "../api";
import { ago, bytes } from "../format";
import { t } from "../i18n";
import { to } from "../i18n/orders";
import { downloads } from "../state/store";
import { askToConfirm, href, notify, sentence } from "../state/ui";
import type { Kept } from "../types";
import { Button, Empty, Failed, Loading } from "./bits";
import { Icon, fileIcon } from "./icons";

const kept = signal<Kept[] | null>(null);
const error = signal<string | null>(null);

let loading = false;
let again = false;

/** Asks for the list, one request at a time. */
async function load(): Promise<void> {
  again = true;
  if (loading) return;
  loading = true;
  while (again) {
    again = false;
    try {
      kept.value = await api.kept();
      error.value = null;
    } catch (reason) {
      error.value = sentence(reason);
    }
  }
  loading = false;
}

/** The list as it is now. */
function useKept(): Kept[] | null {
  useEffect(() => void load(), [downloads.ids.value]);
  return kept.value;
}

const sizeOf = (list: Kept[]): string => bytes(list.reduce((sum, one) => sum + one.done_bytes, 0));

/** Leads to the list where there is something in it. */
export function KeptLine() {
  const list = useKept() ?? [];
  if (list.length === 0) return null;
  return (
    <p class="kept-line">
      <a href={href("downloads", "kept")}>{to("kept.line", { n: list.length, size: sizeOf(list) })}</a>
    </p>
  );
}

export function KeptView() {
  const list = useKept();
  return (
    <section class="view" aria-labelledby="view-title">
      <div class="view-head">
        <a class="button quiet icon-only" href={href("downloads")} aria-label={t("back")} title={t("back")}>
          <Icon name="back" size={18} />
        </a>
        <h1 id="view-title">{to("kept.title")}</h1>
        {list !== null && list.length > 0 && (
          <div class="row end">
            <Button icon="trash" label={to("kept.remove.all")} onClick={() => removeAll(list)} />
          </div>
        )}
      </div>
      {error.value !== null ? (
        <Failed text={error.value} retry={() => void load()} />
      ) : list === null ? (
        <Loading />
      ) : list.length === 0 ? (
        <Empty icon="archive" title={to("kept.none")}>
          {to("kept.none.text")}
        </Empty>
      ) : (
        <>
          <p class="muted">{to("kept.text")}</p>
          <ul class="kept" aria-label={to("kept.title")}>
            {list.map((one) => (
              <KeptRow key={one.id} one={one} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function KeptRow({ one }: { one: Kept }) {
  const { name, path, done_bytes: done, size } = one;
  const facts = [
    size === null ? bytes(done) : to("kept.of", { done: bytes(done), size: bytes(size) }),
    ...(one.kept_at === null ? [] : [to("kept.age", { when: ago(one.kept_at) })]),
    ...(path === name ? [] : [path]),
  ];
  return (
    <li data-kept={one.id}>
      <Icon name={one.folder ? "folder" : fileIcon(name, null)} size={24} />
      <span class="kept-main">
        <bdi>{name}</bdi>
        <span class="muted">{facts.join(" · ")}</span>
      </span>
      <Button
        icon="trash"
        kind="quiet"
        iconOnly
        label={to("kept.remove.of", { name })}
        onClick={() =>
          askToConfirm({
            title: to("kept.remove.title", { name }),
            text: to("kept.remove.text", { size: bytes(done) }),
            label: t("remove"),
            run: async () => {
              await remove([one]);
              notify("info", to("kept.removed", { name }));
            },
          })
        }
      />
    </li>
  );
}

function removeAll(list: Kept[]): void {
  const n = list.length;
  askToConfirm({
    title: to("kept.remove.all.title", { n }),
    text: to("kept.remove.all.text", { size: sizeOf(list) }),
    label: to("kept.remove.all"),
    run: async () => {
      await remove(list);
      notify("info", to("kept.removed.many", { n }));
    },
  });
}

/** Removes these and shows what is left, however far it came. */
async function remove(list: Kept[]): Promise<void> {
  try {
    for (const one of list) {
      await api.removeKept(one.id).catch((reason: unknown) => {
        // It was removed elsewhere, or an order goes on with it.
        if (!(reason instanceof ApiError && reason.status === 404)) throw reason;
      });
    }
  } finally {
    await load();
  }
}
