// The one place that talks to the server. Every call resolves with the server's object or rejects with an ApiError,
// whose message is a sentence for the person.

import type {
  Chunks,
  Given,
  Connection,
  Download,
  FilePage,
  Group,
  Host,
  Incoming,
  Invite,
  Kept,
  LogLine,
  Look,
  Message,
  MessagePage,
  Pairing,
  Push,
  Minute,
  NewDownload,
  SearchPage,
  Settings,
  SharedFolder,
  Status,
  SettingsChange,
  Unread,
  operations,
} from "./types";

/** What a page of files is asked for with. */
export type FileQuery = NonNullable<operations["listHostFiles"]["parameters"]["query"]>;
/** What a group is made or joined with. */
export type NewGroup = operations["addGroup"]["requestBody"]["content"]["application/json"];
export type SortKey = NonNullable<FileQuery["sort"]>;

const BASE = "/api/v1";

/** A request that did not work. `status` is 0 when the server could not be reached at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Called when the server asks for the dashboard token; set once by the shell. */
let onUnauthorized: () => void = () => {};
export function whenUnauthorized(callback: () => void): void {
  onUnauthorized = callback;
}

/** A path keeps its slashes; every other byte is percent-encoded. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function query(values: object): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== "") params.set(key, String(value));
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

async function toError(response: Response): Promise<ApiError> {
  if (response.status === 401) onUnauthorized();
  let code = "";
  let sentence = `${response.status} ${response.statusText}`.trim();
  try {
    const problem = (await response.json()) as { title?: unknown; detail?: unknown; code?: unknown };
    if (typeof problem.code === "string") code = problem.code;
    if (typeof problem.detail === "string" && problem.detail !== "") sentence = problem.detail;
    else if (typeof problem.title === "string" && problem.title !== "") sentence = problem.title;
  } catch {
    // Not a problem document (a proxy in between, perhaps): the status line has to do.
  }
  return new ApiError(response.status, code, sentence);
}

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "");
  }
  if (!response.ok) throw await toError(response);
  return response;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send(BASE + path, { signal: signal ?? null })).json() as Promise<T>;
}

async function change<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await call<T>(method, path, body)).value;
}

async function call<T>(method: string, path: string, body?: unknown): Promise<{ value: T; status: number }> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  const response = await send(BASE + path, init);
  const text = await response.text();
  return { value: (text === "" ? undefined : JSON.parse(text)) as T, status: response.status };
}

const hostPath = (id: string): string => `/hosts/${encodeURIComponent(id)}`;

export const api = {
  status: () => get<Status>("/status"),

  hosts: async () => (await get<{ hosts: Host[] }>("/hosts")).hosts,
  addHost: (address: string) => change<Host>("POST", "/hosts", { address }),
  removeHost: (id: string) => change<void>("DELETE", hostPath(id)),
  blockHost: (id: string, blocked: boolean) => change<Host>("PATCH", hostPath(id), { blocked }),
  pairings: async () => (await get<{ pairings: Pairing[] }>("/pairings")).pairings,
  pair: (id: string) => change<Pairing>("POST", `${hostPath(id)}/pair`),
  confirmPair: (id: string) => change<Pairing | undefined>("POST", `${hostPath(id)}/pair/confirm`),
  /** Refuses a pairing that is under way, or ends one that stands. */
  unpair: (id: string) => change<void>("DELETE", `${hostPath(id)}/pair`),
  groups: async () => (await get<{ groups: Group[] }>("/groups")).groups,
  addGroup: (what: NewGroup) => change<Group>("POST", "/groups", what),
  changeGroup: (id: number, fields: { name?: string; publish?: boolean }) =>
    change<Group>("PATCH", `/groups/${id}`, fields),
  leaveGroup: (id: number) => change<void>("DELETE", `/groups/${id}`),
  /** The group's secret: asked for only when a person wants to see it. */
  invite: async (id: number) => (await get<Invite>(`/groups/${id}/invite`)).invite,
  renewGroup: (id: number) => change<Invite>("POST", `/groups/${id}/renew`),
  push: (host: string, paths: string[], pin?: string) =>
    change<Push>("POST", `${hostPath(host)}/push`, pin === undefined ? { paths } : { paths, pin }),
  beginLook: (host: string) => change<Look>("POST", "/doctor", host ? { host } : {}),
  /** Begins a set of files for this host alone: its id. */
  setAside: async (host: string) => (await change<{ id: string }>("POST", `${hostPath(host)}/aside`)).id,
  removeAside: (id: string) => change<void>("DELETE", `/aside/${id}`),
  pushes: async () => (await get<{ pushes: Push[] }>("/pushes")).pushes,
  cancelPush: (id: number) => change<void>("DELETE", `/pushes/${id}`),
  inbox: async () => (await get<{ incoming: Incoming[] }>("/inbox")).incoming,
  incomingOne: (id: number) => get<Incoming>(`/inbox/${id}`),
  acceptIncoming: (id: number, choice: { files?: string[]; to?: string }) =>
    change<Incoming>("POST", `/inbox/${id}/accept`, choice),
  declineIncoming: (id: number) => change<Incoming>("POST", `/inbox/${id}/decline`),
  cancelIncoming: (id: number) => change<Incoming>("POST", `/inbox/${id}/cancel`),
  incomingUrl: (id: number, file: string) => `${BASE}/inbox/${id}/content${query({ file })}`,
  scan: () => change<void>("POST", "/scan"),
  files: (host: string, options: FileQuery, signal?: AbortSignal) =>
    get<FilePage>(`${hostPath(host)}/files${query(options)}`, signal),
  refreshFiles: (host: string) => change<void>("POST", `${hostPath(host)}/files/refresh`),
  search: (q: string, limit: number, signal?: AbortSignal) =>
    get<SearchPage>(`/search${query({ q, limit })}`, signal),

  downloads: async () => (await get<{ downloads: Download[] }>("/downloads")).downloads,
  /** `created`: it is a new one; false: the same content is there or on its way already. */
  addDownload: async (what: NewDownload): Promise<{ download: Download; created: boolean }> => {
    const { value, status } = await call<Download>("POST", "/downloads", what);
    return { download: value, created: status === 201 };
  },
  changeDownload: (
    id: number,
    fields: {
      state?: "paused" | "queued";
      priority?: number;
      limit_bps?: number;
      url?: string;
      certificate?: string;
    },
  ) => change<Download>("PATCH", `/downloads/${id}`, fields),
  retryDownload: (id: number) => change<void>("POST", `/downloads/${id}/retry`),
  recheckDownload: (id: number) => change<void>("POST", `/downloads/${id}/recheck`),
  removeDownload: (id: number, data: "keep" | "remove") =>
    change<void>("DELETE", `/downloads/${id}?data=${data}`),
  /** Removes all finished downloads from the list; their files stay. Resolves to how many these were. */
  removeFinished: async () =>
    (await change<{ removed: number }>("DELETE", "/downloads?state=finished")).removed,
  pauseAll: () => change<void>("POST", "/downloads/pause"),
  resumeAll: () => change<void>("POST", "/downloads/resume"),
  kept: async () => (await get<{ kept: Kept[] }>("/kept")).kept,
  removeKept: (id: number) => change<void>("DELETE", `/kept/${id}`),
  chunks: (id: number, signal?: AbortSignal) => get<Chunks>(`/downloads/${id}/chunks`, signal),
  /** Who gave how much of it, the one that gave the most first. */
  given: async (id: number, signal?: AbortSignal) =>
    (await get<{ sources: Given[] }>(`/downloads/${id}/sources`, signal)).sources,
  contentUrl: (id: number) => `${BASE}/downloads/${id}/content`,

  /** The first bytes of a file as text, and whether that was all of it. */
  async contentText(
    url: string,
    max: number,
    signal: AbortSignal,
  ): Promise<{ text: string; whole: boolean }> {
    const response = await send(url, { headers: { Range: `bytes=0-${max - 1}` }, signal });
    const total = Number(/\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1] ?? 0);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const whole = response.status === 200 ? bytes.length <= max : total <= max;
    return { text: new TextDecoder().decode(bytes.subarray(0, max)), whole };
  },

  shareFiles: (options: FileQuery, signal?: AbortSignal) =>
    get<FilePage>(`/share/files${query(options)}`, signal),
  /** A shared file's bytes, for showing it on the page. */
  sharedUrl: (path: string) => `${BASE}/share/content/${encodePath(path)}`,
  removeSharedFolder: (path: string) =>
    change<void>("DELETE", `/share/files/${encodePath(path)}?recursive=true`),
  removeShared: (path: string) => change<void>("DELETE", `/share/files/${encodePath(path)}`),
  addShareFolder: (folder: { folder: string; name?: string }) =>
    change<SharedFolder>("POST", "/share/folders", folder),
  removeShareFolder: (name: string) => change<void>("DELETE", `/share/folders/${encodeURIComponent(name)}`),
  /** Digest of a file, or null while the server computes it. */
  shareDigest: (path: string, algorithm: string) => digest(`/share/digest${query({ path, algorithm })}`),
  downloadDigest: (id: number, algorithm: string) => digest(`/downloads/${id}/digest${query({ algorithm })}`),

  connections: async () => (await get<{ connections: Connection[] }>("/connections")).connections,
  closeConnection: (id: number) => change<void>("DELETE", `/connections/${id}`),

  messages: (options: { with?: string; before?: number; limit?: number } = {}) =>
    get<MessagePage>(`/messages${query(options)}`),
  sendMessage: (message: { to: string; text: string; offer?: { path: string } }) =>
    change<Message>("POST", "/messages", message),
  readMessages: (fields: { with: string; up_to: number }) => change<Unread>("POST", "/messages/read", fields),
  retryMessage: (id: number) => change<Message>("POST", `/messages/${id}/retry`),
  removeMessage: (id: number) => change<void>("DELETE", `/messages/${id}`),

  settings: () => get<Settings>("/settings"),
  changeSettings: (fields: SettingsChange) => change<Settings>("PATCH", "/settings", fields),
  traffic: async (since: string) => (await get<{ minutes: Minute[] }>(`/traffic${query({ since })}`)).minutes,
  log: async () => (await get<{ lines: LogLine[] }>("/log")).lines,

  /** Trades the token for a cookie that scripts cannot read. */
  signIn: (token: string) => change<void>("POST", "/session", { token }),
};

