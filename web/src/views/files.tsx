// The files of one host: folders, search, sort, and any number of rows.

import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { type SortKey, api } from "../api";
import { ago, bytes, date, dateTime, percent } from "../format";
import { t } from "../i18n";
import { Button, Empty, Failed, Loading, Menu, SearchBox } from "../parts/bits";
import { Icon, fileIcon, kindOf } from "../parts/icons";
import { VirtualList } from "../parts/virtual";
import { FileList, ROW_HEIGHT } from "../state/filelist";
import { byRoot, downloads, hosts, messages, missing } from "../state/store";
import { attempt, dialog, go, href, notify } from "../state/ui";
import type { Download, FileEntry, Folder, Host, NewDownload } from "../types";
import { hostActions, offerOf } from "./hosts";

/** Requests under way at once when many files are asked for. */
const PARALLEL_ORDERS = 4;

/** Where downloads that were started from this page went: "host\npath", a folder's with "/" → download. */
const ordered = new Map<string, number>();

async function order(what: NewDownload): Promise<Download> {
  const download = await api.addDownload(what);
  downloads.put(download);
  if ("path" in what) ordered.set(`${what.host}\n${what.path}`, download.id);
  if ("folder" in what) ordered.set(`${what.host}\n${what.folder}/`, download.id);
  return download;
}

function started(download: Download): void {
  if (download.state === "done") notify("info", t("download.already", { name: download.name }));
  else {
    notify("good", t("download.started", { name: download.name }), {
      label: t("show"),
      run: () => go("downloads", download.id),
    });
  }
}

export function FilesView({ host: id, folder }: { host: string; folder: string }) {
  const list = useMemo(() => new FileList((options, signal) => api.files(id, options, signal)), [id]);
  useEffect(() => () => list.stop(), [list]);
  useEffect(() => list.open(folder), [list, folder]);
  const refreshing = useSignal(false);
  const selected = list.selected.value;
  const host = hosts.get(id);
  const known = hosts.loaded.value;

  // A new list on the server shows as another count of files, or as the end of fetching it.
  const offered = host && !host.listing ? `${host.files} ${host.bytes} ${host.list_error ?? ""}` : "";
  const seen = useRef(offered);
  const listing = useRef(false);
  useEffect(() => {
    if (offered === "") {
      listing.current = true;
      return;
    }
    if (listing.current || seen.current !== offered) list.reload();
    listing.current = false;
    seen.current = offered;
  }, [offered]);

  if (known && !host) {
    return (
      <section class="view">
        <Empty
          icon="hosts"
          title={t("host.unknown")}
          action={<Button icon="back" label={t("hosts.title")} onClick={() => go("hosts")} />}
        />
      </section>
    );
  }
  const name = host?.name || id;
  const refresh = async (): Promise<void> => {
    refreshing.value = true;
    await attempt(() => api.refreshFiles(id));
    refreshing.value = false;
  };
  const downloadSelected = async (): Promise<void> => {
    // All of a folder is the folder itself, however many files that are.
    const whole = list.query.value === "" && selected.size === list.rowCount.value;
    const todo: NewDownload[] = whole
      ? [{ host: id, folder }]
      : [...selected].map((key) =>
          key.endsWith("/") ? { host: id, folder: key.slice(0, -1) } : { host: id, path: key },
        );
    list.selected.value = new Set();
    let done = 0;
    const worker = async (): Promise<void> => {
      for (let next = todo.shift(); next; next = todo.shift()) {
        const what = next;
        if (await attempt(() => order(what))) done++;
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_ORDERS }, worker));
    if (done > 0) {
      notify("good", t("downloads.started", { n: done }), { label: t("show"), run: () => go("downloads") });
    }
  };
  const downloadFolder = (path: string): void =>
    void attempt(async () => started(await order({ host: id, folder: path })));

  return (
    <section class="view" aria-labelledby="view-title">
      <div class="view-head">
        <Breadcrumbs host={id} name={name} folder={folder} />
        <div class="row end">
          {list.rowCount.value > 0 && list.query.value === "" && (
            <Button
              icon="downloads"
              label={t(folder === "" ? "download.everything" : "download.folder")}
              onClick={() => downloadFolder(folder)}
            />
          )}
          <Button
            icon="refresh"
            label={t("refresh")}
            iconOnly
            onClick={() => void refresh()}
            busy={refreshing.value || (host?.listing ?? false)}
          />
          {host && <HostMenu host={host} name={name} />}
        </div>
      </div>
      {host && (
        <p class="host-line">
          <span class={`state ${host.blocked ? "blocked" : host.state}`}>
            {t(host.blocked ? "state.blocked" : `state.${host.state}`)}
          </span>
          <span class="muted">{offerOf(host)}</span>
          <span class="muted">{host.addresses[0]}</span>
        </p>
      )}
      {host?.list_error && host.state === "online" && (
        <p class="note">
          <Icon name="warn" size={18} />
          {t("host.list.error", { reason: host.list_error })}
        </p>
      )}
      {host?.state === "offline" && (
        <p class="note">
          <Icon name="warn" size={18} />
          {t("host.offline.note", { name, when: ago(host.last_seen) })}
        </p>
      )}
      <SearchBox label={t("files.search")} value={list.query.value} onChange={(text) => list.search(text)} />
      <FileTable
        list={list}
        label={t("files.of", { name })}
        openFolder={(path) => go(...["hosts", id, ...path.split("/")])}
        folderHref={(path) => href(...["hosts", id, ...path.split("/")])}
        empty={
          <Empty icon="folder" title={list.query.value ? t("files.nomatch") : t("files.none")}>
            {list.query.value ? t("files.nomatch.text") : t("files.none.text", { name })}
          </Empty>
        }
        fileName={(file) =>
          kindOf(file.name, file.type) === "other" ? (
            <span>{file.name}</span>
          ) : (
            <button type="button" class="link" onClick={() => preview(id, file)} title={t("preview.title")}>
              {file.name}
            </button>
          )
        }
        folderEnd={(one) => (
          <FolderState
            host={id}
            path={join(folder, one.name)}
            name={one.name}
            onDownload={() => downloadFolder(join(folder, one.name))}
          />
        )}
        fileEnd={(file) => <FileState host={id} file={file} />}
      />
      {selected.size > 0 && (
        <SelectionBar list={list}>
          <Button
            icon="downloads"
            kind="primary"
            label={t("download.selected", { n: selected.size, size: bytes(list.selectedBytes.value) })}
            onClick={() => void downloadSelected()}
          />
        </SelectionBar>
      )}
    </section>
  );
}

