// Which offers of files open a dialog, and which wait in a quiet line: the page stays usable however often somebody offers.

import { computed, signal } from "@preact/signals";
import type { Incoming } from "../types";
import { hosts, incoming } from "./store";
import { dialog } from "./ui";

/** How many dialogs may open within some time, milliseconds, before one is accepted: of one sender, and of all. */
const WITHIN_MS = 5 * 60_000;
const OF_ONE = 2;
const OF_ALL = 6;

/** When dialogs opened, by sender. */
const opened = new Map<string, number[]>();
/** Offers that wait without a dialog. */
const quiet = signal<ReadonlySet<number>>(new Set());

const isPaired = (one: Incoming): boolean =>
  one.from.host !== null && hosts.get(one.from.host)?.paired === true;
/** A host that is not paired is its address: keys cost nothing. */
const senderOf = (one: Incoming): string => (isPaired(one) ? one.from.host! : one.from.address);

function recent(sender: string): number[] {
  const since = Date.now() - WITHIN_MS;
  const times = (opened.get(sender) ?? []).filter((time) => time > since);
  if (times.length > 0) opened.set(sender, times);
  else opened.delete(sender);
  return times;
}

/** Whether a dialog may ask about it; else it waits in the quiet line. */
export function isLoud(one: Incoming): boolean {
  if (quiet.peek().has(one.id)) return false;
  const all = [...opened.keys()].reduce((sum, sender) => sum + recent(sender).length, 0);
  if (recent(senderOf(one)).length < OF_ONE && (isPaired(one) || all < OF_ALL)) return true;
  const waiting = asking().filter((other) => quiet.peek().has(other.id));
  quiet.value = new Set([...waiting, one].map((other) => other.id));
  return false;
}

/** Opens the dialog of an offer. */
export function openOffer(one: Incoming): void {
  const sender = senderOf(one);
  opened.set(sender, [...recent(sender), Date.now()]);
  dialog.value = { kind: "incoming", id: one.id };
}

const asking = (): Incoming[] =>
  incoming
    .all()
    .filter((one) => one.state === "asking")
    .sort((a, b) => a.id - b.id);

/** After an answer: the next dialog, if there is one. */
export function openNextOffer(): void {
  const next = asking().find(isLoud);
  if (next) openOffer(next);
}

/** Who was accepted once is asked about as at first. */
export function wasAccepted(one: Incoming): void {
  const sender = senderOf(one);
  opened.delete(sender);
  const rest = [...quiet.peek()].filter((id) => {
    const other = incoming.get(id);
    return other !== undefined && senderOf(other) !== sender;
  });
  quiet.value = new Set(rest);
}

/** What waits in the quiet line, oldest first. */
export const quietOffers = computed(() => asking().filter((one) => quiet.value.has(one.id)));

/** All that wait for an answer of this address. */
export const askingFrom = (address: string): Incoming[] =>
  asking().filter((one) => one.from.address === address);
