// Fills the signals of store.ts from the server: all of it at first and after a gap, single parts when a view wants them.

import { batch, signal } from "@preact/signals";
import { ApiError, api } from "../api";
import {
  connections,
  devices,
  downloads,
  firstVersion,
  groups,
  hosts,
  incoming,
  log,
  messages,
  moreMessages,
  pairings,
  pushes,
  settings,
  shareRevision,
  status,
  tableOf,
  takeUnread,
} from "./store";

/** Messages that are loaded at once. */
export const MESSAGES_PAGE = 500;

/** Parts of the API that this server does not have; their views are not shown. */
export const missing = signal<ReadonlySet<Feature>>(new Set());
export type Feature =
  | "share"
  | "connections"
  | "messages"
  | "settings"
  | "traffic"
  | "log"
  | "search"
  | "pairing"
  | "groups"
  | "inbox"
  | "push";

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

/** The oldest message of the page that was loaded; older ones are there only where a person asked for them. */
let firstMessage = 0;

/** Whether a message is older than what is loaded: it would stand there without its neighbours. */
export const isBeforeLoaded = (id: number): boolean => id < firstMessage;

/** Parts of the state that are loaded once a view wants them, and again after a gap. */
const loaders = {
  messages: async () => {
    const before = new Set(messages.ids.peek());
    const page = await optional("messages", () => api.messages({ limit: MESSAGES_PAGE }));
    if (!page) return;
    const first = page.more ? (page.messages[0]?.id ?? 0) : 0;
    batch(() => {
      // Older ones that were fetched on demand stay, and so does what an event brought meanwhile.
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
  pairing: async () => {
    const list = await optional("pairing", api.pairings);
    if (list) pairings.value = Object.fromEntries(list.map((one) => [one.host, one]));
  },
  groups: async () => {
    const list = await optional("groups", api.groups);
    if (list) groups.replace(list);
  },
  inbox: async () => {
    const before = new Set(incoming.ids.peek());
    const list = await optional("inbox", api.inbox);
    if (!list) return;
    // An offer that an event brought meanwhile may be newer than the list.
    const known = new Set(list.map((one) => one.id));
    const newer = incoming.all().filter((one) => !before.has(one.id) && !known.has(one.id));
    incoming.replace([...newer, ...list]);
  },
  push: async () => {
    const list = await optional("push", api.pushes);
    if (list) pushes.replace(list);
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

export const isWanted = (part: Part): boolean => wanted.has(part);

/** Loads a part now, and again after every gap in the events. */
export function want(part: Part): Promise<void> {
  wanted.add(part);
  return loaders[part]();
}

/** Loads everything that events keep current. */
export async function loadAll(): Promise<void> {
  const [now, hostList, downloadList] = await Promise.all([api.status(), api.hosts(), api.downloads()]);
  batch(() => {
    status.value = now;
    if (firstVersion.peek() === "") firstVersion.value = now.version;
    for (const table of [hosts, devices]) table.replace(hostList.filter(({ id }) => tableOf(id) === table));
    downloads.replace(downloadList);
    shareRevision.value++;
  });
  // A part that fails now is asked for again by its view; the page itself works without it.
  const parts = [...wanted].filter((part) => !missing.peek().has(part));
  await Promise.allSettled(parts.map((part) => loaders[part]()));
}