function HostMenu({ host, name }: { host: Host; name: string }) {
  const writes = !missing.value.has("messages") && messages.loaded.value;
  const write = {
    label: t("host.message"),
    icon: "messages" as const,
    run: () => go("messages", host.id),
  };
  return <Menu label={t("more.of", { name })} items={[...(writes ? [write] : []), ...hostActions(host)]} />;
}

/** What is done with the selected rows; it stays in sight however far a person scrolls. */
export function SelectionBar({ list, children }: { list: FileList; children: preact.ComponentChildren }) {
  return (
    <div class="selection" role="group" aria-label={t("selection")}>
      <span>{t("selection.count", { n: list.selected.value.size })}</span>
      <Button
        icon="close"
        kind="quiet"
        label={t("selection.clear")}
        onClick={() => (list.selected.value = new Set())}
      />
      {children}
    </div>
  );
}

export const join = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);

/** Shows a file while it downloads: what is looked at is fetched first. */
function preview(host: string, file: FileEntry): void {
  void attempt(async () => {
    const download = await order({ host, path: file.path });
    dialog.value = { kind: "preview", download: download.id };
  });
}

function Breadcrumbs({ host, name, folder }: { host: string; name: string; folder: string }) {
  const parts = folder === "" ? [] : folder.split("/");
  return (
    <nav class="crumbs" aria-label={t("crumbs")}>
      <a href={href("hosts")}>{t("hosts.title")}</a>
      <Icon name="chevron" size={14} />
      {parts.length === 0 ? <h1 id="view-title">{name}</h1> : <a href={href("hosts", host)}>{name}</a>}
      {parts.map((part, index) => (
        <>
          <Icon name="chevron" size={14} />
          {index === parts.length - 1 ? (
            <h1 id="view-title">{part}</h1>
          ) : (
            <a href={href("hosts", host, ...parts.slice(0, index + 1))}>{part}</a>
          )}
        </>
      ))}
    </nav>
  );
}

