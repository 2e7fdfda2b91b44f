// What a client of the peer listener asks for, as a person would put it.

import { type Key, t } from "../i18n";

/** Requests of the protocol between hosts, by the first segment of their path. */
const PROTOCOL: Record<string, Key> = {
  hostpair: "connections.hello",
  list: "connections.list",
  manifest: "connections.tree",
  message: "connections.message",
};

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** The shared file that a request is for; null for every other request. */
export function fileOf(path: string | null): string | null {
  const [, first = "", rest] = /^\/([^/?]*)(?:\/([^?]*))?/.exec(path ?? "") ?? [];
  if (path === null || first === "") return null;
  if ((first === "files" || first === "torrent") && rest !== undefined) return decode(rest);
  if (first in PROTOCOL || first === "favicon.ico") return null;
  return decode(rest === undefined ? first : `${first}/${rest}`);
}

/** What a connection does, or did last. */
export function requestOf(path: string | null): string {
  if (path === null) return "";
  const file = fileOf(path);
  if (file !== null) return file;
  const key = PROTOCOL[path.slice(1).split(/[/?]/, 1)[0]!];
  return key ? t(key) : path === "/" ? t("connections.guest") : path;
}
