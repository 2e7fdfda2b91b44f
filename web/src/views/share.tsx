// The own shared folder: what others see, adding to it by drag and drop, and who is downloading from here now.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api } from "../api";
import { amount, bytes, percent, speed } from "../format";
import { t } from "../i18n";
import { ts } from "../i18n/share";
import { ArchiveLinks } from "../parts/archive";
import { Button, Empty, Menu, type MenuItem, Modal, Progress, SearchBox } from "../parts/bits";
import { peerUrl } from "../parts/dialogs";
import { DigestFact } from "../parts/digest";
import { offer } from "../parts/drop";
import { FileTable, SelectionBar } from "../parts/filetable";
import { HostName } from "../parts/hostname";
import { Icon, kindOf } from "../parts/icons";
import { Lazy } from "../parts/lazy";
import { fileOf } from "../parts/requests";
import { cancelUpload, clearUploads, retryUpload, uploads } from "../parts/upload";
import { FileList, join } from "../state/filelist";
import { missing, want } from "../state/loading";
import { connections, hostName, messages, pushes, shareRevision, status } from "../state/store";
import { askToConfirm, attached, attempt, copy, dialog, go, href, notify } from "../state/ui";
import type { FileEntry, Folder, Share } from "../types";

export function ShareView({ folder }: { folder: string }) {
  const list = useMemo(() => new FileList((options, signal) => api.shareFiles(options, signal)), []);
  const digestOf = useSignal<string | null>(null);
  const files = useRef<HTMLInputElement>(null);
  const folders = useRef<HTMLInputElement>(null);
  useEffect(() => () => list.stop(), [list]);
  useEffect(() => list.open(folder), [list, folder]);
  useEffect(() => void want("connections").catch(() => {}), []);
  const revision = shareRevision.value;
  const seen = useRef(revision);
  useEffect(() => {
    if (seen.current !== revision) list.refresh();
    seen.current = revision;
  }, [revision]);

  const picked = (event: { currentTarget: HTMLInputElement }): void => {
    offer([...(event.currentTarget.files ?? [])], folder);
    event.currentTarget.value = "";
  };
  const share = status.value?.share;
  const some = list.rowCount.value > 0 || list.query.value !== "";
  return (
    <section class="view" aria-labelledby="view-title">
      <div class="view-head">
        <ShareCrumbs folder={folder} />
        {share && folder === "" && <p class="muted">{amount(share.files, share.bytes)}</p>}
        <div class="row end">
          <Button icon="folder" label={t("share.offer.folder")} onClick={() => folders.current?.click()} />
          <Button
            icon="plus"
            kind="primary"
            label={t("share.offer")}
            onClick={() => files.current?.click()}
          />
          <input ref={files} type="file" multiple hidden onChange={picked} data-picker="files" />
          <input
            ref={folders}
            type="file"
            hidden
            onChange={picked}
            data-picker="folder"
            {...{ webkitdirectory: true }}
          />
        </div>
      </div>
      <p class="muted share-folder">
        {share && placeOf(share, folder)}
        {share && isAway(share, folder) && <span class="bad"> · {ts("folders.missing")}</span>}
        <span class="drop-hint"> · {t("self.drop")}</span>
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
      {share && share.left_out.length > 0 && (
        <Lazy key="left-out" load={async () => (await import("../parts/sharefolders")).LeftOut} props={{}} />
      )}
      {folder === "" && (
        <Lazy
          key="folders"
          load={async () => (await import("../parts/sharefolders")).SharedFolders}
          props={{ onChange: () => list.reload() }}
        />
      )}
      <Uploads />
      {pushes.ids.value.length > 0 && (
        <Lazy key="pushes" load={async () => (await import("../parts/push")).PushList} props={{}} />
      )}
      <Readers />
      {some && (
        <SearchBox
          label={t("files.search")}
          value={list.query.value}
          onChange={(text) => list.search(text)}
        />
      )}
      <FileTable
        list={list}
        label={t("share.files")}
        openFolder={(path) => go("share", ...path.split("/"))}
        folderHref={(path) => href("share", ...path.split("/"))}
        empty={
          <Empty icon="share" title={list.query.value ? t("files.nomatch") : t("share.none")}>
            {list.query.value
              ? t("files.nomatch.text")
              : t("share.none.text", { folder: share?.folder ?? "" })}
          </Empty>
        }
        fileName={(file) =>
          kindOf(file.name, file.type) === "other" ? (
            <a href={api.sharedUrl(file.path)} download={file.name}>
              {file.name}
            </a>
          ) : (
            <button
              type="button"
              class="link"
              onClick={() => (dialog.value = { kind: "preview-shared", file })}
              title={t("preview.shared")}
            >
              {file.name}
            </button>
          )
        }
        folderEnd={(one) => (
          <Menu
            label={t("more.of", { name: one.name })}
            items={[
              ...pushing([join(folder, one.name)]),
              ...deleting(join(folder, one.name), () => removeFolder(one, join(folder, one.name), list)),
            ]}
          />
        )}
        fileEnd={(file) => (
          <>
            {file.root === null && file.size !== 0 && (
              <span class="file-state waiting">{t("share.unhashed")}</span>
            )}
            <Menu
              label={t("more.of", { name: file.name })}
              items={[
                ...(missing.value.has("messages") || !messages.loaded.value
                  ? []
                  : [{ label: t("share.send"), icon: "messages" as const, run: () => send(file) }]),
                ...pushing([file.path]),
                { label: t("share.link"), icon: "link", run: () => void copy(fileUrl(file)) },
                { label: t("digest"), icon: "shield", run: () => (digestOf.value = file.path) },
                ...(file.removable ? deleting(file.path, () => removeShared(file, list)) : []),
              ]}
            />
          </>
        )}
      />
      {list.selected.value.size > 0 && (
        <SelectionBar list={list}>
          {pushing([]).length > 0 && (
            <Button
              icon="up"
              label={t("push.start")}
              onClick={() => {
                const paths = [...list.selected.value].map((path) => path.replace(/\/$/, ""));
                dialog.value = { kind: "push", host: null, paths };
              }}
            />
          )}
          <ArchiveLinks
            host={ownUrl()}
            folder={folder}
            keys={
              list.query.value === "" && list.selected.value.size === list.rowCount.value
                ? []
                : list.selected.value
            }
          />
          {![...list.selected.value].some(inPlace) && <RemoveSelected list={list} />}
        </SelectionBar>
      )}
      {digestOf.value !== null && (
        <Modal title={digestOf.value} onClose={() => (digestOf.value = null)}>
          <DigestFact load={(algorithm) => api.shareDigest(digestOf.value!, algorithm)} />
        </Modal>
      )}
    </section>
  );
}

