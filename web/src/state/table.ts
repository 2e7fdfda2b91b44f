// A list of things: one signal of ids and one signal a thing, so that a row repaints only when its own thing changed.

import { type Signal, signal } from "@preact/signals";
import { drop } from "./pending";

/**
 * Things by id, each in a signal of its own. What is put is the newest that is known. An older event of the same thing
 * may still be pending; it is dropped, or the row would fall back for a moment and a click would hit the wrong button.
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
    drop(this.kind, thing.id);
    const known = this.things.get(thing.id);
    if (known) known.value = thing;
    else {
      this.things.set(thing.id, signal(thing));
      this.ids.value = [...this.ids.peek(), thing.id];
    }
  }

  remove(id: K): void {
    drop(this.kind, id);
    if (!this.things.delete(id)) return;
    this.ids.value = this.ids.peek().filter((other) => other !== id);
  }

  /** Removes many at once: one repaint, however long the list is. */
  removeAll(ids: readonly K[]): void {
    const gone = new Set(ids.filter((id) => this.things.delete(id)));
    for (const id of ids) drop(this.kind, id);
    if (gone.size > 0) this.ids.value = this.ids.peek().filter((id) => !gone.has(id));
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
