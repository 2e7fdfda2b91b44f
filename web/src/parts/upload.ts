// Uploads into the shared folder, or into a set of files for one host: one file after another, each in pieces, going on after
// a lost connection.

import { effect, signal } from "@preact/signals";
import { ApiError, api, askReceived, putPiece } from "../api";
import { t } from "../i18n";
import { link } from "../state/connection";
import { shareRevision } from "../state/store";
import { dialog, forget, recall, remember, sentence } from "../state/ui";

/** Pause before a piece that met a lost connection is sent again, milliseconds. */
const RETRY_MS = 2000;

export interface Upload {
  id: number;
  path: string;
  /** The set for one host that it belongs to; null: it is put into the shared folder. */
  aside: string | null;
  file: File;
  sent: number;
  state: "waiting" | "sending" | "done" | "failed" | "asking";
  error: string | null;
}

/** What the person says about a name that is taken. */
type Answer = "replace" | "rename" | "skip";

export const uploads = signal<Upload[]>([]);
let nextId = 1;
let running = false;
const aborts = new Map<number, AbortController>();

/** The ids of the uploads. */
export function addUploads(
  files: { path: string; file: File }[],
  aside: string | null = null,
): ReadonlySet<number> {
  const added = files.map(({ path, file }) => ({
    id: nextId++,
    path,
    aside,
    file,
    sent: 0,
    state: "waiting" as const,
    error: null,
  }));
  uploads.value = [...uploads.value, ...added];
  void work();
  return new Set(added.map(({ id }) => id));
}

/**
 * Puts files into a set for one host: their paths, without those that the person takes out. Rejects when one fails. The list
 * of uploads does not keep them.
 */
export async function uploadAside(set: string, files: { path: string; file: File }[]): Promise<string[]> {
  const over = await uploadsOver(addUploads(files, set));
  const failed = over.find(({ state }) => state === "failed");
  uploads.value = uploads.value.filter(({ aside }) => aside !== set);
  if (failed) throw new Error(failed.error ?? "");
  return over.map(({ path }) => `${set}/${path}`);
}

/** These uploads, once all are done or one has failed; without those that were taken back. */
function uploadsOver(ids: ReadonlySet<number>): Promise<Upload[]> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      const mine = uploads.value.filter(({ id }) => ids.has(id));
      const failed = mine.some(({ state }) => state === "failed");
      if (!failed && mine.some(({ state }) => state !== "done")) return;
      resolve(mine);
      queueMicrotask(() => stop());
    });
  });
}

export function cancelUpload(id: number): void {
  aborts.get(id)?.abort();
  uploads.value = uploads.value.filter((upload) => upload.id !== id);
}

export function retryUpload(id: number): void {
  set(id, { state: "waiting", error: null });
  void work();
}

export function clearUploads(): void {
  // Those for one host are still to be offered, and go by themselves.
  uploads.value = uploads.value.filter(
    ({ state, aside }) => aside !== null || (state !== "done" && state !== "failed"),
  );
}

function set(id: number, fields: Partial<Upload>): void {
  uploads.value = uploads.value.map((upload) => (upload.id === id ? { ...upload, ...fields } : upload));
}

const get = (id: number): Upload | undefined => uploads.peek().find((upload) => upload.id === id);

async function work(): Promise<void> {
  if (running) return;
  running = true;
  for (;;) {
    const next = uploads.peek().find((upload) => upload.state === "waiting");
    if (!next) break;
    try {
      await one(next.id);
    } catch (error) {
      set(next.id, { state: "failed", error: sentence(error) });
    }
  }
  running = false;
}

