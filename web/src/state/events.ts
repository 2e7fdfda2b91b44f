// Applies the server's events to store.ts, and tells the person what has ended or arrived.
//
// Events are applied together, at least a quarter of a second apart: a row repaints at most four times a second.

import { batch } from "@preact/signals";
import { type ServerEvent, api } from "../api";
import { explain, t } from "../i18n";
import type { Download, Events, Incoming, LogLine, Message, Pairing, Removed } from "../types";
import { isBeforeLoaded, isWanted } from "./loading";
import { isLoud, openOffer } from "./offers";
import { hold, takeAll } from "./pending";
import {
  connections,
  downloads,
  groups,
  hostName,
  incoming,
  log,
  look,
  messages,
  pairings,
  pushes,
  putPairing,
  senderName,
  settings,
  shareRevision,
  status,
  tableOf,
  takeUnread,
  unread,
  unreadBy,
} from "./store";
import type { Table } from "./table";
import { background, dialog, go, notify, route } from "./ui";

/** Least time between two applications of events, milliseconds. */
const MERGE_MS = 250;
/** Log lines that the page keeps. */
const LOG_MAX = 1000;

let timer: ReturnType<typeof setTimeout> | undefined;
let appliedAt = -MERGE_MS;

/** Takes an event; it is applied soon, together with others. */
export function take(event: ServerEvent): void {
  hold(event);
  timer ??= setTimeout(applyPending, Math.max(0, appliedAt + MERGE_MS - performance.now()));
}

function applyPending(): void {
  timer = undefined;
  appliedAt = performance.now();
  const events = takeAll();
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
    // A line may come both by the stream and with the list.
    const last = log.peek().at(-1)?.number ?? 0;
    const fresh = lines.filter((line) => line.number > last);
    if (fresh.length > 0) log.value = [...log.peek(), ...fresh].slice(-LOG_MAX);
  });
}

/** What to do with the data of each event; log lines are collected above, a reset never comes here. */
const appliers: { [K in Exclude<keyof Events, "log" | "reset">]: (data: Events[K]) => void } = {
  status: (data) => {
    status.value = data;
    // Messages were read on another page, or removed: only the server knows which.
    if (isWanted("messages") && data.messages.unread !== unread.peek()) void countUnread();
  },
  doctor: (data) => {
    look.value = data;
  },
  settings: (data) => {
    settings.value = data;
  },
  scan: (scan) => {
    const now = status.peek();
    if (now) status.value = { ...now, scan };
  },
  share: (share) => {
    const now = status.peek();
    if (now) status.value = { ...now, share };
    shareRevision.value++;
  },
  host: (data) => putOrRemove(tableOf(data.id as string), data),
  group: (data) => putOrRemove(groups, data),
  download: (data) => putOrRemove(downloads, data),
  connection: (data) => putOrRemove(connections, data),
  pairing: (data) => {
    const before = pairings.peek()[data.host];
    putPairing(data);
    if (data.incoming && data.state === "confirm" && before?.state !== "confirm") askToPair(data);
  },
  inbox: (data) => {
    const before = incoming.signalOf(data.id as number)?.peek().state;
    putOrRemove(incoming, data);
    if ("removed" in data || before === data.state) return;
    if (before !== undefined) tellOfIncoming(data);
  },
  push: (data) => {
    const before = pushes.signalOf(data.id as number)?.peek().state;
    putOrRemove(pushes, data);
    if (!("removed" in data) && before !== undefined && before !== data.state)
      void import("../parts/push").then((part) => part.tellOfPush(data));
  },
  message: (data) => {
    const { id } = data as { id: number };
    if (messages.signalOf(id) === undefined && isBeforeLoaded(id)) return;
    if (!("removed" in data)) arrived(data);
    putOrRemove(messages, data);
  },
};

/** An event that this page does not know comes from a newer server; it is left alone. */
function apply(event: ServerEvent): void {
  const applier = (appliers as Record<string, ((data: unknown) => void) | undefined>)[event.type];
  applier?.(event.data);
}

function putOrRemove<K extends string | number, T extends { id: K }>(
  table: Table<K, T>,
  thing: T | Removed,
): void {
  if ("removed" in thing) table.remove(thing.id as K);
  else table.put(thing);
}

/** Another host's person wants to pair: the digits are shown at once, unless the person is in the middle of something. */
export function askToPair(pairing: Pairing): void {
  const name = hostName(pairing.host);
  const show = (): void => {
    dialog.value = { kind: "pairing", host: pairing.host };
  };
  background("hostpair", t("pair.asks", { name }), `pairing ${pairing.host}`, show);
  if (dialog.peek() === null) show();
  else notify("info", t("pair.asks", { name }), { label: t("show"), run: show });
}

/** Somebody wants to give files: asked at once, unless the person is in the middle of something, or was asked too often. */
export function askToReceive(one: Incoming): void {
  if (!isLoud(one)) return;
  const text = t("incoming.asks", { name: one.from.name });
  const show = (): void => openOffer(one);
  background("hostpair", text, `inbox ${one.id}`, show);
  if (dialog.peek() === null) show();
  else notify("info", text, { label: t("show"), run: show });
}

/** What a person accepted has come, or does not come any more. */
function tellOfIncoming(one: Incoming): void {
  const done = one.state === "done";
  if (!done && one.state !== "failed" && !(one.state === "cancelled" && one.reason)) return;
  const text = done
    ? t("incoming.came", { name: one.from.name, n: one.files_done })
    : t("incoming.stopped", { name: one.from.name, reason: one.reason ?? "" });
  const show = (): void => go("downloads");
  if (done && background("hostpair", text, `inbox ${one.id}`, show)) return;
  notify(done ? "good" : "bad", text, { label: t("show"), run: show });
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
      t("notice.failed", { name: one.name, reason: explain(one.error?.code ?? "", one.error?.detail ?? "") }),
      show(`#/downloads/${one.id}`),
    );
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