/** How far a folder is that was ordered from this page, or the button that fetches it, as it is now. */
function FolderState({
  host,
  path,
  name,
  onDownload,
}: {
  host: string;
  path: string;
  name: string;
  onDownload: () => void;
}) {
  const id = ordered.get(`${host}\n${path}/`);
  const download = id === undefined ? undefined : downloads.get(id);
  if (download && isUnfinished(download)) return <OnItsWay download={download} />;
  return (
    <Button icon="downloads" kind="quiet" iconOnly label={t("download.of", { name })} onClick={onDownload} />
  );
}

const isUnfinished = (download: Download): boolean =>
  !["cancelled", "failed", "done"].includes(download.state);

function OnItsWay({ download }: { download: Download }) {
  return (
    <a class="file-state busy" href={href("downloads", download.id)}>
      {download.state === "paused" ? t("download.paused") : percent(download.done_bytes, download.size ?? 0)}
    </a>
  );
}

/** What is already here of a remote file, or the button that fetches it. */
export function FileState({
  host,
  file,
  full = false,
}: {
  host: string;
  file: Pick<FileEntry, "path" | "name" | "root"> & { local?: FileEntry["local"] };
  full?: boolean;
}) {
  const id = ordered.get(`${host}\n${file.path}`);
  const download =
    (id !== undefined ? downloads.get(id) : undefined) ??
    (file.root ? byRoot.value.get(file.root) : undefined);
  if (download && isUnfinished(download)) return <OnItsWay download={download} />;
  if (download?.state === "done" || (!download && file.local === "done")) {
    return (
      <span class="file-state here">
        <Icon name="check" size={16} />
        {t("file.here")}
      </span>
    );
  }
  return (
    <Button
      icon="downloads"
      kind={full ? "primary" : "quiet"}
      iconOnly={!full}
      label={full ? t("download") : t("download.of", { name: file.name })}
      onClick={() => void attempt(async () => started(await order({ host, path: file.path })))}
    />
  );
}

const COLUMNS: { key: SortKey; label: "column.name" | "column.size" | "column.mtime" }[] = [
  { key: "name", label: "column.name" },
  { key: "size", label: "column.size" },
  { key: "mtime", label: "column.mtime" },
];

const filesIn = (folder: Folder): string =>
  folder.files === null ? "" : t("files.count", { n: folder.files });

