// One list of files as the server pages it: folders first, then files by cursor. Pages are fetched in order, as far
// as the person has scrolled; the count of rows is known from the first page on.

import { batch, computed, signal } from "@preact/signals";
import { remember, recall, sentence } from "./ui";
import type { FileQuery, SortKey } from "../api";
import type { FileEntry, FilePage, Folder } from "../types";

/** Files in one page. */
const PAGE = 1000;
/** Least time from the end of one fetch to a refresh, milliseconds; longer lists rest longer. */
const REFRESH_MS = 500;
const REFRESH_REST = 4;
/** Height of a row in the table, CSS pixels. */
export const ROW_HEIGHT = 48;

/** The path of something in a folder. */
export const join = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);

type Fetch = (options: FileQuery, signal: AbortSignal) => Promise<FilePage>;

export class FileList {
  readonly folder = signal("");
  readonly query = signal("");
  readonly order = signal<{ sort: SortKey; order: "asc" | "desc" }>(recalledOrder());
  readonly folders = signal<Folder[]>([]);
  readonly files = signal<FileEntry[]>([]);
  readonly total = signal(0);
  readonly foldersTotal = signal(0);
  readonly loaded = signal(false);
  readonly error = signal<string | null>(null);
  /** Keys of selected rows: a file's path, or a folder's with a slash at its end. */
  readonly selected = signal<ReadonlySet<string>>(new Set());
  readonly rowCount = computed(() => this.foldersTotal.value + this.total.value);
  /** Whether every row is selected. */
  readonly allSelected = computed(
    () => this.selected.value.size > 0 && this.selected.value.size === this.rowCount.value,
  );
  /** All rows are being fetched, to select them. */
  readonly selecting = signal(false);
  readonly selectedBytes = computed(() => {
    const keys = this.selected.value;
    let sum = 0;
    for (const file of this.files.value) if (keys.has(file.path)) sum += file.size ?? 0;
    for (const folder of this.folders.value) {
      if (keys.has(`${join(this.folder.value, folder.name)}/`)) sum += folder.bytes ?? 0;
    }
    return sum;
  });

