// One download: what it is, its chunk map, its sources, and what can be done with it.

import { useSignal } from "@preact/signals";
import { useCallback, useEffect, useMemo, useRef } from "preact/hooks";
import { api } from "../api";
import { bytes, count, dateTime, duration, percent, speed } from "../format";
import { type Key, t } from "../i18n";
import { Button, Empty, Facts, Loading, Progress } from "../parts/bits";
import { ChunkMap, SOURCE_STYLES, Swatch } from "../parts/chunkmap";
import { DigestFact } from "../parts/digest";
import { HostName } from "../parts/hostname";
import { Lazy } from "../parts/lazy";
import { Icon } from "../parts/icons";
import { downloads, hostName, hosts } from "../state/store";
import { attempt, copy, go, href, sentence } from "../state/ui";
import type { Chunks, Download, Source, Given } from "../types";
import {
  MainAction,
  StateLabel,
  isOpen,
  reasonOf,
  removalOf,
  removeDownload,
  share,
  shownState,
} from "./downloads";

/** How often the map is asked for while it changes, milliseconds. */
const MAP_MS = 1000;

export function DownloadDetails({ id }: { id: number }) {
  const download = downloads.get(id);
  if (!downloads.loaded.value) return <Loading />;
  if (!download) {
    return (
      <Empty
        icon="downloads"
        title={t("download.unknown")}
        action={<Button icon="back" label={t("downloads.title")} onClick={() => go("downloads")} />}
      />
    );
  }
  const reason = reasonOf(download);
  const removal = removalOf(download);
  return (
    <article class="details" data-details={id} data-state={download.state}>
      <header>
        <a class="button quiet icon-only" href={href("downloads")} aria-label={t("back")} title={t("back")}>
          <Icon name="back" size={18} />
        </a>
        <h1>{download.name}</h1>
      </header>
      <p class="details-state">
        <StateLabel download={download} />
        {download.verified && (
          <span class="verified" title={t("verified.text")}>
            <Icon name="shield" size={16} />
            {t("verified")}
          </span>
        )}
      </p>
      {download.state !== "done" && <Amount download={download} />}
      {reason && (
        <p class={reason.bad ? "note bad" : "note"} role="status">
          <Icon name="warn" size={18} />
          <span title={download.reason ?? undefined}>{reason.text}</span>
        </p>
      )}
      {download.state === "failed" && download.error?.certificate && (
        <Lazy
          key={download.error.certificate}
          quiet
          load={async () => (await import("../parts/trust")).TrustCertificate}
          props={{ id, certificate: download.error.certificate }}
        />
      )}
      {download.note && (
        <p class="note" data-note>
          <Icon name="warn" size={18} />
          <span>{download.note}</span>
        </p>
      )}
      <div class="row wrap">
        <MainAction download={download} full />
        {download.state !== "verifying" && download.done_bytes > 0 && (
          <Button
            icon="shield"
            kind="quiet"
            label={t("recheck")}
            onClick={() => void attempt(() => api.recheckDownload(id))}
          />
        )}
        <Button
          icon={removal.icon}
          kind="quiet"
          label={removal.label}
          onClick={() => removeDownload(download)}
        />
      </div>
      {download.state === "done" ? (
        <GivenSection key={`${id} ${download.finished_at}`} download={download} />
      ) : (
        <ChunkSection download={download} />
      )}
      {!["done", "cancelled"].includes(download.state) && <Limits download={download} />}
      {["failed", "paused"].includes(download.state) && fromUrl(download) && <OtherUrl id={id} />}
      <Facts items={facts(download)} />
      {download.state === "done" && !download.folder && (
        <DigestFact key={id} load={(algorithm) => api.downloadDigest(id, algorithm)} />
      )}
    </article>
  );
}

/** How far it is, large. */
function Amount({ download }: { download: Download }) {
  const { size, done_bytes: done } = download;
  return (
    <>
      <Progress
        value={share(download)}
        tone={shownState(download)}
        label={t("progress.label", { name: download.name })}
      />
      <p class="big-line">
        <strong title={bytes(done)}>{size === null ? bytes(done) : percent(done, size, 1)}</strong>
        {download.state === "running" && download.speed_bps > 0 && <span>{speed(download.speed_bps)}</span>}
        {download.state === "running" && download.eta_s !== null && (
          <span>{t("time.left", { time: duration(download.eta_s) })}</span>
        )}
      </p>
    </>
  );
}

