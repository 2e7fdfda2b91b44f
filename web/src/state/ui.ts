// What the person does with the page: the route, notices, open dialogs, theme.

import { signal } from "@preact/signals";
import { ApiError } from "../api";
import { explain, t } from "../i18n";
import type { FileEntry, Offer } from "../types";
import { visible } from "../visible";

// ---- route: "#/hosts/ID/some/folder?q=x" ----

export interface Route {
  /** Decoded segments; the first names the view. */
  path: string[];
  query: URLSearchParams;
}

/** What an address leads to. */
export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const segments = path.split("/").filter((part) => part !== "");
  return { path: segments.map(decode), query: new URLSearchParams(search) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = signal<Route>(parseRoute(location.hash));
addEventListener("hashchange", () => {
  route.value = parseRoute(location.hash);
  // A dialog belongs to what was shown: the browser's "back" closes it.
  dialog.value = null;
});

/** The address of a view; segments are encoded here. */
export function href(...segments: (string | number)[]): string {
  return `#/${segments.map((part) => encodeURIComponent(part)).join("/")}`;
}

export function go(...segments: (string | number)[]): void {
  location.hash = href(...segments);
}

// ---- notices ----

export interface Notice {
  id: number;
  kind: "info" | "good" | "bad";
  text: string;
  action?: { label: string; run: () => void };
}

/** How long a notice stays, milliseconds; an error stays longer. */
const NOTICE_MS = 5_000;
const ERROR_MS = 12_000;

export const notices = signal<Notice[]>([]);
let nextNotice = 1;

export function notify(kind: Notice["kind"], text: string, action?: Notice["action"]): void {
  const notice: Notice = action ? { id: nextNotice++, kind, text, action } : { id: nextNotice++, kind, text };
  // The same words twice are one notice.
  notices.value = [...notices.value.filter((other) => other.text !== text), notice].slice(-4);
  setTimeout(() => dismiss(notice.id), kind === "bad" ? ERROR_MS : NOTICE_MS);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

export const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/** The server's sentence without the API's name of the field that it is about: it stands below that field. */
function withoutField(error: ApiError): string {
  if (error.code !== "invalid") return error.message;
  const text = error.message.replace(/^[a-z_]+: /, "").replace(/^(?=(is|has|holds|must) )/, "This ");
  return capital(text);
}

/** An error as a sentence. */
export function sentence(error: unknown): string {
  if (error instanceof ApiError) {
    return error.status === 0 ? t("error.unreachable") : explain(error.code, withoutField(error));
  }
  return error instanceof Error ? error.message : String(error);
}

/** Runs what a click asked for; a failure becomes a notice. Resolves to whether it worked. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) notify("bad", sentence(error));
    return false;
  }
}

// ---- notices outside of the page ----

/** Whether the person wants to be told while the page is in the background. */
export const telling = signal(recall("notify") === "on" && mayTell());

export function canTell(): boolean {
  return "Notification" in window && isSecureContext;
}
function mayTell(): boolean {
  return canTell() && Notification.permission === "granted";
}

/** Turns it on, which asks the browser when it has not been asked yet, or off. */
export async function tell(on: boolean): Promise<void> {
  if (on && !mayTell() && (await Notification.requestPermission()) !== "granted") {
    notify("bad", t("tell.denied"));
    on = false;
  }
  telling.value = on;
  remember("notify", on ? "on" : "off");
}

/** Tells of something by the browser when nobody looks at the page; returns whether it did. */
export function background(title: string, text: string, tag: string, show: () => void): boolean {
  if (!telling.peek() || document.visibilityState === "visible") return false;
  try {
    const note = new Notification(visible(title), { body: visible(text).slice(0, 200), tag });
    note.onclick = () => {
      window.focus();
      note.close();
      show();
    };
    return true;
  } catch {
    // Some browsers offer it to service workers only.
    return false;
  }
}

// ---- dialogs ----

export type Dialog =
  | { kind: "add-host" }
  | { kind: "add-url" }
  | { kind: "shortcuts" }
  | { kind: "identity" }
  | { kind: "host"; host: string }
  | { kind: "incoming"; id: number }
  | { kind: "push"; host: string | null; paths: string[] | null }
  | { kind: "drop"; host: string; files: { path: string; file: File }[] }
  | { kind: "pairing"; host: string }
  | { kind: "far" }
  | { kind: "invite"; group: number }
  | {
      kind: "confirm";
      title: string;
      text: string;
      /** What the button says that changes nothing; "Cancel" without it. */
      dismiss?: string;
      choices: { label: string; danger?: boolean; run: () => Promise<unknown> | void }[];
    }
  | { kind: "preview"; download: number }
  | { kind: "preview-shared"; file: FileEntry };

export const dialog = signal<Dialog | null>(null);

/** Asks before something that cannot be taken back is done. */
export function askToConfirm(question: {
  title: string;
  text: string;
  label: string;
  run: () => Promise<unknown>;
}): void {
  const { title, text, label, run } = question;
  dialog.value = { kind: "confirm", title, text, choices: [{ label, danger: true, run }] };
}

// ---- theme ----

export type Theme = "auto" | "light" | "dark";

export function setTheme(theme: string): void {
  const root = document.documentElement;
  if (theme === "light" || theme === "dark") root.dataset["theme"] = theme;
  else delete root.dataset["theme"];
  remember("theme", theme);
}

// ---- what this browser remembers ----

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`hostpair.${key}`, value);
  } catch {
    // Storage may be switched off; the page works without it.
  }
}

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`hostpair.${key}`);
  } catch {
    return null;
  }
}

/** For this tab alone, until it is closed. */
export function rememberOnce(key: string, value: unknown): void {
  try {
    sessionStorage.setItem(`hostpair.${key}`, JSON.stringify(value));
  } catch {
    // As above.
  }
}

export function recallOnce<T>(key: string): T | null {
  try {
    return JSON.parse(sessionStorage.getItem(`hostpair.${key}`) ?? "null") as T | null;
  } catch {
    return null;
  }
}

export function forget(key: string): void {
  try {
    localStorage.removeItem(`hostpair.${key}`);
  } catch {
    // As above.
  }
}

/** `name` says what was copied where the text itself tells nobody anything. */
export async function copy(text: string, name = text): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notify("good", t("copied", { text: name.length > 60 ? `${name.slice(0, 60)}…` : name }));
  } catch {
    notify("bad", t("copy.failed"));
  }
}

// ---- small choices that outlive a view ----

export const filter = signal<"all" | "open" | "done">("all");
export const search = signal("");
/** A shared file that goes with the next message. */
export const attached = signal<Offer | null>(null);

/** Whether the page is as narrow as a phone. */
const narrowQuery = matchMedia("(max-width: 760px)");
export const narrow = signal(narrowQuery.matches);
narrowQuery.addEventListener("change", () => (narrow.value = narrowQuery.matches));
