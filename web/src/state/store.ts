// Everything the page knows, as signals, and the one event stream that keeps it true.
//
// A list is a signal of ids and one signal a thing, so a row repaints only when its own thing changed. Events are
// applied together, at least a quarter of a second apart: a row repaints at most four times a second.

import { type Signal, batch, computed, signal } from "@preact/signals";
import { ApiError, type ServerEvent, api, readEvents } from "../api";
import { t } from "../i18n";
import { background, go, notify, route } from "./ui";
import type {
  Connection,
  Download,
  Host,
  LogLine,
  Message,
  Scan,
  Settings,
  Share,
  Status,
  Unread,
} from "../types";

/** Least time between two applications of events, milliseconds. */
const MERGE_MS = 250;
/** The server sends a comment every 15 s; a stream silent for longer than this is dead, milliseconds. */
const SILENCE_MS = 40_000;
/** First and longest pause before the next try to connect, milliseconds. */
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 8_000;
/** Log lines that the page keeps. */
const LOG_MAX = 1000;
/** Messages that are loaded at once. */
export const MESSAGES_PAGE = 500;

/**
 * Things by id, each in a signal of its own. What is put is the newest that is known: an event of the same thing that
 * came before it and waits is dropped, or a row would fall back for a moment, and a click on it hit the wrong button.
 */
export class Table<K extends string | number, T extends { id: K }> {
  readonly ids = signal<readonly K[]>([]);
  readonly loaded = signal(false);
  private readonly things = new Map<K, Signal<T>>();

  /** @param kind what the events of these things are called */
  constructor(private readonly kind: string) {}

  get(id: K): T | undefined {
    void this.ids.value;
    return this.things.get(id)?.value;
  }

  signalOf(id: K): Signal<T> | undefined {
    return this.things.get(id);
  }

  all(): T[] {
    return this.ids.value.map((id) => this.things.get(id)!.value);
  }

  put(thing: T): void {
    waiting.delete(keyOf(this.kind, thing.id));
    const known = this.things.get(thing.id);
    if (known) known.value = thing;
    else {
      this.things.set(thing.id, signal(thing));
      this.ids.value = [...this.ids.peek(), thing.id];
    }
  }

  remove(id: K): void {
    waiting.delete(keyOf(this.kind, id));
    if (!this.things.delete(id)) return;
    this.ids.value = this.ids.peek().filter((other) => other !== id);
  }

  replace(things: readonly T[]): void {
    const kept = new Set(things.map((thing) => thing.id));
    for (const id of this.things.keys()) if (!kept.has(id)) this.things.delete(id);
    for (const thing of things) {
      const known = this.things.get(thing.id);
      if (known) known.value = thing;
      else this.things.set(thing.id, signal(thing));
    }
    this.ids.value = things.map((thing) => thing.id);
    this.loaded.value = true;
  }
}

export const status = signal<Status | null>(null);
export const hosts = new Table<string, Host>("host");
export const downloads = new Table<number, Download>("download");
export const connections = new Table<number | string, Connection>("connection");
export const messages = new Table<number, Message>("message");
export const settings = signal<Settings | null>(null);
export const log = signal<LogLine[]>([]);
/** Goes up when something in the shared folder may have changed. */
export const shareRevision = signal(0);

/** Parts of the API that this server does not have; their views are not shown. */
export const missing = signal<ReadonlySet<Feature>>(new Set());
export type Feature = "share" | "connections" | "messages" | "settings" | "traffic" | "log" | "search";

export type Link = "connecting" | "live" | "lost" | "locked";
/** The event stream: not there yet, working, broken, or closed until a token is given. */
export const link = signal<Link>("connecting");
/** The server's version when the page was loaded; another one later means that the page is old. */
export const firstVersion = signal("");

/** Content that is here or on its way, by root: what a file list shows beside its entries. */
export const byRoot = computed(() => {
  const map = new Map<string, Download>();
  for (const download of downloads.all()) {
    if (download.root && download.state !== "cancelled") map.set(download.root, download);
  }
  return map;
});

export const speeds = computed(() => status.value?.speed ?? { down_bps: 0, up_bps: 0 });

