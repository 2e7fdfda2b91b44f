// The files of one host: folders, search, sort, and any number of rows.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api } from "../api";
import { ago, bytes } from "../format";
import { t } from "../i18n";
import { ArchiveLinks, archiveUrl } from "../parts/archive";
import { Button, Empty, Menu, type MenuLink, SearchBox } from "../parts/bits";
import { peerUrl } from "../parts/dialogs";
import { FileState, FolderState, order, startAll } from "../parts/filestate";
import { FileTable, SelectionBar } from "../parts/filetable";
import { NotProven, PairedMark } from "../parts/hostname";
import { Icon, kindOf } from "../parts/icons";
import { FileList, join } from "../state/filelist";
import { missing } from "../state/loading";
import { hosts, messages } from "../state/store";
import { attempt, dialog, go, href } from "../state/ui";
import type { FileEntry, Host, NewDownload } from "../types";
import { hostActions, offerOf } from "./hosts";

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
  // All of a folder is the folder itself, however many files that are.
  const whole = list.query.value === "" && selected.size === list.rowCount.value;
  const downloadSelected = async (): Promise<void> => {
    const todo: NewDownload[] = whole
      ? [{ host: id, folder }]
      : [...selected].map((key) =>
          key.endsWith("/") ? { host: id, folder: key.slice(0, -1) } : { host: id, path: key },
        );
    list.selected.value = new Set();
    await startAll(todo);
  };
  const from = host ? archivesOf(host) : null;
  const downloadFolder = (path: string): void => void startAll([{ host: id, folder: path }]);

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
          {host && (
            <HostMenu host={host} name={name} first={list.rowCount.value > 0 ? archives(host, folder) : []} />
          )}
        </div>
      </div>
      {host && (
        <p class="host-line">
          <span class={`state ${host.blocked ? "blocked" : host.state}`}>
            {t(host.blocked ? "state.blocked" : `state.${host.state}`)}
          </span>
          <span class="muted">{offerOf(host)}</span>
          <span class="muted">{host.addresses[0]}</span>
          <PairedMark host={host} />
          <NotProven host={host} />
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
          {from !== null && <ArchiveLinks host={from} folder={folder} keys={whole ? [] : selected} />}
        </SelectionBar>
      )}
    </section>
  );
}

/** Where the browser gets archives from the host; null where it cannot. */
function archivesOf(host: Host): string | null {
  const address = host.addresses[0];
  // A browser reaches neither a member of a group nor an interface that has to be named.
  if (host.kind !== "hostpair" || host.path !== "lan" || !address || address.includes("%")) return null;
  return peerUrl(address, 9000);
}

/** What has this folder come as one file. */
function archives(host: Host, folder: string): MenuLink[] {
  const from = archivesOf(host);
  if (from === null) return [];
  return (["zip", "tar"] as const).map((format) => ({
    label: t(`folder.${format}`),
    icon: "archive",
    link: archiveUrl(from, folder, format) ?? "",
  }));
}

function HostMenu({ host, name, first }: { host: Host; name: string; first: MenuLink[] }) {
  const writes = !missing.value.has("messages") && messages.loaded.value;
  const write = {
    label: t("host.message"),
    icon: "messages" as const,
    run: () => go("messages", host.id),
  };
  return (
    <Menu
      label={t("more.of", { name })}
      items={[...first, ...(writes ? [write] : []), ...hostActions(host)]}
    />
  );
}

/** Shows a file while it downloads: what is looked at is fetched first. */
function preview(host: string, file: FileEntry): void {
  void attempt(async () => {
    const { download } = await order({ host, path: file.path });
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