  /** The row that was selected last; a range starts there. */
  private anchor: string | null = null;
  private next: string | null = null;
  private abort = new AbortController();
  private wanted = 0;
  private fetching = false;
  private tookMs = 0;
  private endedAt = -Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly source: Fetch) {}

  /** The folder in this row; undefined for a file, and while it is not there yet. */
  folderAt(row: number): Folder | undefined {
    return row < this.foldersTotal.value ? this.folders.value[row] : undefined;
  }

  /** The file in this row; undefined for a folder, and while it is not there yet. */
  fileAt(row: number): FileEntry | undefined {
    const index = row - this.foldersTotal.value;
    return index >= 0 ? this.files.value[index] : undefined;
  }

  /** Shows a folder. */
  open(folder: string): void {
    if (this.loaded.peek() && this.folder.peek() === folder && this.query.peek() === "") return;
    batch(() => {
      this.folder.value = folder;
      this.query.value = "";
      this.selected.value = new Set();
      this.loaded.value = false;
      this.folders.value = [];
      this.files.value = [];
      this.foldersTotal.value = 0;
      this.total.value = 0;
    });
    this.wanted = 0;
    this.reload();
  }

  search(text: string): void {
    const query = text.trim();
    if (query === this.query.peek()) return;
    batch(() => {
      this.query.value = query;
      this.selected.value = new Set();
    });
    this.wanted = 0;
    this.reload();
  }

  /** A row's key: its path, a folder's with a slash at the end; undefined while the row is not there yet. */
  keyOf(row: number): string | undefined {
    const folder = this.folderAt(row);
    return folder ? `${join(this.folder.value, folder.name)}/` : this.fileAt(row)?.path;
  }

  /** Selects a row, or not any more; `range` selects every row from the one before to this one. */
  toggle(row: number, range: boolean): void {
    const key = this.keyOf(row);
    if (key === undefined) return;
    const next = new Set(this.selected.peek());
    if (range && this.anchor !== null) {
      const rows = this.rowCount.peek();
      let from = 0;
      while (from < rows && this.keyOf(from) !== this.anchor) from++;
      for (let at = Math.min(from, row); at <= Math.max(from, row) && at < rows; at++) {
        const other = this.keyOf(at);
        if (other !== undefined) next.add(other);
      }
    } else if (!next.delete(key)) next.add(key);
    this.anchor = key;
    this.selected.value = next;
  }

  /** Selects every row, those included that are still to be fetched; or none, when all are. */
  async selectAll(): Promise<void> {
    if (this.allSelected.peek()) {
      this.selected.value = new Set();
      return;
    }
    const { signal } = this.abort;
    this.selecting.value = true;
    this.wanted = Infinity;
    if (!this.fetching && this.next !== null) await this.load(false);
    while (this.fetching && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 50));
    this.selecting.value = false;
    if (signal.aborted || this.error.peek() !== null) return;
    const top = this.folder.peek() === "" ? "" : `${this.folder.peek()}/`;
    this.selected.value = new Set([
      ...this.folders.peek().map((folder) => `${top}${folder.name}/`),
      ...this.files.peek().map((file) => file.path),
    ]);
  }

  sortBy(sort: SortKey): void {
    const now = this.order.peek();
    const order =
      now.sort === sort ? (now.order === "asc" ? "desc" : "asc") : sort === "name" ? "asc" : "desc";
    this.order.value = { sort, order };
    remember("order", `${sort} ${order}`);
    this.reload();
  }

  /** Fetches the list anew, as far as it is looked at; until that is there, what is on the screen stays. */
  reload(): void {
    this.abort.abort();
    this.abort = new AbortController();
    void this.load(true);
  }

  /** Fetches the list anew soon. Changes may come faster than a long list can be fetched: it is never broken off for one. */
  refresh(): void {
    if (this.timer !== undefined) return;
    const due = this.endedAt + Math.max(REFRESH_MS, REFRESH_REST * this.tookMs) - performance.now();
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        if (this.fetching) this.refresh();
        else this.reload();
      },
      Math.max(this.fetching ? REFRESH_MS : 0, due),
    );
  }

  /** Sees to it that the rows up to this one are on their way. */
  need(row: number): void {
    this.wanted = Math.min(row, this.rowCount.peek());
    const there = this.folders.peek().length + this.files.peek().length;
    const idle = !this.fetching && this.error.peek() === null;
    if (idle && this.next !== null && there < this.wanted) void this.load(false);
  }

  /** Goes on after an error. */
  retry(): void {
    this.error.value = null;
    if (this.loaded.peek()) void this.load(false);
    else this.reload();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.abort.abort();
  }

  /** Fetches pages, from the start or from where the list ends now, until what is wanted is there. */
  private async load(anew: boolean): Promise<void> {
    const { signal } = this.abort;
    const began = performance.now();
    let folders = anew ? [] : this.folders.peek();
    let files = anew ? [] : this.files.peek();
    let cursor = anew ? null : this.next;
    this.fetching = true;
    try {
      do {
        const options: FileQuery = {
          folder: this.folder.peek(),
          q: this.query.peek(),
          ...this.order.peek(),
          limit: PAGE,
          ...(cursor === null ? {} : { cursor }),
        };
        const page = await this.source(options, signal);
        if (signal.aborted) return;
        folders = folders.concat(page.folders);
        files = files.concat(page.files);
        cursor = page.next;
        const enough = cursor === null || folders.length + files.length >= this.wanted;
        if (anew && this.loaded.peek() && !enough) continue;
        this.show(folders, files, cursor, page, anew);
        anew = false;
      } while (cursor !== null && folders.length + files.length < this.wanted);
    } catch (error) {
      if (!signal.aborted) this.error.value = sentence(error);
    } finally {
      if (!signal.aborted) {
        this.fetching = false;
        this.endedAt = performance.now();
        this.tookMs = this.endedAt - began;
      }
    }
  }

  private show(
    folders: Folder[],
    files: FileEntry[],
    next: string | null,
    page: FilePage,
    anew: boolean,
  ): void {
    this.next = next;
    batch(() => {
      if (anew) this.anchor = null;
      this.folders.value = folders;
      this.files.value = files;
      // A list that ends early is as long as what came.
      this.foldersTotal.value = next === null ? folders.length : page.folders_total;
      this.total.value = next === null ? files.length : page.total;
      this.loaded.value = true;
      this.error.value = null;
    });
  }
}

function recalledOrder(): { sort: SortKey; order: "asc" | "desc" } {
  const [sort, order] = (recall("order") ?? "").split(" ");
  const known = sort === "name" || sort === "size" || sort === "mtime";
  return { sort: known ? sort : "name", order: order === "desc" ? "desc" : "asc" };
}
