// The own shared folder: what others see, adding to it by drag and drop, and who is downloading from here now.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api } from "../api";
import { bytes, percent, speed } from "../format";
import { t } from "../i18n";
import { Button, Empty, Menu, Modal, Progress, SearchBox } from "../parts/bits";
import { DigestFact } from "../parts/digest";
import { peerUrl } from "../parts/dialogs";
import { Icon } from "../parts/icons";
import {
  type Answer,
  addUploads,
  cancelUpload,
  clearUploads,
  filesOfDrop,
  retryUpload,
  setQuestions,
  uploads,
} from "../parts/upload";
import { FileList } from "../state/filelist";
import { connections, hostName, missing, shareRevision, status, want } from "../state/store";
import { attempt, copy, dialog, go, href, notify } from "../state/ui";
import type { FileEntry } from "../types";
import { FileTable, join } from "./files";

export function ShareView({ folder }: { folder: string }) {
  const list = useMemo(() => new FileList((options, signal) => api.shareFiles(options, signal)), []);
  const dragging = useSignal(false);
  const digestOf = useSignal<string | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  useEffect(() => () => list.stop(), [list]);
  useEffect(() => list.open(folder), [list, folder]);
  useEffect(() => void want("connections").catch(() => {}), []);
  const revision = shareRevision.value;
  const seen = useRef(revision);
  useEffect(() => {
    if (seen.current !== revision) list.reload();
    seen.current = revision;
  }, [revision]);
  useEffect(() => {
    setQuestions(askAboutName, isTaken);
  }, []);

  const drop = async (event: DragEvent): Promise<void> => {
    event.preventDefault();
    dragging.value = false;
    if (!event.dataTransfer) return;
    const files = await filesOfDrop(event.dataTransfer);
    addUploads(files.map(({ path, file }) => ({ path: join(folder, path), file })));
  };
  const pick = (): void => {
    const input = picker.current;
    addUploads([...(input?.files ?? [])].map((file) => ({ path: join(folder, file.name), file })));
    if (input) input.value = "";
  };
  const share = status.value?.share;
  return (
    <section
      class={dragging.value ? "view dragging" : "view"}
      aria-labelledby="view-title"
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        dragging.value = true;
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) dragging.value = false;
      }}
      onDrop={(event) => void drop(event)}
    >
      <div class="view-head">
        <ShareCrumbs folder={folder} />
        {share && (
          <p class="muted breakable">
            {t("files.count", { n: share.files })}, {bytes(share.bytes)}
          </p>
        )}
        <div class="row end">
          <Button icon="plus" kind="primary" label={t("share.add")} onClick={() => picker.current?.click()} />
          <input ref={picker} type="file" multiple hidden onChange={pick} />
        </div>
      </div>
      <p class="muted share-folder">
        {share?.folder}
        <span class="drop-hint"> · {t("share.drop")}</span>
      </p>
      {share && share.hashed_bytes < share.bytes && (
        <div class="scan" role="status">
          <Progress
            value={share.bytes > 0 ? share.hashed_bytes / share.bytes : null}
            label={t("share.hashing")}
          />
          <span class="muted">
            {t("share.hashing")} {percent(share.hashed_bytes, share.bytes)}
          </span>
        </div>
      )}
      <Uploads />
      <Readers />
      <SearchBox label={t("files.search")} value={list.query.value} onChange={(text) => list.search(text)} />
      <FileTable
        list={list}
        label={t("share.files")}
        openFolder={(path) => go("share", ...path.split("/"))}
        folderHref={(path) => href("share", ...path.split("/"))}
        empty={
          <Empty icon="share" title={list.query.value ? t("files.nomatch") : t("share.none")}>
            {list.query.value ? t("files.nomatch.text") : t("share.none.text")}
          </Empty>
        }
        fileName={(file) => (
          <a href={fileUrl(file)} target="_blank" rel="noreferrer">
            {file.name}
          </a>
        )}
        folderEnd={() => null}
        fileEnd={(file) => (
          <>
            {file.root === null && file.size !== 0 && (
              <span class="file-state waiting">{t("share.unhashed")}</span>
            )}
            <Menu
              label={t("more.of", { name: file.name })}
              items={[
                { label: t("share.link"), icon: "link", run: () => void copy(fileUrl(file)) },
                { label: t("digest"), icon: "shield", run: () => (digestOf.value = file.path) },
                {
                  label: t("share.remove"),
                  icon: "trash",
                  danger: true,
                  run: () => removeShared(file, list),
                },
              ]}
            />
          </>
        )}
      />
      {list.selected.value.size > 0 && <Selection list={list} />}
      {digestOf.value !== null && (
        <Modal title={digestOf.value} onClose={() => (digestOf.value = null)}>
          <DigestFact load={(algorithm) => api.shareDigest(digestOf.value!, algorithm)} />
        </Modal>
      )}
    </section>
  );
}

function ShareCrumbs({ folder }: { folder: string }) {
  const parts = folder === "" ? [] : folder.split("/");
  if (parts.length === 0) return <h1 id="view-title">{t("share.title")}</h1>;
  return (
    <nav class="crumbs" aria-label={t("crumbs")}>
      <a href={href("share")}>{t("share.title")}</a>
      {parts.map((part, index) => (
        <>
          <Icon name="chevron" size={14} />
          {index === parts.length - 1 ? (
            <h1 id="view-title">{part}</h1>
          ) : (
            <a href={href("share", ...parts.slice(0, index + 1))}>{part}</a>
          )}
        </>
      ))}
    </nav>
  );
}