async function one(id: number): Promise<void> {
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    let upload = get(id)!;
    const shared = upload.aside === null;
    const unfinished = shared && recall(keyOf(upload)) === stampOf(upload);
    if (shared && !unfinished && upload.sent === 0 && (await exists(upload.path))) {
      set(id, { state: "asking" });
      const answer = await askAbout(upload.path);
      if (answer === "skip") {
        cancelUpload(id);
        return;
      }
      if (answer === "rename") set(id, { path: await freeName(upload.path) });
    }
    if (!get(id)) return;
    upload = get(id)!;
    set(id, { state: "sending" });
    if (shared) remember(keyOf(upload), stampOf(upload));
    let resume = unfinished || upload.sent > 0;
    for (;;) {
      upload = get(id)!;
      if (!upload) return;
      try {
        if (resume)
          set(id, { sent: await askReceived(upload.path, upload.aside, upload.file.size, abort.signal) });
        resume = false;
        set(id, {
          sent: await putPiece(upload.path, upload.aside, upload.file, get(id)?.sent ?? 0, abort.signal),
        });
        if ((get(id)?.sent ?? 0) >= upload.file.size) break;
      } catch (error) {
        if (abort.signal.aborted) return;
        // The server is away, or still busy with the piece whose answer was lost: ask what it has when it is back.
        const passing = error instanceof ApiError && (error.status === 0 || (error.status === 409 && resume));
        if (!passing) throw error;
        resume = true;
        await new Promise((resolve) => setTimeout(resolve, link.peek() === "live" ? RETRY_MS / 4 : RETRY_MS));
      }
    }
    if (shared) forget(keyOf(upload));
    if (get(id)) set(id, { state: "done" });
    if (shared) shareRevision.value++;
  } finally {
    aborts.delete(id);
  }
}

/**
 * What this browser remembers of an upload until it is finished: only the same file, unchanged, goes on after the page
 * was closed.
 */
const keyOf = (upload: Upload): string => `upload.${upload.path}`;
const stampOf = (upload: Upload): string => `${upload.file.size} ${upload.file.lastModified}`;

async function exists(path: string): Promise<boolean> {
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  // A search may find the name anywhere below the folder; only the very path counts.
  let cursor: string | undefined;
  do {
    const options = {
      folder: slash < 0 ? "" : path.slice(0, slash),
      q: name,
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor }),
    };
    const page = await api.shareFiles(options).catch((error) => {
      // The folder is still to be made.
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    });
    if (page === null) return false;
    if (page.files.some((file) => file.path === path)) return true;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return false;
}

function askAbout(path: string): Promise<Answer> {
  return new Promise((resolve) => {
    const answer = (value: Answer) => (): void => {
      resolve(value);
    };
    const question = {
      kind: "confirm" as const,
      title: t("upload.taken.title"),
      text: t("upload.taken.text", { name: path }),
      choices: [
        { label: t("upload.rename"), run: answer("rename") },
        { label: t("upload.replace"), danger: true, run: answer("replace") },
      ],
    };
    dialog.value = question;
    // Closed without a choice: the file is left out.
    const stop = dialog.subscribe((open) => {
      if (open === question) return;
      queueMicrotask(() => stop());
      resolve("skip");
    });
  });
}

/** "name (1).ext", as downloads are named when a name is taken. */
async function freeName(path: string): Promise<string> {
  const slash = path.lastIndexOf("/") + 1;
  const dot = path.lastIndexOf(".");
  const [stem, extension] = dot > slash ? [path.slice(0, dot), path.slice(dot)] : [path, ""];
  for (let n = 1; ; n++) {
    const candidate = `${stem} (${n})${extension}`;
    if (!(await exists(candidate))) return candidate;
  }
}

/** The files of a drop, with the folders that they lie in. */
export async function filesOfDrop(
  entries: FileSystemEntry[],
  files: File[],
): Promise<{ path: string; file: File }[]> {
  const found: { path: string; file: File }[] = [];
  const visit = async (entry: FileSystemEntry): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) =>
        (entry as FileSystemFileEntry).file(resolve, reject),
      );
      found.push({ path: entry.fullPath.replace(/^\//, ""), file });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
        reader.readEntries(resolve, reject),
      );
      if (some.length === 0) return;
      for (const inner of some) await visit(inner);
    }
  };
  if (entries.length === 0) return files.map((file) => ({ path: file.name, file }));
  for (const entry of entries) await visit(entry);
  return found;
}