function facts(download: Download): [string, preact.ComponentChildren][] {
  const items: [string, preact.ComponentChildren][] = [
    [
      t("fact.size"),
      download.size === null ? t("unknown") : `${bytes(download.size)} (${count(download.size)} B)`,
    ],
    [t("fact.path"), <span class="breakable">{download.path}</span>],
  ];
  if (download.folder)
    items.push([t("fact.files"), `${count(download.files_done)} / ${count(download.files_total)}`]);
  if (download.chunks_total > 0) {
    const each = download.chunk_size ? ` × ${count(download.chunk_size / 1048576)} MiB` : "";
    items.push([t("fact.chunks"), `${count(download.chunks_done)} / ${count(download.chunks_total)}${each}`]);
  }
  items.push([t("fact.created"), dateTime(download.created_at)]);
  if (download.finished_at) items.push([t("fact.finished"), dateTime(download.finished_at)]);
  const { root } = download;
  if (root) {
    items.push([
      t("fact.root"),
      <span class="fact-root">
        <code title={root}>{root.slice(0, 20)}…</code>
        <Button
          icon="copy"
          kind="quiet"
          iconOnly
          label={t("copy.of", { text: t("fact.root") })}
          onClick={() => void copy(root)}
        />
      </span>,
    ]);
  }
  return items;
}

const fromUrl = (download: Download): boolean =>
  download.sources.some((source) => /^https?:/.test(source.host ?? ""));

/** A link that has expired is given anew. */
function OtherUrl({ id }: { id: number }) {
  const url = useSignal("");
  const send = (event: Event): void => {
    event.preventDefault();
    void attempt(async () =>
      downloads.put(await api.changeDownload(id, { url: url.value.trim(), state: "queued" })),
    );
  };
  return (
    <form class="row wrap limits" onSubmit={send}>
      <label>
        {t("url.other")}
        <input
          type="url"
          required
          placeholder="https://"
          value={url.value}
          onInput={(event) => (url.value = event.currentTarget.value)}
        />
      </label>
      <Button type="submit" label={t("url.other.go")} disabled={!/^https?:\/\/./.test(url.value.trim())} />
    </form>
  );
}

const LIMITS = [0, 250_000, 1_000_000, 5_000_000, 10_000_000, 50_000_000];