/** Whether a path lies in a folder that is shared in place: nothing is deleted there. */
function inPlace(path: string): boolean {
  return !!status.peek()?.share.folders.some((one) => one.name === path.split("/")[0]);
}

/** The menu item that deletes, where that is done. */
function deleting(path: string, run: () => void): MenuItem[] {
  return inPlace(path) ? [] : [{ label: t("share.remove"), icon: "trash", danger: true, run }];
}

/** Whether the shared folder that a folder lies in is not there now. */
function isAway(share: Share, folder: string): boolean {
  return (share.folders.find((one) => one.name === folder.split("/")[0]) ?? share).missing;
}

/** Where a folder of the share is on the disk. */
function placeOf(share: Share, folder: string): string {
  const [top = "", ...rest] = folder.split("/");
  const place = share.folders.find((one) => one.name === top);
  return [place?.folder ?? share.folder, ...(place ? rest : [folder])].filter(Boolean).reduce(join);
}

/** The menu item that gives files and folders of the share to another host. */
function pushing(paths: string[]): { label: string; icon: "up"; run: () => void }[] {
  if (missing.value.has("push")) return [];
  return [
    {
      label: t("push.start"),
      icon: "up",
      run: () => (dialog.value = { kind: "push", host: null, paths }),
    },
  ];
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

/** Where any browser on the network gets what this host shares. */
function ownUrl(): string {
  const now = status.peek();
  return peerUrl(now?.addresses[0] ?? location.hostname, now?.peer_port ?? 9000);
}

function fileUrl(file: FileEntry): string {
  return `${ownUrl()}/files/${file.path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Takes a file along to the messages, where it goes with the next one. */
function send(file: FileEntry): void {
  attached.value = { path: file.path, size: file.size ?? 0, root: file.root };
  go("messages");
}

function removeFolder(one: Folder, path: string, list: FileList): void {
  askToConfirm({
    title: t("share.remove.title", { name: one.name }),
    text: t("share.remove.folder", { files: t("files.count", { n: one.files ?? 0 }) }),
    label: t("share.remove"),
    run: async () => {
      await api.removeSharedFolder(path);
      list.reload();
      notify("info", t("share.removed", { name: one.name }));
    },
  });
}

function removeShared(file: FileEntry, list: FileList): void {
  askToConfirm({
    title: t("share.remove.title", { name: file.name }),
    text: t("share.remove.text"),
    label: t("share.remove"),
    run: async () => {
      await api.removeShared(file.path);
      list.reload();
      notify("info", t("share.removed", { name: file.name }));
    },
  });
}

function RemoveSelected({ list }: { list: FileList }) {
  const paths = [...list.selected.value];
  const remove = (): void => {
    askToConfirm({
      title: t("share.remove.many", { n: paths.length }),
      text: t("share.remove.many.text", { n: paths.length }),
      label: t("share.remove"),
      run: async () => {
        for (const path of paths) {
          const work = (): Promise<void> =>
            path.endsWith("/") ? api.removeSharedFolder(path.slice(0, -1)) : api.removeShared(path);
          if (!(await attempt(work))) break;
        }
        list.selected.value = new Set();
        list.reload();
      },
    });
  };
  return <Button icon="trash" kind="danger" label={t("share.remove")} onClick={remove} />;
}

/** Uploads in the document at once; those that want attention come first. */
const UPLOADS_SHOWN = 20;
const RANKS = { asking: 0, sending: 1, failed: 2, waiting: 3, done: 4 };

function Uploads() {
  const all = uploads.value;
  if (all.length === 0) return null;
  const done = all.filter((upload) => upload.state === "done").length;
  const finished = all.some(({ state, aside }) => aside === null && (state === "done" || state === "failed"));
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

/** Who downloads what from here now: a line for each host and file, whatever number of connections it uses. */
function Readers() {
  if (missing.value.has("connections")) return null;
  const active = new Map<string, { host: string | null; name: string; file: string; speed: number }>();
  for (const one of connections.all()) {
    const file = fileOf(one.path);
    if (one.speed_bps === 0 || file === null) continue;
    const name = hostName(one.host) || one.address;
    const key = `${name}\n${file}`;
    const known = active.get(key);
    active.set(key, { host: one.host, name, file, speed: one.speed_bps + (known?.speed ?? 0) });
  }
  if (active.size === 0) return null;
  return (
    <section class="panel" aria-labelledby="readers-title">
      <h2 id="readers-title">{t("share.readers")}</h2>
      <ul class="readers">
        {[...active].map(([key, one]) => (
          <li key={key}>
            <span class="ellipsis">
              <HostName id={one.host} otherwise={one.name} />
            </span>
            <span class="muted ellipsis" title={one.file}>
              {one.file}
            </span>
            <span>{speed(one.speed)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
