// Events that have arrived and are not applied yet: the last one of each thing.

import type { ServerEvent } from "../api";

const pending = new Map<string, ServerEvent>();
const keyOf = (kind: string, id: string | number): string => `${kind} ${id}`;

export function hold(event: ServerEvent): void {
  const data = event.data as { id?: string | number; host?: string } | undefined;
  const id = (event.type === "pairing" ? data?.host : data?.id) ?? "";
  // Log lines have no id, and each line counts; of every other thing only the last event does.
  pending.set(keyOf(event.type, event.type === "log" ? event.id : id), event);
}

/** Drops the event of one thing, because something newer is known of it. */
export function drop(kind: string, id: string | number): void {
  pending.delete(keyOf(kind, id));
}

export function dropAll(): void {
  pending.clear();
}

/** Hands out what is held, in the order in which each thing's event arrived first. */
export function takeAll(): ServerEvent[] {
  const events = [...pending.values()];
  pending.clear();
  return events;
}