function Limits({ download }: { download: Download }) {
  const set = (fields: { priority?: number; limit_bps?: number }): void =>
    void attempt(async () => downloads.put(await api.changeDownload(download.id, fields)));
  const choices = LIMITS.includes(download.limit_bps)
    ? LIMITS
    : [...LIMITS, download.limit_bps].sort((a, b) => a - b);
  return (
    <div class="row wrap limits">
      <label>
        {t("priority")}
        <select
          value={download.priority}
          onChange={(event) => set({ priority: Number(event.currentTarget.value) })}
        >
          <option value={1}>{t("priority.high")}</option>
          <option value={0}>{t("priority.normal")}</option>
          <option value={-1}>{t("priority.low")}</option>
        </select>
      </label>
      <label>
        {t("limit")}
        <select
          value={download.limit_bps}
          onChange={(event) => set({ limit_bps: Number(event.currentTarget.value) })}
        >
          {choices.map((value) => (
            <option key={value} value={value}>
              {value === 0 ? t("limit.none") : speed(value)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

function ChunkSection({ download }: { download: Download }) {
  const chunks = useSignal<Chunks | null>(null);
  const error = useSignal<string | null>(null);
  const live = useRef(download);
  live.current = download;
  const { id } = download;

  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    let shown = "";
    const ask = async (): Promise<void> => {
      const now = `${live.current.state} ${live.current.chunks_done} ${live.current.done_bytes}`;
      if (now !== shown && document.visibilityState === "visible") {
        try {
          chunks.value = await api.chunks(id, abort.signal);
          error.value = null;
          shown = now;
        } catch (reason) {
          if (abort.signal.aborted) return;
          error.value = sentence(reason);
        }
      }
      if (!abort.signal.aborted) timer = setTimeout(() => void ask(), MAP_MS);
    };
    void ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [id]);

  const names = sourceKeys(download, chunks.value);
  const joined = names.join("\n");
  const styleOf = useCallback(
    (source: string | number | null): number => {
      const key = typeof source === "number" ? (live.current.sources[source]?.host ?? "") : (source ?? "");
      const index = key === "" ? -1 : names.indexOf(key);
      return index < 0 ? -1 : index % SOURCE_STYLES;
    },
    [joined],
  );
  const bySource = useMemo(
    () => new Map(download.sources.map((source) => [keyOf(source), source])),
    [download.sources],
  );
  const total = chunks.value?.total ?? 0;
  return (
    <section class="chunks" aria-labelledby="chunks-title">
      <h2 id="chunks-title">{t("chunks.title")}</h2>
      {error.value && <p class="bad">{error.value}</p>}
      {chunks.value && total > 0 && (
        <ChunkMap
          chunks={chunks.value}
          styleOf={styleOf}
          label={t("chunks.label", { done: download.chunks_done, total: download.chunks_total })}
        />
      )}
      {names.length > 0 && (
        <ul class="sources" aria-label={t("sources.title")}>
          {names.map((name, index) => (
            <SourceRow
              key={name}
              name={name}
              style={index % SOURCE_STYLES}
              source={bySource.get(name)}
              open={isOpen(download)}
            />
          ))}
        </ul>
      )}
      {names.length === 0 && isOpen(download) && <p class="muted">{t("sources.none")}</p>}
    </section>
  );
}

/** Of more chunks than this the record is not added up: that would keep others from the database for too long. */
const GIVEN_MAX = 200_000;

/** Who gave how much of a finished download, also long after. */
function GivenSection({ download }: { download: Download }) {
  const given = useSignal<Given[]>([]);
  const error = useSignal<string | null>(null);
  const { id } = download;
  useEffect(() => {
    if (download.chunks_total === 0 || download.chunks_total > GIVEN_MAX) return;
    const abort = new AbortController();
    api.given(id, abort.signal).then(
      // Small files are recorded without their source: who gave nothing but those is not known.
      (sources) => (given.value = sources.some((one) => one.host !== null) ? sources : []),
      (reason) => {
        if (!abort.signal.aborted) error.value = sentence(reason);
      },
    );
    return () => abort.abort();
  }, [id]);
  const all = given.value.reduce((sum, one) => sum + one.bytes, 0);
  const banned = download.sources.filter((source) => source.state === "banned" && source.error);
  if (all === 0 && banned.length === 0 && !error.value) return null;
  const name = ({ host }: Given): string =>
    host === null ? t("unknown") : hosts.get(host) || host.includes(":") ? hostName(host) : t("host.gone");
  return (
    <section class="given" aria-labelledby="given-title">
      <h2 id="given-title">{t("given.title")}</h2>
      {error.value && <p class="bad">{error.value}</p>}
      {given.value.length === 1 && <p>{t("given.one", { name: name(given.value[0]!) })}</p>}
      {given.value.length > 1 && (
        <>
          <div class="given-bar" aria-hidden="true">
            {given.value.map((one, index) => (
              <span
                key={one.host}
                style={{ flexGrow: one.bytes, background: `var(--source-${index % SOURCE_STYLES})` }}
              />
            ))}
          </div>
          <ul class="sources" aria-label={t("given.title")}>
            {given.value.map((one, index) => (
              <li key={one.host}>
                <Swatch style={index % SOURCE_STYLES} />
                <span class="source-name">{name(one)}</span>
                <span />
                <span class="source-speed muted">{percent(one.bytes, all)}</span>
                <span class="source-bytes">{bytes(one.bytes)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {banned.map((source) => (
        <p key={keyOf(source)} class="bad small">
          {hostName(keyOf(source))}: {source.error}
        </p>
      ))}
    </section>
  );
}

const keyOf = (source: Source): string => source.host || source.address;

/** The sources in a steady order: those listed now, then those that only the map still names. */
function sourceKeys(download: Download, chunks: Chunks | null): string[] {
  const keys = new Set(download.sources.map(keyOf));
  for (const [, , , source] of chunks?.runs ?? [])
    if (typeof source === "string" && source !== "") keys.add(source);
  return [...keys];
}

function SourceRow({
  name,
  style,
  source,
  open,
}: {
  name: string;
  style: number;
  source: Source | undefined;
  open: boolean;
}) {
  const state = source?.state ?? "idle";
  return (
    <li>
      <Swatch style={style} />
      <span class="source-name" title={source?.address}>
        <HostName id={name} />
        {source && hostName(name) === name && source.address !== name && (
          <span class="muted"> {source.address}</span>
        )}
      </span>
      <span class={`muted source-state ${state}`}>{source && open ? t(`source.${state}` as Key) : ""}</span>
      <span class="source-speed">{source && source.speed_bps > 0 ? speed(source.speed_bps) : ""}</span>
      <span class="source-bytes">{source ? bytes(source.bytes) : ""}</span>
      {source?.error && <span class="bad source-error">{source.error}</span>}
    </li>
  );
}