/** Where any browser on the network gets the file. */
function fileUrl(file: FileEntry): string {
  const now = status.peek();
  const path = file.path.split("/").map(encodeURIComponent).join("/");
  return `${peerUrl(now?.addresses[0] ?? location.hostname, now?.peer_port ?? 9000)}/files/${path}`;
}

function removeShared(file: FileEntry, list: FileList): void {
  dialog.value = {
    kind: "confirm",
    title: t("share.remove.title", { name: file.name }),
    text: t("share.remove.text"),
    choices: [
      {
        label: t("share.remove"),
        danger: true,
        run: async () => {
          await api.removeShared(file.path);
          list.reload();
          notify("info", t("share.removed", { name: file.name }));
        },
      },
    ],
  };
}

function Selection({ list }: { list: FileList }) {
  const paths = [...list.selected.value].filter((key) => !key.endsWith("/"));
  const remove = (): void => {
    dialog.value = {
      kind: "confirm",
      title: t("share.remove.many", { n: paths.length }),
      text: t("share.remove.text"),
      choices: [
        {
          label: t("share.remove"),
          danger: true,
          run: async () => {
            for (const path of paths) if (!(await attempt(() => api.removeShared(path)))) break;
            list.selected.value = new Set();
            list.reload();
          },
        },
      ],
    };
  };
  return (
    <div class="selection" role="group" aria-label={t("selection")}>
      <span>{t("selection.count", { n: list.selected.value.size })}</span>
      <Button
        icon="close"
        kind="quiet"
        label={t("selection.clear")}
        onClick={() => (list.selected.value = new Set())}
      />
      <Button
        icon="trash"
        kind="danger"
        label={t("share.remove")}
        disabled={paths.length === 0}
        onClick={remove}
      />
    </div>
  );
}

async function isTaken(path: string): Promise<boolean> {
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  // A search may find the name anywhere below the folder; only the very path counts.
  let cursor: string | undefined;
  do {
    const page = await api.shareFiles({
      folder: slash < 0 ? "" : path.slice(0, slash),
      q: name,
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (page.files.some((file) => file.path === path)) return true;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return false;
}

function askAboutName(path: string): Promise<Answer> {
  return new Promise((resolve) => {
    const answer = (value: Answer) => (): void => {
      resolve(value);
    };
    const question = {
      kind: "confirm" as const,
      title: t("upload.taken.title"),
      text: t("upload.taken.text", { name: path }),
      choices: [
        { label: t("upload.rename"), run: answer("rename") },
        { label: t("upload.replace"), danger: true, run: answer("replace") },
      ],
    };
    dialog.value = question;
    // Closed without a choice: the file is left out.
    const stop = dialog.subscribe((open) => {
      if (open === question) return;
      queueMicrotask(() => stop());
      resolve("skip");
    });
  });
}

/** Uploads in the document at once; those that want attention come first. */
const UPLOADS_SHOWN = 20;
const RANKS = { asking: 0, sending: 1, failed: 2, waiting: 3, done: 4 };

function Uploads() {
  const all = uploads.value;
  if (all.length === 0) return null;
  const done = all.filter((upload) => upload.state === "done").length;
  const finished = all.some((upload) => upload.state === "done" || upload.state === "failed");
  const shown = [...all].sort((a, b) => RANKS[a.state] - RANKS[b.state]).slice(0, UPLOADS_SHOWN);
  return (
    <section class="panel" aria-labelledby="uploads-title">
      <div class="row">
        <h2 id="uploads-title">{t("uploads.title")}</h2>
        {all.length > 1 && <span class="muted">{t("progress.files", { done, n: all.length })}</span>}
        {finished && <Button kind="quiet" label={t("uploads.clear")} onClick={clearUploads} />}
      </div>
      <ul class="uploads">
        {shown.map((upload) => (
          <li key={upload.id} data-upload={upload.state}>
            <span class="upload-name" title={upload.path}>
              {upload.path}
            </span>
            <span class={upload.state === "failed" ? "bad" : "muted"}>
              {upload.state === "failed"
                ? upload.error
                : upload.state === "sending"
                  ? `${percent(upload.sent, upload.file.size)} · ${bytes(upload.file.size)}`
                  : upload.state === "done"
                    ? t("upload.done")
                    : t("upload.waiting")}
            </span>
            {upload.state === "failed" && (
              <Button
                icon="refresh"
                kind="quiet"
                iconOnly
                label={t("retry.of", { name: upload.path })}
                onClick={() => retryUpload(upload.id)}
              />
            )}
            {upload.state !== "done" && (
              <Button
                icon="close"
                kind="quiet"
                iconOnly
                label={t("cancel.of", { name: upload.path })}
                onClick={() => cancelUpload(upload.id)}
              />
            )}
            {(upload.state === "sending" || upload.state === "waiting") && (
              <Progress
                value={upload.file.size > 0 ? upload.sent / upload.file.size : 0}
                label={t("progress.label", { name: upload.path })}
              />
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Who downloads what from here now. */
function Readers() {
  if (missing.value.has("connections")) return null;
  const active = connections.all().filter((one) => one.speed_bps > 0 && one.path);
  if (active.length === 0) return null;
  return (
    <section class="panel" aria-labelledby="readers-title">
      <h2 id="readers-title">{t("share.readers")}</h2>
      <ul class="readers">
        {active.map((one) => (
          <li key={one.id}>
            <span>{hostName(one.host) || one.address}</span>
            <span class="muted breakable">{one.path}</span>
            <span>{speed(one.speed_bps)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
