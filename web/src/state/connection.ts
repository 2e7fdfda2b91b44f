// The event stream that keeps the page current, shared by all tabs of a browser.
//
// A browser opens at most six connections to one server, and a stream holds one for good. So of all tabs one reads the
// stream: the one that holds the Web Lock. It passes everything on by a BroadcastChannel, and every tab, itself
// included, goes through hear(). When the reading tab ends, the lock goes to another one, which resumes the stream at
// the last event that it heard. A reading tab that falls silent (a browser may freeze tabs) loses the lock to a tab
// that a person looks at.
//
// Web Locks exist only where the browser trusts the origin (https, localhost). Elsewhere every tab has a stream of its
// own, and closes it soon after it goes to the background; it catches up by Last-Event-ID when a person returns to it.

import { signal } from "@preact/signals";
import { ApiError, type ServerEvent, readEvents } from "../api";
import { take } from "./events";
import { loadAll } from "./loading";
import { dropAll } from "./pending";

/** The server sends a comment every 15 s; a stream silent for longer than this is dead, milliseconds. */
const SILENCE_MS = 40_000;
/** Least time between two signs of life to the other tabs, milliseconds. */
const ALIVE_MS = 5_000;
/** First and longest pause before the next try to connect, milliseconds. */
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 8_000;
/** How long a tab in the background keeps a stream of its own, milliseconds. */
const HIDDEN_MS = 1_000;

const LOCK = "hostpair-events";

export type Link = "connecting" | "live" | "lost" | "locked";
/** The event stream: not there yet, working, broken, or closed until a token is given. */
export const link = signal<Link>("connecting");

/** What the reading tab tells the others. */
type News =
  /** The stream is open. Without `resumed`, what happened before is not told again. */
  | { kind: "open"; resumed: boolean }
  | { kind: "event"; event: ServerEvent }
  | { kind: "alive" }
  | { kind: "lost" }
  | { kind: "locked" }
  /** From a tab that has just come: how is the stream? */
  | { kind: "hello" }
  /** From a tab where a person does not want to wait for the next try. */
  | { kind: "reconnect" };

const shares = "locks" in navigator && "BroadcastChannel" in window;
const channel = shares ? new BroadcastChannel(LOCK) : null;

/** Whether this tab reads the stream, or waits for its turn to. */
let reading = false;
let queued = false;
/** Whether the tab is being closed, or leaves for another page. */
let leaving = false;
let lastId = "";
/** Whether something may have been missed that no replay brings back: load everything at the next chance. */
let stale = true;
let abort: AbortController | undefined;
let wake: (() => void) | undefined;

// ---- every tab ----

function hear(news: News): void {
  if (!reading) watch();
  switch (news.kind) {
    case "open":
      if (link.peek() === "locked" && !queued) void run();
      link.value = "live";
      if (stale || !news.resumed) reload();
      break;
    case "event":
      if (news.event.id !== "") lastId = news.event.id;
      if (news.event.type === "reset") reload();
      else take(news.event);
      break;
    case "lost":
      link.value = "lost";
      break;
    case "locked":
      link.value = "locked";
      break;
    case "hello":
      if (reading && link.peek() === "live") tell({ kind: "open", resumed: true });
      else if (reading && link.peek() === "lost") tell({ kind: "lost" });
      break;
    case "reconnect":
      wake?.();
      break;
    case "alive":
      break;
  }
}

/** Loads everything; the stream is open by now, so that no change falls between the two. */
function reload(): void {
  stale = true;
  dropAll();
  loadAll().then(
    () => (stale = false),
    () => {
      if (reading) abort?.abort();
      else setTimeout(() => !reading && stale && link.peek() === "live" && reload(), RETRY_MAX_MS / 2);
    },
  );
}

/** Tries to connect now instead of after the pause. */
export function reconnect(): void {
  if (reading) wake?.();
  else tell({ kind: "reconnect" });
}

function tell(news: News): void {
  channel?.postMessage(news);
}

// ---- which tab reads ----

let watchdog: ReturnType<typeof setTimeout> | undefined;

/** Waits for the reading tab's next word; without one this tab takes over. */
function watch(): void {
  clearTimeout(watchdog);
  watchdog = setTimeout(() => {
    if (!reading && document.visibilityState === "visible") void takeTurn(true);
    else watch();
  }, SILENCE_MS);
}

/** Reads the stream as soon as no other tab does; `steal` takes it away from one that is silent. */
async function takeTurn(steal = false): Promise<void> {
  queued = true;
  try {
    await navigator.locks.request(LOCK, steal ? { steal } : {}, async () => {
      reading = true;
      clearTimeout(watchdog);
      await read();
    });
  } catch {
    // Another tab took the lock away: this one listens again, and waits for its turn.
    abort?.abort();
    reading = false;
    watch();
    void takeTurn();
    return;
  }
  reading = false;
  queued = false;
}

/** Keeps the page current from now on. */
export async function run(): Promise<void> {
  if (!shares) {
    reading = true;
    return read();
  }
  watch();
  tell({ kind: "hello" });
  return takeTurn();
}

channel?.addEventListener("message", (event: MessageEvent<News>) => hear(event.data));
addEventListener("online", reconnect);
addEventListener("pageshow", () => (leaving = false));
addEventListener("pagehide", () => {
  leaving = true;
  abort?.abort();
});

// ---- the tab that reads ----

/** Hears something, and passes it on. */
function pass(news: News): void {
  tell(news);
  hear(news);
}

/** Connects, and connects again, until the server wants a token or another tab has the turn. */
async function read(): Promise<void> {
  let delay = RETRY_MIN_MS;
  while (reading) {
    await inSight();
    const attempt = new AbortController();
    abort = attempt;
    let silence: ReturnType<typeof setTimeout> | undefined;
    let told = 0;
    const alive = (): void => {
      clearTimeout(silence);
      silence = setTimeout(() => attempt.abort(), SILENCE_MS);
      if (performance.now() - told < ALIVE_MS) return;
      told = performance.now();
      tell({ kind: "alive" });
    };
    // Without an id nothing is replayed.
    const from = stale ? "" : lastId;
    try {
      alive();
      await readEvents(from, attempt.signal, {
        onOpen: () => {
          delay = RETRY_MIN_MS;
          pass({ kind: "open", resumed: from !== "" });
        },
        onBytes: alive,
        onEvent: (event) => pass({ kind: "event", event }),
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        pass({ kind: "locked" });
        return;
      }
    } finally {
      clearTimeout(silence);
      attempt.abort();
    }
    if (!reading || restsHidden()) continue;
    if (!leaving) pass({ kind: "lost" });
    await pause(delay * (0.75 + Math.random() / 2));
    delay = Math.min(delay * 2, RETRY_MAX_MS);
  }
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

// ---- a stream of its own ----

const restsHidden = (): boolean => !shares && document.visibilityState !== "visible";

/** Waits until a person looks at the tab, where each tab has a stream of its own. */
function inSight(): Promise<void> {
  if (!restsHidden()) return Promise.resolve();
  return new Promise((resolve) => {
    const listener = (): void => {
      if (restsHidden()) return;
      document.removeEventListener("visibilitychange", listener);
      resolve();
    };
    document.addEventListener("visibilitychange", listener);
  });
}

let hiddenTimer: ReturnType<typeof setTimeout> | undefined;

if (!shares) {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (restsHidden()) hiddenTimer = setTimeout(() => restsHidden() && abort?.abort(), HIDDEN_MS);
    else reconnect();
  });
}