async function digest(path: string): Promise<string | null> {
  const response = await send(BASE + path);
  if (response.status === 202) return null;
  return ((await response.json()) as { hex: string }).hex;
}

/** One event of the stream. */
export interface ServerEvent {
  id: string;
  type: string;
  data: unknown;
}

/**
 * Reads the event stream until it ends, fails or `signal` aborts; then rejects or resolves. `onOpen` is called once
 * the server has answered, `onBytes` whenever anything arrives, a comment included.
 */
export async function readEvents(
  lastId: string,
  signal: AbortSignal,
  handlers: { onOpen: () => void; onBytes: () => void; onEvent: (event: ServerEvent) => void },
): Promise<void> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (lastId !== "") headers["Last-Event-ID"] = lastId;
  const response = await send(`${BASE}/events`, { headers, signal });
  if (!response.body) throw new ApiError(0, "unreachable", "");
  handlers.onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let id = lastId;
  let type = "";
  let data: string[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    handlers.onBytes();
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (type !== "" || data.length > 0) {
          handlers.onEvent({ id, type, data: data.length > 0 ? parse(data.join("\n")) : undefined });
        }
        type = "";
        data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "event") type = text;
      else if (field === "data") data.push(text);
      else if (field === "id") id = text;
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Bytes in one piece of an upload; the server refuses more in one request. */
export const PIECE_BYTES = 8 * 1024 * 1024;

