// Ordering files and folders of a host, and what is shown of one that is here or on its way.

import { api } from "../api";
import { percent } from "../format";
import { t } from "../i18n";
import { byRoot, downloads } from "../state/store";
import { attempt, go, href, notify } from "../state/ui";
import type { Download, FileEntry, NewDownload } from "../types";
import { Button } from "./bits";
import { Icon } from "./icons";

/** Where downloads that were started from this page went: "host\npath", a folder's with "/" → download. */
const ordered = new Map<string, number>();

export async function order(what: NewDownload): Promise<Download> {
  const download = await api.addDownload(what);
  downloads.put(download);
  if ("path" in what) ordered.set(`${what.host}\n${what.path}`, download.id);
  if ("folder" in what) ordered.set(`${what.host}\n${what.folder}/`, download.id);
  return download;
}

export function started(download: Download): void {
  if (download.state === "done") notify("info", t("download.already", { name: download.name }));
  else {
    notify("good", t("download.started", { name: download.name }), {
      label: t("show"),
      run: () => go("downloads", download.id),
    });
  }
}

/** How far a folder is that was ordered from this page, or the button that fetches it, as it is now. */
export function FolderState({
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