/** Messages that nobody has read yet, by the host that sent them. */
export const unreadBy = signal<Readonly<Record<string, number>>>({});
export const unread = computed(() => Object.values(unreadBy.value).reduce((sum, count) => sum + count, 0));
/** Whether there are older messages than those that are loaded. */
export const moreMessages = signal(false);

export function takeUnread(now: Unread): void {
  unreadBy.value = now.unread_by_host;
}

/** A host's name by its id; its id while it is unknown. */
export function hostName(id: string | null): string {
  if (id === null || id === "") return "";
  return hosts.get(id)?.name || id;
}

/** What a message's sender is called: as it is known here, else as it called itself. */
export const senderName = (message: Message): string =>
  hosts.get(message.from)?.name || message.from_name || message.from;

// ---- loading ----

/** Loads a part that an older or smaller server may not have. */
export async function optional<T>(feature: Feature, load: () => Promise<T>): Promise<T | undefined> {
  try {
    const value = await load();
    if (missing.peek().has(feature)) setMissing(feature, false);
    return value;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 404 || error.status === 501)) {
      setMissing(feature, true);
      return undefined;
    }
    throw error;
  }
}

function setMissing(feature: Feature, absent: boolean): void {
  const next = new Set(missing.peek());
  if (absent) next.add(feature);
  else next.delete(feature);
  missing.value = next;
}

/** The oldest message of the page that was loaded; older ones are there only where somebody asked for them. */
let firstMessage = 0;

/** Parts of the state that are loaded once a view wants them, and again after a reset. */
const loaders = {
  messages: async () => {
    const before = new Set(messages.ids.peek());
    const page = await optional("messages", () => api.messages({ limit: MESSAGES_PAGE }));
    if (!page) return;
    const first = page.more ? (page.messages[0]?.id ?? 0) : 0;
    batch(() => {
      // Older ones that were fetched on demand stay, and what came by the stream while the page was on its way.
      const last = page.messages.at(-1)?.id ?? 0;
      const older = messages.loaded.peek() ? messages.all().filter((message) => message.id < first) : [];
      const newer = messages.all().filter((message) => message.id > last && !before.has(message.id));
      firstMessage = first;
      messages.replace([...older, ...page.messages, ...newer]);
      moreMessages.value = page.more;
      takeUnread(page);
    });
  },
  connections: async () => {
    const list = await optional("connections", api.connections);
    if (list) connections.replace(list);
  },
  log: async () => {
    const lines = await optional("log", api.log);
    if (lines) log.value = lines;
  },
  settings: async () => {
    const value = await optional("settings", api.settings);
    if (value) settings.value = value;
  },
  share: async () => {
    await optional("share", () => api.shareFiles({ limit: 1 }));
  },
};
export type Part = keyof typeof loaders;
const wanted = new Set<Part>();

/** Loads a part now, and keeps it current from then on. */
export function want(part: Part): Promise<void> {
  wanted.add(part);
  return loaders[part]();
}

/** Loads everything that events keep current. */
async function load(): Promise<void> {
  const [now, hostList, downloadList] = await Promise.all([api.status(), api.hosts(), api.downloads()]);
  batch(() => {
    status.value = now;
    if (firstVersion.peek() === "") firstVersion.value = now.version;
    hosts.replace(hostList);
    downloads.replace(downloadList);
    shareRevision.value++;
  });
  // A part that fails now is asked for again by its view; the page itself works without it.
  const parts = [...wanted].filter((part) => !missing.peek().has(part));
  await Promise.allSettled(parts.map((part) => loaders[part]()));
}

// ---- events ----

/** Events that came and are not applied yet, the last of each thing. */
const waiting = new Map<string, ServerEvent>();
const keyOf = (kind: string, id: string | number): string => `${kind} ${id}`;
let flushTimer: ReturnType<typeof setTimeout> | undefined;
let flushedAt = -MERGE_MS;
let lastId = "";
/** Whether something may have been missed that no replay brings back: load everything at the next chance. */
let stale = true;

interface Ended {
  id: string | number;
  removed?: boolean;
}

