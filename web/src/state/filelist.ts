// One list of files as the server pages it: folders first, then files by cursor. Pages are fetched in order, as far
// as the person has scrolled; the count of rows is known from the first page on.

import { batch, computed, signal } from "@preact/signals";
import { remember, recall, sentence } from "./ui";
import type { FileEntry, FilePage, FileQuery, Folder, SortKey } from "../types";

/** Files in one page. */
const PAGE = 1000;
/** Height of a row in the table, CSS pixels. */
export const ROW_HEIGHT = 48;

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
  /** Goes up whenever another list is shown. */
  readonly generation = signal(0);
  readonly rowCount = computed(() => this.foldersTotal.value + this.total.value);
  readonly selectedBytes = computed(() => {
    const keys = this.selected.value;
    let sum = 0;
    for (const file of this.files.value) if (keys.has(file.path)) sum += file.size ?? 0;
    for (const folder of this.folders.value) {
      const path = this.folder.value === "" ? folder.name : `${this.folder.value}/${folder.name}`;
      if (keys.has(`${path}/`)) sum += folder.bytes ?? 0;
    }
    return sum;
  });

  private next: string | null = null;
  private abort = new AbortController();
  private wanted = 0;
  private fetching = false;

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
    });
    this.reload();
  }

  search(text: string): void {
    const query = text.trim();
    if (query === this.query.peek()) return;
    batch(() => {
      this.query.value = query;
      this.selected.value = new Set();
    });
    this.reload();
  }

  sortBy(sort: SortKey): void {
    const now = this.order.peek();
    const order =
      now.sort === sort ? (now.order === "asc" ? "desc" : "asc") : sort === "name" ? "asc" : "desc";
    this.order.value = { sort, order };
    remember("order", `${sort} ${order}`);
    this.reload();
  }

  /** Fetches the list anew; what is on the screen stays until the first page is there. */
  reload(): void {
    this.abort.abort();
    this.abort = new AbortController();
    this.fetching = false;
    this.wanted = 0;
    void this.page(true);
  }

  /** Sees to it that the rows up to this one are on their way. */
  need(row: number): void {
    this.wanted = Math.max(this.wanted, Math.min(row, this.rowCount.peek()));
    const there = this.folders.peek().length + this.files.peek().length;
    if (!this.fetching && this.next !== null && there < this.wanted) void this.page(false);
  }

  stop(): void {
    this.abort.abort();
  }

  private async page(first: boolean): Promise<void> {
    const { signal } = this.abort;
    this.fetching = true;
    const options: FileQuery = {
      folder: this.folder.peek(),
      q: this.query.peek(),
      ...this.order.peek(),
      limit: PAGE,
    };
    if (!first && this.next !== null) options.cursor = this.next;
    try {
      const page = await this.source(options, signal);
      if (signal.aborted) return;
      this.next = page.next;
      batch(() => {
        if (first) {
          this.generation.value++;
          this.folders.value = page.folders;
          this.files.value = page.files;
          this.loaded.value = true;
        } else {
          this.folders.value = this.folders.peek().concat(page.folders);
          this.files.value = this.files.peek().concat(page.files);
        }
        // A list that ends early is as long as what came.
        const whole = page.next === null;
        this.foldersTotal.value = whole ? this.folders.peek().length : page.folders_total;
        this.total.value = whole ? this.files.peek().length : page.total;
        this.error.value = null;
      });
    } catch (error) {
      if (signal.aborted) return;
      batch(() => {
        this.error.value = sentence(error);
        if (first && !this.loaded.peek()) {
          this.folders.value = [];
          this.files.value = [];
          this.foldersTotal.value = 0;
          this.total.value = 0;
        }
      });
      return;
    } finally {
      if (!signal.aborted) this.fetching = false;
    }
    this.need(this.wanted);
  }
}

function recalledOrder(): { sort: SortKey; order: "asc" | "desc" } {
  const [sort, order] = (recall("order") ?? "").split(" ");
  const known = sort === "name" || sort === "size" || sort === "mtime";
  return { sort: known ? sort : "name", order: order === "desc" ? "desc" : "asc" };
}
