// All downloads, newest first, and the details of one.

import { useComputed } from "@preact/signals";
import { api } from "../api";
import { bytes, duration, percent, speed } from "../format";
import { type Key, explain, t } from "../i18n";
import { Button, Empty, Loading, Menu, Progress, SearchBox, Segments } from "../parts/bits";
import { Icon, type IconName, fileIcon, kindOf } from "../parts/icons";
import { Lazy } from "../parts/lazy";
import { VirtualList } from "../parts/virtual";
import { downloads, hostName, incoming, speeds } from "../state/store";
import { attempt, dialog, filter, go, href, narrow, notify, search } from "../state/ui";
import type { Download } from "../types";
import { DownloadDetails } from "./download";

const ROW_HEIGHT = 76;
const ROW_HEIGHT_NARROW = 92;

export const isOpen = (download: Download): boolean =>
  download.state === "queued" || download.state === "running" || download.state === "verifying";

export function DownloadsView({ selected }: { selected: number | null }) {
  const ids = useComputed(() => {
    const words = search.value.toLowerCase();
    return downloads
      .all()
      .filter((one) => {
        if (words !== "" && !one.name.toLowerCase().includes(words)) return false;
        if (filter.value === "open") return isOpen(one) || one.state === "paused" || one.state === "failed";
        if (filter.value === "done") return one.state === "done";
        return true;
      })
      .sort((a, b) => b.id - a.id)
      .map((one) => one.id);
  });
  const open = useComputed(() => downloads.all().filter(isOpen).length);
  const paused = useComputed(() => downloads.all().filter((one) => one.state === "paused").length);
  const finished = useComputed(() => downloads.all().filter((one) => one.state === "done").length);
  const all = downloads.ids.value.length;
  const detail = selected !== null;

  if (detail && narrow.value) {
    return (
      <section class="view">
        <DownloadDetails id={selected} />
      </section>
    );
  }
  return (
    <section class={detail ? "view split" : "view"} aria-labelledby="view-title">
      <div class="split-main">
        <div class="view-head">
          <h1 id="view-title">{t("downloads.title")}</h1>
          {all > 0 && <Summary short={detail} />}
          <div class="row end">
            {all > 0 && (
              <>
                <Button
                  icon="pause"
                  iconOnly={narrow.value || detail}
                  label={t("pause.all")}
                  disabled={open.value === 0}
                  onClick={() => void attempt(api.pauseAll)}
                />
                <Button
                  icon="play"
                  iconOnly={narrow.value || detail}
                  label={t("resume.all")}
                  disabled={paused.value === 0}
                  onClick={() => void attempt(api.resumeAll)}
                />
              </>
            )}
            {finished.value > 0 && (
              <Menu
                label={t("more")}
                items={[
                  { label: t("downloads.clear", { n: finished.value }), icon: "check", run: clearFinished },
                ]}
              />
            )}
            <Button
              icon="link"
              kind="primary"
              label={t("url.add")}
              onClick={() => (dialog.value = { kind: "add-url" })}
            />
          </div>
        </div>
        {incoming.ids.value.length > 0 && (
          <Lazy load={async () => (await import("../parts/incoming")).IncomingList} props={{}} />
        )}
        <Lazy quiet load={async () => (await import("../parts/kept")).KeptLine} props={{}} />
        {!downloads.loaded.value ? (
          <Loading />
        ) : all === 0 && incoming.ids.value.length > 0 ? null : all === 0 ? (
          <Empty
            icon="downloads"
            title={t("downloads.none")}
            action={
              <Button icon="hosts" kind="primary" label={t("downloads.browse")} onClick={() => go("hosts")} />
            }
          >
            {t("downloads.none.text")}
          </Empty>
        ) : (
          <>
            <div class="row filters">
              <Segments
                label={t("filter")}
                value={filter.value}
                choices={[
                  { value: "all", label: t("filter.all") },
                  { value: "open", label: t("filter.open") },
                  { value: "done", label: t("filter.done") },
                ]}
                onChange={(value) => (filter.value = value)}
              />
              <SearchBox
                label={t("downloads.search")}
                value={search.value}
                onChange={(text) => (search.value = text.trim())}
              />
            </div>
            {ids.value.length === 0 ? (
              <Empty icon="search" title={t("downloads.nomatch")} />
            ) : (
              <VirtualList
                count={ids.value.length}
                rowHeight={narrow.value ? ROW_HEIGHT_NARROW : ROW_HEIGHT}
                label={t("downloads.title")}
                render={(index) => {
                  const id = ids.value[index]!;
                  return <DownloadRow key={id} id={id} current={id === selected} />;
                }}
              />
            )}
          </>
        )}
      </div>
      {detail && (
        <aside class="split-side" aria-label={t("details")}>
          <DownloadDetails id={selected} />
        </aside>
      )}
    </section>
  );
}

