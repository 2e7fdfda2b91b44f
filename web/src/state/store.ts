// What the page knows about this host and the others, as signals. loading.ts fills them, events.ts keeps them current.

import { computed, signal } from "@preact/signals";
import type {
  Connection,
  Download,
  Group,
  Host,
  Incoming,
  LogLine,
  Look,
  Message,
  Pairing,
  Push,
  Settings,
  Status,
  Unread,
} from "../types";
import { Table } from "./table";

export const status = signal<Status | null>(null);
export const hosts = new Table<string, Host>("host");
/** Those with LocalSend, which are hosts for the server: they can be sent files and have none to show. */
export const devices = new Table<string, Host>("host");
export const tableOf = (id: string): Table<string, Host> => (id.startsWith("localsend-") ? devices : hosts);
export const downloads = new Table<number, Download>("download");
export const connections = new Table<number, Connection>("connection");
export const messages = new Table<number, Message>("message");
/** The last pairing with each host, by its id. */
export const pairings = signal<Readonly<Record<string, Pairing>>>({});
/** What others want to give to this host, and gave. */
export const incoming = new Table<number, Incoming>("inbox");
/** What was offered to other hosts. */
export const pushes = new Table<number, Push>("push");
/** The groups that this host is in. */
export const groups = new Table<number, Group>("group");
/** The last look of the doctor that was told of. */
export const look = signal<Look | null>(null);
export const settings = signal<Settings | null>(null);
export const log = signal<LogLine[]>([]);
/** Goes up when something in the shared folder may have changed. */
export const shareRevision = signal(0);
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
  return tableOf(id).get(id)?.name || id;
}

/** Whether two people still have something to do for it. */
export const isOpenPairing = (pairing: Pairing | undefined): boolean =>
  pairing !== undefined && ["waiting", "confirm", "confirmed"].includes(pairing.state);

export function putPairing(pairing: Pairing): void {
  pairings.value = { ...pairings.peek(), [pairing.host]: pairing };
}

const STEPS = ["waiting", "confirm", "confirmed"]; // and then it is over
const stepOf = (one: Pairing): number => {
  const at = STEPS.indexOf(one.state);
  return at < 0 ? STEPS.length : at;
};

/** The answer to a call, unless an event that overtook it has told more of the same pairing. */
export function putPairingAnswer(answer: Pairing): void {
  const now = pairings.peek()[answer.host];
  if (now?.expires_at === answer.expires_at && stepOf(now) > stepOf(answer)) return;
  putPairing(answer);
}

/** What a message's sender is called: as it is known here, else as it called itself. */
export const senderName = (message: Message): string =>
  hosts.get(message.from)?.name || message.from_name || message.from;