function take(event: ServerEvent): void {
  const data = event.data as Partial<Ended> | undefined;
  // Log lines have no id and each counts; of every other thing only the last word does.
  const key = keyOf(event.type, event.type === "log" ? event.id : (data?.id ?? ""));
  waiting.set(key, event);
  flushTimer ??= setTimeout(flush, Math.max(0, flushedAt + MERGE_MS - performance.now()));
}

function flush(): void {
  flushTimer = undefined;
  flushedAt = performance.now();
  const events = [...waiting.values()];
  waiting.clear();
  batch(() => {
    const lines: LogLine[] = [];
    const ended: Download[] = [];
    for (const event of events) {
      if (event.data === undefined || event.data === null) continue;
      if (event.type === "log") lines.push(event.data as LogLine);
      else {
        if (event.type === "download" && hasEnded(event.data as Download)) ended.push(event.data as Download);
        apply(event);
      }
    }
    announce(ended);
    // A line may come by the stream and with the list.
    const last = log.peek().at(-1)?.number ?? 0;
    const fresh = lines.filter((line) => line.number > last);
    if (fresh.length > 0) log.value = [...log.peek(), ...fresh].slice(-LOG_MAX);
  });
}

/** Whether a download that was under way is over now; one that the list did not have began after it was loaded. */
function hasEnded(now: Download): boolean {
  const before = downloads.signalOf(now.id)?.peek().state;
  if (before === now.state || !downloads.loaded.peek()) return false;
  return now.state === "done" || now.state === "failed";
}

/** Tells the person what has ended, unless the list of downloads is on the screen and shows it. */
function announce(ended: Download[]): void {
  const done = ended.filter((one) => one.state === "done");
  if (done.length > 0) {
    const one = done.length === 1 ? done[0]! : undefined;
    const text = one ? t("notice.done", { name: one.name }) : t("notice.done.many", { n: done.length });
    background("hostpair", text, `done ${done[0]!.id}`, () =>
      one ? go("downloads", one.id) : go("downloads"),
    );
  }
  if (route.peek().path[0] === "downloads") return;
  const show = (to: string): { label: string; run: () => void } => ({
    label: t("show"),
    run: () => (location.hash = to),
  });
  if (done.length === 1) {
    notify("good", t("notice.done", { name: done[0]!.name }), show(`#/downloads/${done[0]!.id}`));
  } else if (done.length > 1) notify("good", t("notice.done.many", { n: done.length }), show("#/downloads"));
  for (const one of ended.filter((other) => other.state === "failed").slice(0, 2)) {
    notify(
      "bad",
      t("notice.failed", { name: one.name, reason: one.error?.detail ?? "" }),
      show(`#/downloads/${one.id}`),
    );
  }
}

function apply(event: ServerEvent): void {
  switch (event.type) {
    case "status":
      status.value = event.data as Status;
      // Read on another page, or removed: only the server knows which.
      if (wanted.has("messages") && status.value.messages && status.value.messages.unread !== unread.peek())
        void countUnread();
      break;
    case "settings":
      settings.value = event.data as Settings;
      break;
    case "scan":
      if (status.peek()) status.value = { ...status.peek()!, scan: event.data as Scan };
      break;
    case "share":
      if (status.peek()) {
        status.value = {
          ...status.peek()!,
          share: { ...status.peek()!.share, ...(event.data as Share) },
        };
      }
      shareRevision.value++;
      break;
    case "host":
      putOrRemove(hosts, event.data as Host & Ended);
      break;
    case "download":
      putOrRemove(downloads, event.data as Download & Ended);
      break;
    case "connection":
      putOrRemove(connections, event.data as Connection & Ended);
      break;
    case "message": {
      const message = event.data as Message & Ended;
      // News of one that is not loaded would stand there alone.
      if (messages.signalOf(message.id) === undefined && message.id < firstMessage) break;
      if (!message.removed) arrived(message);
      putOrRemove(messages, message);
      break;
    }
  }
}

let counting = false;

async function countUnread(): Promise<void> {
  if (counting) return;
  counting = true;
  // What is wrong here mends itself with the next message or status.
  await api.messages({ limit: 1 }).then(takeUnread, () => {});
  counting = false;
}