/** The table that hosts' files and the own shared files have in common. */
export function FileTable({
  list,
  label,
  openFolder,
  folderHref,
  empty,
  fileName,
  fileEnd,
  folderEnd,
}: {
  list: FileList;
  label: string;
  openFolder: (path: string) => void;
  folderHref: (path: string) => string;
  empty: preact.ComponentChildren;
  fileName: (file: FileEntry) => preact.ComponentChildren;
  fileEnd: (file: FileEntry) => preact.ComponentChildren;
  folderEnd: (folder: Folder) => preact.ComponentChildren;
}) {
  const anchor = useRef<string | null>(null);
  const box = useRef<HTMLDivElement>(null);
  // The window starts again at its top when another list is shown.
  useSignalEffect(() => {
    void list.generation.value;
    anchor.current = null;
  });
  const rows = list.rowCount.value;
  const { sort, order: direction } = list.order.value;

  if (list.error.value !== null && rows === 0)
    return <Failed text={list.error.value} retry={() => list.retry()} />;
  if (!list.loaded.value) return <Loading />;
  if (rows === 0) return <>{empty}</>;

  const keyOf = (index: number): string | undefined => {
    const folder = list.folderAt(index);
    if (folder) return `${join(list.folder.value, folder.name)}/`;
    return list.fileAt(index)?.path;
  };
  const toggle = (index: number, range: boolean): void => {
    const key = keyOf(index);
    if (key === undefined) return;
    const next = new Set(list.selected.value);
    const on = !next.has(key);
    if (range && anchor.current !== null) {
      let from = 0;
      while (from < rows && keyOf(from) !== anchor.current) from++;
      for (let at = Math.min(from, index); at <= Math.max(from, index) && at < rows; at++) {
        const other = keyOf(at);
        if (other !== undefined) next.add(other);
      }
    } else if (on) next.add(key);
    else next.delete(key);
    anchor.current = key;
    list.selected.value = next;
  };
  const onKey = (event: KeyboardEvent): void => {
    const row = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
    if (!row) return;
    const index = Number(row.dataset["row"]);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = index + (event.key === "ArrowDown" ? 1 : -1);
      const element = box.current?.querySelector<HTMLElement>(`[data-row="${next}"]`);
      element?.focus({ preventScroll: true });
      element?.scrollIntoView({ block: "nearest" });
      event.preventDefault();
    } else if (event.key === " " && event.target === row) {
      toggle(index, event.shiftKey);
      event.preventDefault();
    } else if (event.key === "Enter" && event.target === row) {
      const folder = list.folderAt(index);
      if (folder) openFolder(join(list.folder.value, folder.name));
      else row.querySelector<HTMLElement>(".name .link, .end .button, .end a")?.click();
      event.preventDefault();
    }
  };

  return (
    <div
      class="table files"
      role="table"
      aria-label={label}
      aria-rowcount={rows + 1}
      ref={box}
      onKeyDown={onKey}
    >
      <div class="table-head" role="rowgroup">
        <div role="row" class="table-row">
          <span role="columnheader" class="check">
            <input
              type="checkbox"
              checked={list.allSelected.value}
              disabled={list.selecting.value}
              aria-label={t("select.all")}
              onClick={(event) => {
                const box = event.currentTarget;
                void list.selectAll().then(() => (box.checked = list.allSelected.peek()));
              }}
            />
          </span>
          {COLUMNS.map(({ key, label: text }) => (
            <span
              key={key}
              role="columnheader"
              class={key}
              aria-sort={sort === key ? (direction === "asc" ? "ascending" : "descending") : "none"}
            >
              <button type="button" onClick={() => list.sortBy(key)}>
                {t(text)}
                {sort === key && <Icon name={direction === "asc" ? "up" : "down"} size={14} />}
              </button>
            </span>
          ))}
          <span role="columnheader" class="end">
            <span class="hidden">{t("column.state")}</span>
          </span>
        </div>
      </div>
      <VirtualList
        count={rows}
        rowHeight={ROW_HEIGHT}
        role="rowgroup"
        label={label}
        onRange={(_first, last) => list.need(last)}
        render={(index) => {
          const key = keyOf(index);
          const checked = key !== undefined && list.selected.value.has(key);
          const folder = list.folderAt(index);
          const file = folder ? undefined : list.fileAt(index);
          if (!folder && !file) {
            return (
              <div role="row" class="table-row waiting" aria-rowindex={index + 2}>
                <span role="cell">{t("loading")}</span>
              </div>
            );
          }
          const name = folder ? folder.name : list.query.value !== "" ? file!.path : file!.name;
          return (
            <div
              role="row"
              class={checked ? "table-row checked" : "table-row"}
              aria-rowindex={index + 2}
              data-row={index}
              tabIndex={-1}
            >
              <span role="cell" class="check">
                <input
                  type="checkbox"
                  checked={checked}
                  aria-label={t("select.of", { name })}
                  onClick={(event) => toggle(index, event.shiftKey)}
                />
              </span>
              <span role="cell" class="name" title={name}>
                <Icon name={folder ? "folder" : fileIcon(file!.name, file!.type)} />
                <span class="name-text">
                  {folder ? (
                    <a href={folderHref(join(list.folder.value, folder.name))}>{folder.name}</a>
                  ) : (
                    fileName(file!)
                  )}
                  {file && list.query.value !== "" && file.path !== file.name && (
                    <span class="muted where">{file.path.slice(0, -file.name.length - 1)}</span>
                  )}
                  <span class="phone-only muted">{folder ? filesIn(folder) : bytes(file!.size)}</span>
                </span>
              </span>
              <span role="cell" class="size">
                {bytes(folder ? folder.bytes : file!.size)}
              </span>
              <span role="cell" class="mtime" title={folder ? undefined : dateTime(file!.mtime)}>
                {folder ? filesIn(folder) : date(file!.mtime)}
              </span>
              <span role="cell" class="end">
                {folder ? folderEnd(folder) : fileEnd(file!)}
              </span>
            </div>
          );
        }}
      />
      {list.error.value !== null && <Failed text={list.error.value} retry={() => list.retry()} />}
    </div>
  );
}
