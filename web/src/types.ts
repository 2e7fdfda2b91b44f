// The dashboard API's objects, as openapi.yaml describes them: sizes in bytes, speeds in bytes a second, times RFC 3339.

export interface Status {
  id: string;
  name: string;
  version: string;
  time: string;
  uptime_s: number;
  peer_port: number;
  dashboard_port: number;
  addresses: string[];
  share: ShareState;
  downloads_folder: string;
  speed: { down_bps: number; up_bps: number };
  free_bytes: number;
  scan: ScanState;
  messages?: { unread: number };
  /** What the person should know about how this host is set up. */
  notices?: StatusNotice[];
}

export interface StatusNotice {
  code: string;
  text: string;
}

export interface ShareState {
  folder: string;
  files: number;
  bytes: number;
  hashed_bytes: number;
  scanning: boolean;
}

export interface ScanState {
  running: boolean;
  done: number;
  total: number;
}

export interface Host {
  id: string;
  name: string;
  addresses: string[];
  state: "online" | "offline";
  rtt_ms: number | null;
  /** Its clock minus ours. */
  clock_offset_ms: number | null;
  /** How wrong the offset may be, either way. */
  clock_uncertainty_ms?: number | null;
  files: number | null;
  bytes: number | null;
  found_by: string;
  last_seen: string | null;
  protocol: number | null;
  /** Its file list is stored here. */
  listed: boolean;
  /** Its file list is being fetched now. */
  listing: boolean;
  /** Why the last fetch of its file list failed. */
  list_error: string | null;
  /** What is wrong with the host itself, such as an id that two hosts have. */
  problem: string | null;
  /** It gets nothing from here. */
  blocked?: boolean;
}

export interface Folder {
  name: string;
  files: number | null;
  bytes: number | null;
}

export interface FileEntry {
  path: string;
  name: string;
  size: number | null;
  mtime: string | null;
  type: string | null;
  root: string | null;
  local?: null | "done" | "downloading";
}

export interface FilePage {
  folders: Folder[];
  files: FileEntry[];
  next: string | null;
  /** Files on all pages. */
  total: number;
  /** Folders on all pages; they come before the files. */
  folders_total: number;
}

export interface FileQuery {
  folder?: string;
  q?: string;
  sort?: SortKey;
  order?: "asc" | "desc";
  limit?: number;
  cursor?: string;
}

export type SortKey = "name" | "size" | "mtime" | "type";

export interface SearchResult {
  name: string;
  size: number;
  root: string | null;
  copies: { host: string; path: string }[];
}

export type DownloadState = "queued" | "running" | "paused" | "verifying" | "done" | "failed" | "cancelled";

export interface DownloadSource {
  host: string | null;
  address: string;
  state: "connecting" | "active" | "idle" | "waiting" | "failed" | "banned";
  bytes: number;
  speed_bps: number;
  error: string | null;
}

export interface Download {
  id: number;
  name: string;
  path: string;
  /** A folder with everything below it, not one file. */
  folder: boolean;
  state: DownloadState;
  reason: string | null;
  size: number | null;
  done_bytes: number;
  chunk_size: number | null;
  chunks_total: number;
  chunks_done: number;
  files_total: number;
  files_done: number;
  speed_bps: number;
  eta_s: number | null;
  root: string | null;
  verified: boolean;
  priority: number;
  limit_bps: number;
  error: null | { code: string; detail: string };
  sources: DownloadSource[];
  created_at: string;
  finished_at: string | null;
}

export type ChunkState = "missing" | "active" | "done";
export type ChunkRun = [first: number, count: number, state: ChunkState, source: string | number | null];

export interface Chunks {
  chunk_size: number;
  total: number;
  runs: ChunkRun[];
}

/** What one host gave of a download; the host is null where that is not on record. */
export interface Given {
  host: string | null;
  bytes: number;
}

export type NewDownload = (
  { host: string; path: string } | { host: string; folder: string } | { root: string } | { url: string }
) & { to?: string; priority?: number; limit_bps?: number };

export interface Connection {
  id: number | string;
  address: string;
  port: number;
  host: string | null;
  since: string;
  requests: number;
  bytes_sent: number;
  speed_bps: number;
  path: string | null;
  user_agent: string | null;
  /** In the middle of a request or a reply. */
  active?: boolean;
}

export interface Message {
  /** In the order of arrival here. */
  id: number;
  /** What the sending host calls it. */
  uid: string;
  from: string;
  /** What the sender called itself then. */
  from_name: string;
  to: string;
  text: string;
  /** By the sender's clock. */
  sent_at: string;
  /** By this host's clock; of an own message, when it was written. */
  received_at: string;
  incoming: boolean;
  unread: boolean;
  offer: Offer | null;
  deliveries: Delivery[];
}

/** A file that the sender offers with a message. */
export interface Offer {
  path: string;
  size: number;
  root: string | null;
}

export interface Delivery {
  host: string;
  state: "queued" | "delivered" | "failed";
  /** Why it failed, or what it waits for. */
  reason: string | null;
  at: string;
}

export interface Unread {
  unread: number;
  unread_by_host: Record<string, number>;
}

export interface MessagePage extends Unread {
  messages: Message[];
  /** There are older ones. */
  more: boolean;
}

export interface Settings {
  name: string;
  share_folder: string;
  downloads_folder: string;
  down_limit_bps: number;
  up_limit_bps: number;
  running_downloads: number;
  connections_per_source: number;
  scan: boolean;
  beacon: boolean;
  language: string;
  theme: string;
}

export interface Minute {
  at: string;
  down_bytes: number;
  up_bytes: number;
}

export interface LogLine {
  number: number;
  at: string;
  level: string;
  text: string;
}