/** Counts a message that has just come in, and tells the person unless its conversation is on the screen. */
function arrived(message: Message): void {
  if (!message.incoming || !message.unread || messages.signalOf(message.id) !== undefined) return;
  unreadBy.value = { ...unreadBy.peek(), [message.from]: (unreadBy.peek()[message.from] ?? 0) + 1 };
  const from = senderName(message);
  const text = message.text || t("message.offers", { name: message.offer?.path ?? "" });
  const show = (): void => go("messages", message.from);
  if (background(from, text, `message ${message.uid}`, show)) return;
  const [view, open] = route.peek().path;
  if (view === "messages" && (open === undefined || open === message.from)) return;
  notify("info", t("notice.message", { from, text: text.slice(0, 120) }), { label: t("show"), run: show });
}

function putOrRemove<K extends string | number, T extends { id: K }>(
  table: Table<K, T>,
  thing: T & Ended,
): void {
  if (thing.removed) table.remove(thing.id);
  else table.put(thing);
}

// ---- the link ----

let abort: AbortController | undefined;
let wake: (() => void) | undefined;

/** Tries to connect now instead of after the pause. */
export function reconnect(): void {
  wake?.();
}

/** A pause that reconnect() and a returning network end early. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      wake = undefined;
      resolve();
    }
    wake = done;
  });
}

/** Connects, and connects again, for as long as the page lives. */
export async function run(): Promise<void> {
  addEventListener("online", reconnect);
  addEventListener("pagehide", () => abort?.abort());
  let delay = RETRY_MIN_MS;
  for (;;) {
    await streamAllowed();
    const attempt = new AbortController();
    abort = attempt;
    let watchdog: ReturnType<typeof setTimeout> | undefined;
    const alive = (): void => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => attempt.abort(), SILENCE_MS);
    };
    // Everything is loaded after the stream is open, so that no change falls between the two.
    const reload = (): void => {
      stale = true;
      waiting.clear();
      load().then(
        () => (stale = false),
        () => attempt.abort(),
      );
    };
    try {
      alive();
      await readEvents(stale ? "" : lastId, attempt.signal, {
        onOpen: () => {
          link.value = "live";
          delay = RETRY_MIN_MS;
          // Without an id nothing is replayed.
          if (stale || lastId === "") reload();
        },
        onBytes: alive,
        onEvent: (event) => {
          if (event.id !== "") lastId = event.id;
          if (event.type === "reset") reload();
          else take(event);
        },
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        link.value = "locked";
        return;
      }
    } finally {
      clearTimeout(watchdog);
      attempt.abort();
    }
    if (hiddenPause) {
      hiddenPause = false;
      continue;
    }
    link.value = "lost";
    await pause(delay * (0.75 + Math.random() / 2));
    delay = Math.min(delay * 2, RETRY_MAX_MS);
  }
}

// A browser opens at most six connections to one server, and a stream holds one. So of the tabs in the background
// only one keeps its stream; the others catch up by Last-Event-ID when they are looked at again.

/** How long a tab in the background may go on streaming, milliseconds. */
const HIDDEN_MS = 30_000;
let hiddenPause = false;
let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
let releaseLock: (() => void) | undefined;

function streamAllowed(): Promise<void> {
  if (document.visibilityState === "visible" || releaseLock) return Promise.resolve();
  return new Promise((resolve) => {
    const listener = (): void => {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", listener);
      resolve();
    };
    document.addEventListener("visibilitychange", listener);
  });
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.visibilityState === "visible") {
    releaseLock?.();
    releaseLock = undefined;
    reconnect();
    return;
  }
  hiddenTimer = setTimeout(() => void leaveStream(), HIDDEN_MS);
});

async function leaveStream(): Promise<void> {
  const kept = await new Promise<boolean>((decided) => {
    if (!("locks" in navigator)) return decided(false);
    void navigator.locks.request("hostpair-background", { ifAvailable: true }, (lock) => {
      if (!lock) return decided(false);
      return new Promise<void>((release) => {
        releaseLock = release;
        decided(true);
      });
    });
  });
  if (kept || document.visibilityState === "visible") return;
  hiddenPause = true;
  abort?.abort();
}