/** Removes all finished downloads from the list; their files stay. */
function clearFinished(): void {
  const ids = downloads
    .all()
    .filter((one) => one.state === "done")
    .map((one) => one.id);
  void attempt(async () => {
    const n = await api.removeFinished();
    downloads.removeAll(ids);
    notify("info", t("downloads.cleared", { n }));
  });
}

/** How many are under way, how fast, and how many wait for their turn or a source. */
function Summary({ short }: { short: boolean }) {
  const down = speeds.value.down_bps;
  let running = 0;
  let waiting = 0;
  for (const one of downloads.all()) {
    if (!isOpen(one)) continue;
    if (one.state === "queued" || shownState(one) === "waiting") waiting++;
    else running++;
  }
  const parts: string[] = [];
  if (running > 0) parts.push(t("downloads.running", { n: running }));
  if (running > 0 && down > 0 && !short) parts.push(speed(down));
  if (waiting > 0) parts.push(t("downloads.waiting", { n: waiting }));
  return <p class="muted">{parts.join(" · ") || t("downloads.idle")}</p>;
}

/** The one line below a download's name: how far, how fast, how long, from whom. */
export function progressLine(download: Download): string {
  const parts: string[] = [];
  const { size, done_bytes: done } = download;
  if (download.state === "done") parts.push(bytes(size));
  else if (size === null) {
    if (done > 0) parts.push(bytes(done));
  } else parts.push(t("progress.of", { size: bytes(size), percent: percent(done, size) }));
  if (download.folder) {
    parts.push(
      download.state === "done"
        ? t("files.count", { n: download.files_total })
        : t("progress.files", { done: download.files_done, n: download.files_total }),
    );
  }
  if (download.state === "running" && download.speed_bps > 0) {
    parts.push(speed(download.speed_bps));
    if (download.eta_s !== null) parts.push(t("time.left", { time: duration(download.eta_s) }));
  }
  const active = download.sources.filter(
    (source) => source.state === "active" || source.state === "connecting",
  );
  if (download.state === "running" && active.length > 0) {
    const name = hostName(active[0]!.host) || active[0]!.address;
    parts.push(active.length === 1 ? t("from.one", { name }) : t("from.many", { n: active.length }));
  }
  return parts.join(" · ");
}

/** Why it is not going on, or what went wrong: the server's sentence. */
export function reasonOf(download: Download): { text: string; bad: boolean } | null {
  if (download.error) {
    const { code, detail, certificate } = download.error;
    // The fingerprint stands below, to be compared.
    const words = certificate ? detail.replace(/; the SHA-256 of the certificate is [0-9a-f]+$/, "") : detail;
    return { text: explain(code, words || code), bad: true };
  }
  if (download.reason) return { text: waitingFor(download) ?? download.reason, bad: false };
  return null;
}

/** Which host a download waits for, in the person's words; undefined when it waits for something else. */
function waitingFor(download: Download): string | undefined {
  if (!/^Waiting for a source/.test(download.reason ?? "")) return undefined;
  const names = download.sources.map((source) => hostName(source.host)).filter((name) => name !== "");
  if (names.length === 0) return t("waiting.source");
  const text = t("waiting.for", { names: [...new Set(names)].join(", ") });
  const why = download.sources.find((source) => /^https?:/.test(source.host ?? "") && source.error)?.error;
  return why ? `${text}: ${why}` : text;
}

/** The state as it is shown: a running download that no source feeds is waiting. */
export function shownState(download: Download): Download["state"] | "waiting" {
  const idle = download.state === "running" && download.speed_bps === 0 && download.reason;
  return idle ? "waiting" : download.state;
}

export function StateLabel({ download, text }: { download: Download; text?: string | undefined }) {
  const state = shownState(download);
  return (
    <span class={`state ${state}`}>
      <span class="ellipsis">{text ?? t(`download.${state}` as Key)}</span>
    </span>
  );
}

/** How much is here, from 0 to 1; null while it runs and nobody knows. */
export function share(download: Download): number | null {
  if (download.state === "done") return 1;
  if (download.size === null) return shownState(download) === "running" ? null : 0;
  return download.size > 0 ? download.done_bytes / download.size : 0;
}

