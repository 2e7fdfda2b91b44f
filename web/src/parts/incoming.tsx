// What others want to give to this host: the dialog that asks, and the list of what came.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { api } from "../api";
import { ago, amount, bytes, duration, percent } from "../format";
import { type Key, t } from "../i18n";
import { openNextOffer, wasAccepted } from "../state/offers";
import { incoming } from "../state/store";
import { attempt, dialog, sentence } from "../state/ui";
import type { Incoming, IncomingFile } from "../types";
import { Button, Empty, Modal, Progress } from "./bits";
import { PairedMark } from "./hostname";
import { Icon, fileIcon } from "./icons";
import { hosts } from "../state/store";
import { useSecond } from "./second";

/** How long an offer waits for an answer, milliseconds. */
const ASK_MS = 60_000;

/** How many, and how much: as far as the sender knows. */
const extent = (one: Incoming): string => amount(one.files_total, one.size);

function Sender({ one }: { one: Incoming }) {
  return (
    <p class="breakable">
      <strong>
        <bdi>{one.from.name}</bdi>
      </strong>{" "}
      <PairedMark host={one.from.host === null ? undefined : hosts.get(one.from.host)} />
      <span class="muted">
        {" "}
        {t(`incoming.kind.${one.from.kind}` as Key)} · {one.from.address}
      </span>
    </p>
  );
}

function FileLine({ file, end }: { file: IncomingFile; end?: preact.ComponentChildren }) {
  return (
    <>
      <Icon name={file.folder ? "folder" : fileIcon(file.name, file.type)} size={18} />
      <bdi class="breakable">{file.name}</bdi>
      <span class="muted">
        {end ??
          [file.folder ? t("incoming.folder") : "", file.size === null ? "" : bytes(file.size)]
            .filter(Boolean)
            .join(" · ")}
      </span>
    </>
  );
}

/** Asks whether files are wanted, and which. */
export function IncomingDialog({ id, onClose }: { id: number; onClose: () => void }) {
  const one = incoming.get(id);
  const dropped = useSignal<ReadonlySet<string>>(new Set());
  const to = useSignal("");
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const asking = one?.state === "asking";
  const now = useSecond(asking);
  useEffect(() => {
    // Another person, another page or the time has answered: there is nothing to ask any more.
    if (one && !asking && !busy.peek()) onClose();
  }, [one, asking]);
  if (!one) {
    return (
      <Modal title={t("incoming.title")} onClose={onClose}>
        <Empty icon="downloads" title={t("incoming.gone")} />
      </Modal>
    );
  }
  const answer = async (work: () => Promise<Incoming>): Promise<void> => {
    busy.value = true;
    error.value = null;
    try {
      const answered = await work();
      incoming.put(answered);
      if (answered.state !== "declined") wasAccepted(answered);
      onClose();
      openNextOffer();
    } catch (reason) {
      error.value = sentence(reason);
    }
    busy.value = false;
  };
  const accept = (): Promise<void> =>
    answer(async () => {
      const all = dropped.peek().size === 0;
      const files = all ? [] : (one.files_total > one.files.length ? await api.incomingOne(id) : one).files;
      return api.acceptIncoming(id, {
        ...(all ? {} : { files: files.map((file) => file.id).filter((name) => !dropped.peek().has(name)) }),
        ...(to.peek().trim() === "" ? {} : { to: to.peek().trim() }),
      });
    });
  const choose = (file: IncomingFile, wanted: boolean): void => {
    const next = new Set(dropped.peek());
    if (wanted) next.delete(file.id);
    else next.add(file.id);
    dropped.value = next;
  };
  const left = Math.max(0, Math.ceil((new Date(one.created_at).getTime() + ASK_MS - now) / 1000));
  return (
    <Modal title={t("incoming.title")} onClose={onClose}>
      <Sender one={one} />
      <p>{t("incoming.text", { what: extent(one) })}</p>
      <ul class="incoming-files">
        {one.files.map((file) => (
          <li key={file.id}>
            <label>
              {one.files.length > 1 && (
                <input
                  type="checkbox"
                  checked={!dropped.value.has(file.id)}
                  onChange={(event) => choose(file, event.currentTarget.checked)}
                />
              )}
              <FileLine file={file} />
            </label>
            {file.picture && (
              <img
                class="incoming-picture"
                src={file.picture}
                alt={t("incoming.picture", { name: file.name })}
              />
            )}
            {file.preview !== null && file.preview !== undefined && (
              <blockquote class="incoming-preview" tabIndex={0}>
                <bdi>{file.preview}</bdi>
              </blockquote>
            )}
          </li>
        ))}
      </ul>
      {one.files_total > one.files.length && (
        <p class="muted small">{t("incoming.more", { n: one.files_total - one.files.length })}</p>
      )}
      <details class="small">
        <summary>{t("incoming.where")}</summary>
        <input
          type="text"
          aria-label={t("incoming.to")}
          placeholder={`Received/${one.from.name}`}
          value={to.value}
          onInput={(event) => (to.value = event.currentTarget.value)}
        />
      </details>
      {error.value && (
        <p class="bad" role="alert">
          {error.value}
        </p>
      )}
      <p class="muted small">{t("incoming.left", { time: duration(left) })}</p>
      <div class="row end wrap">
        <Button
          label={t("incoming.decline")}
          busy={busy.value}
          onClick={() => void answer(() => api.declineIncoming(id))}
        />
        <Button
          label={t("incoming.accept")}
          kind="primary"
          busy={busy.value}
          disabled={dropped.value.size === one.files.length && one.files_total === one.files.length}
          onClick={() => void accept()}
        />
      </div>
    </Modal>
  );
}

