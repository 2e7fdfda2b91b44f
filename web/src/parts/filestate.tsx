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

/** Orders one. `here`: it was finished before. */
export async function order(what: NewDownload): Promise<{ download: Download; here: boolean }> {
  const { download, created } = await api.addDownload(what);
  downloads.put(download);
  if ("path" in what) ordered.set(`${what.host}\n${what.path}`, download.id);
  if ("folder" in what) ordered.set(`${what.host}\n${what.folder}/`, download.id);
  return { download, here: !created && download.state === "done" };
}

/** Requests under way at once when many files are asked for. */
const PARALLEL_ORDERS = 4;

/** Orders all of these and tells what came of it. What is here already comes again only if the person says so. */
export async function startAll(wanted: NewDownload[]): Promise<void> {
  const todo = [...wanted];
  const begun: Download[] = [];
  const finished: { what: NewDownload; download: Download }[] = [];
  const worker = async (): Promise<void> => {
    for (let what = todo.shift(); what; what = todo.shift()) {
      const next = what;
      await attempt(async () => {
        const { download, here } = await order(next);
        if (here) finished.push({ what: next, download });
        else begun.push(download);
      });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_ORDERS }, worker));
  const [first] = begun;
  if (first !== undefined) {
    const one = wanted.length === 1;
    notify(
      "good",
      one ? t("download.started", { name: first.name }) : t("downloads.started", { n: begun.length }),
      { label: t("show"), run: () => (one ? go("downloads", first.id) : go("downloads")) },
    );
  }
  if (finished.length > 0) (await import("./again")).askToCopy(finished);
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
  const label = t("download.of", { name: file.name });
  const start = (): void => void startAll([{ host, path: file.path }]);
  if (download?.state === "done" || (!download && file.local === "done")) {
    return (
      <button type="button" class="link file-state here" title={label} onClick={start}>
        <Icon name="check" size={16} />
        {t("file.here")}
      </button>
    );
  }
  return (
    <Button
      icon="downloads"
      kind={full ? "primary" : "quiet"}
      iconOnly={!full}
      label={full ? t("download") : label}
      onClick={start}
    />
  );
}