/** Pause where it runs, resume where it stands, retry where it failed. */
export function MainAction({ download, full = false }: { download: Download; full?: boolean }) {
  const id = download.id;
  const name = download.name;
  const set = (state: "paused" | "queued"): void =>
    void attempt(async () => downloads.put(await api.changeDownload(id, { state })));
  if (isOpen(download)) {
    return (
      <Button
        icon="pause"
        iconOnly={!full}
        label={full ? t("pause") : t("pause.of", { name })}
        onClick={() => set("paused")}
      />
    );
  }
  if (download.state === "paused") {
    return (
      <Button
        icon="play"
        iconOnly={!full}
        label={full ? t("resume") : t("resume.of", { name })}
        onClick={() => set("queued")}
      />
    );
  }
  if (download.state === "failed" || download.state === "cancelled") {
    return (
      <Button
        icon="refresh"
        iconOnly={!full}
        label={full ? t("retry") : t("retry.of", { name })}
        onClick={() => void attempt(() => api.retryDownload(id))}
      />
    );
  }
  if (download.folder) return null;
  const shown = kindOf(download.name, null) !== "other";
  if (shown) {
    return (
      <Button
        icon="eye"
        iconOnly={!full}
        label={full ? t("preview") : t("preview.of", { name })}
        onClick={() => (dialog.value = { kind: "preview", download: id })}
      />
    );
  }
  return (
    <a
      class={full ? "button plain" : "button plain icon-only"}
      href={api.contentUrl(id)}
      download={name}
      aria-label={full ? undefined : t("save.of", { name })}
      title={full ? undefined : t("save.of", { name })}
    >
      <Icon name="open" size={18} />
      {full && <span>{t("save")}</span>}
    </a>
  );
}

/** Nothing is under way that could be cancelled. */
const hasEnded = (download: Download): boolean => ["done", "failed", "cancelled"].includes(download.state);

/** What taking it off the list means: of one that goes on, its end. */
export const removalOf = (download: Download): { icon: IconName; label: string; name: string } => {
  const { name } = download;
  return hasEnded(download)
    ? { icon: "close", label: t("forget"), name: t("download.forget", { name }) }
    : { icon: "trash", label: t("cancel.short"), name: t("cancel.of", { name }) };
};

/** Takes a download off the list, after a question where data would go with it. */
export function removeDownload(download: Download): void {
  const { id, name } = download;
  const remove = async (data: "keep" | "remove"): Promise<void> => {
    await api.removeDownload(id, data);
    downloads.remove(id);
    notify("info", t("download.removed", { name }));
    if (location.hash === href("downloads", id)) go("downloads");
  };
  if (download.state === "done" || download.done_bytes === 0) {
    void attempt(() => remove(download.state === "done" ? "keep" : "remove"));
    return;
  }
  dialog.value = {
    kind: "confirm",
    title: t(hasEnded(download) ? "forget.title" : "cancel.title", { name }),
    text: t("cancel.text", { size: bytes(download.done_bytes) }),
    dismiss: t("cancel.back"),
    choices: [
      { label: t("cancel.keep"), run: () => remove("keep") },
      { label: t("cancel.remove"), danger: true, run: () => remove("remove") },
    ],
  };
}

function DownloadRow({ id, current }: { id: number; current: boolean }) {
  const download = downloads.get(id);
  if (!download) return null;
  const removal = removalOf(download);
  const reason = reasonOf(download);
  const waits = shownState(download) === "waiting" ? waitingFor(download) : undefined;
  const why = reason && !waits && (reason.bad || download.speed_bps === 0) ? reason.text : "";
  const line = [why, progressLine(download)].filter((part) => part !== "").join(" · ");
  return (
    <div
      class={current ? "download current" : "download"}
      role="listitem"
      data-download={id}
      data-state={download.state}
    >
      <Icon name={download.folder ? "folder" : fileIcon(download.name, null)} size={24} />
      <div class="download-main">
        <div class="download-name">
          <a
            href={current ? href("downloads") : href("downloads", id)}
            class="card-link"
            title={download.path}
          >
            {download.name}
          </a>
          {download.verified && download.state === "done" && (
            <span class="verified" title={t("verified.text")}>
              <Icon name="shield" size={16} />
              <span class="hidden">{t("verified")}</span>
            </span>
          )}
          {download.priority !== 0 && download.state !== "done" && (
            <span class="tag">{download.priority > 0 ? t("priority.high") : t("priority.low")}</span>
          )}
        </div>
        {download.state !== "done" && (
          <Progress
            value={share(download)}
            tone={shownState(download)}
            label={t("progress.label", { name: download.name })}
          />
        )}
        <p class="download-line">
          <StateLabel download={download} text={waits} />
          <span class={reason?.bad ? "bad" : "muted"} title={download.reason ?? (why || line)}>
            {line}
          </span>
        </p>
      </div>
      <div class="download-actions">
        <MainAction download={download} />
        {!narrow.value && (
          <Button
            icon={removal.icon}
            kind="quiet"
            iconOnly
            label={removal.name}
            onClick={() => removeDownload(download)}
          />
        )}
      </div>
    </div>
  );
}
