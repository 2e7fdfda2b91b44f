// What the view of the share says beside its files: the folders that are shared in place, those that are not there, and
// what is left out. Fetched when there is something to show.

import { useSignal } from "@preact/signals";
import { api } from "../api";
import { t } from "../i18n";
import { ts, type ShareKey } from "../i18n/share";
import { status } from "../state/store";
import { askToConfirm, capital, notify, sentence } from "../state/ui";
import type { SharedFolder } from "../types";
import { Button, Field } from "./bits";
import { Icon } from "./icons";

/** Stops sharing a folder, after asking. */
export function stopSharing(one: SharedFolder, then: () => void): void {
  askToConfirm({
    title: ts("folders.remove.title", { name: one.name }),
    text: ts("folders.remove.text", { folder: one.folder }),
    label: ts("folders.remove"),
    run: async () => {
      await api.removeShareFolder(one.name);
      notify("info", ts("folders.removed", { name: one.name }));
      then();
    },
  });
}

/** How many files and folders are not offered, and why. */
export function LeftOut() {
  const left = status.value?.share.left_out ?? [];
  const count = left.reduce((sum, one) => sum + one.count, 0);
  if (count === 0) return null;
  return (
    <details class="left-out">
      <summary>{ts("left.count", { n: count })}</summary>
      <ul>
        {left.map((one) => (
          <li key={one.reason}>
            {ts(`left.${one.reason}` as ShareKey, { n: one.count })}
            <ul class="muted">
              {one.first.map((name) => (
                <li key={name}>{name}</li>
              ))}
              {one.count > one.first.length && <li>…</li>}
            </ul>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** The folders that are shared besides the main one, and how another is. */
export function SharedFolders({ onChange }: { onChange: () => void }) {
  const adding = useSignal(false);
  const share = status.value?.share;
  if (!share) return null;
  return (
    <section class="panel shared-folders" aria-labelledby="folders-title">
      <div class="row">
        <h2 id="folders-title">{ts("folders.title")}</h2>
        {!adding.value && (
          <Button icon="plus" kind="quiet" label={ts("folders.add")} onClick={() => (adding.value = true)} />
        )}
      </div>
      {share.folders.length > 0 && (
        <ul>
          {share.folders.map((one) => (
            <li key={one.name}>
              <Icon name="folder" size={18} />
              <span class="shared-name">
                {one.name}
                {one.missing && <span class="bad"> · {ts("folders.missing")}</span>}
                <span class="muted shared-path">{one.folder}</span>
              </span>
              <Button
                kind="quiet"
                icon="close"
                iconOnly
                label={ts("folders.remove.of", { name: one.name })}
                onClick={() => stopSharing(one, onChange)}
              />
            </li>
          ))}
        </ul>
      )}
      {adding.value && (
        <AddFolder
          onDone={() => {
            adding.value = false;
            onChange();
          }}
          onCancel={() => (adding.value = false)}
        />
      )}
    </section>
  );
}

function AddFolder({ onDone, onCancel }: { onDone: () => void; onCancel: () => void }) {
  const folder = useSignal("");
  const name = useSignal("");
  const error = useSignal<string | undefined>(undefined);
  const busy = useSignal(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy.value || folder.value.trim() === "") return;
    busy.value = true;
    error.value = undefined;
    try {
      const typed = name.value.trim();
      const added = await api.addShareFolder({
        folder: folder.value.trim(),
        ...(typed === "" ? {} : { name: typed }),
      });
      notify("good", ts("folders.added", { name: added.name }));
      onDone();
    } catch (reason) {
      error.value = capital(sentence(reason));
      busy.value = false;
    }
  };
  return (
    <form class="add-folder" onSubmit={(event) => void submit(event)} noValidate>
      <Field label={ts("folders.path")} help={ts("folders.path.help")} error={error.value}>
        {(attributes) => (
          <input
            {...attributes}
            type="text"
            spellcheck={false}
            autocomplete="off"
            autofocus
            placeholder="/home/anna/Photos"
            value={folder.value}
            onInput={(event) => (folder.value = event.currentTarget.value)}
          />
        )}
      </Field>
      <Field label={ts("folders.name")} help={ts("folders.name.help")}>
        {(attributes) => (
          <input
            {...attributes}
            type="text"
            spellcheck={false}
            autocomplete="off"
            value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
          />
        )}
      </Field>
      <div class="row end">
        <Button label={t("cancel.dialog")} onClick={onCancel} />
        <Button
          type="submit"
          kind="primary"
          label={ts("folders.share")}
          busy={busy.value}
          disabled={folder.value.trim() === ""}
        />
      </div>
    </form>
  );
}