// ---- what came ----

const SHOWN = 5;

/** What is on its way, and what came last. */
export function IncomingList() {
  const all = useSignal(false);
  const list = incoming.all().sort((a, b) => b.id - a.id);
  const open = list.filter((one) => one.finished_at === null);
  const over = list.filter((one) => one.finished_at !== null);
  const shown = [...open, ...(all.value ? over : over.slice(0, Math.max(0, SHOWN - open.length)))];
  if (list.length === 0) return null;
  return (
    <section class="panel incoming" aria-labelledby="incoming-title">
      <h2 id="incoming-title">{t("incoming.list")}</h2>
      <ul>
        {shown.map((one) => (
          <Row key={one.id} one={one} />
        ))}
      </ul>
      {over.length + open.length > shown.length && (
        <button type="button" class="link" onClick={() => (all.value = true)}>
          {t("incoming.all", { n: list.length })}
        </button>
      )}
    </section>
  );
}

function Row({ one }: { one: Incoming }) {
  const open = useSignal(false);
  const done = useMemo(() => one.files.filter((file) => file.done), [one]);
  const receiving = one.state === "receiving";
  return (
    <li>
      <div class="incoming-row">
        <span class="incoming-what">
          <strong>
            <bdi>{one.from.name}</bdi>
          </strong>{" "}
          <span class="muted">
            {extent(one)} · {t(`incoming.${one.state}` as Key)}
            {receiving && one.size > 0 && ` · ${percent(one.done_bytes, one.size)}`}
            {one.finished_at !== null && ` · ${ago(one.finished_at)}`}
          </span>
          {one.folder && done.length > 0 && <span class="muted small breakable"> {one.folder}</span>}
          {one.reason && <span class="muted small breakable"> {one.reason}</span>}
        </span>
        {one.state === "asking" && (
          <Button
            label={t("incoming.answer")}
            kind="primary"
            onClick={() => (dialog.value = { kind: "incoming", id: one.id })}
          />
        )}
        {receiving && (
          <Button label={t("cancel.dialog")} onClick={() => void attempt(() => api.cancelIncoming(one.id))} />
        )}
        {done.length > 0 && (
          <Button
            label={t(open.value ? "incoming.hide" : "incoming.show")}
            kind="quiet"
            onClick={() => (open.value = !open.value)}
          />
        )}
      </div>
      {receiving && (
        <Progress value={one.size > 0 ? one.done_bytes / one.size : null} label={t("incoming.receiving")} />
      )}
      {open.value && (
        <ul class="incoming-files">
          {done.map((file) => (
            <li key={file.id}>
              <a
                href={api.incomingUrl(one.id, file.id)}
                target="_blank"
                rel="noopener"
                title={file.path ?? file.name}
              >
                <FileLine file={{ ...file, name: file.path?.split("/").at(-1) ?? file.name }} />
              </a>
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}