/** Where a file is put: into the shared folder, or into a set for one host. */
const targetOf = (path: string, aside: string | null): string =>
  aside === null ? `${BASE}/share/files/${encodePath(path)}` : `${BASE}/aside/${aside}/${encodePath(path)}`;

/** How much of an unfinished upload of this size is there already. */
export async function askReceived(
  path: string,
  aside: string | null,
  size: number,
  signal: AbortSignal,
): Promise<number> {
  if (size === 0) return 0;
  const response = await send(targetOf(path, aside), {
    method: "PUT",
    headers: { "Content-Range": `bytes */${size}` },
    signal,
  });
  return ((await response.json()) as { received?: number }).received ?? 0;
}

/** Sends one piece of a file; resolves to the bytes that are there from the file's start on. */
export async function putPiece(
  path: string,
  aside: string | null,
  file: Blob,
  from: number,
  signal: AbortSignal,
): Promise<number> {
  const end = Math.min(from + PIECE_BYTES, file.size);
  const headers: Record<string, string> = { "Content-Type": "application/octet-stream" };
  // An empty file has no range to name.
  if (file.size > 0) headers["Content-Range"] = `bytes ${from}-${end - 1}/${file.size}`;
  const response = await send(targetOf(path, aside), {
    method: "PUT",
    headers,
    body: file.slice(from, end),
    signal,
  });
  await response.arrayBuffer();
  return end;
}
