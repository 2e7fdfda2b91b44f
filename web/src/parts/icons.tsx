// The page's pictograms, drawn with one line width on a 24 unit grid.

const PATHS = {
  globe:
    "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM3 12h18M12 3c2.5 2.5 3.8 5.5 3.8 9s-1.3 6.5-3.8 9c-2.5-2.5-3.8-5.5-3.8-9S9.5 5.5 12 3z",
  hosts: "M4 5h16v6H4zM4 13h16v6H4zM7.5 8h.01M7.5 16h.01M11 8h5M11 16h5",
  downloads: "M12 4v11m-5-5 5 5 5-5M4 20h16",
  share: "M12 15V4m-5 5 5-5 5 5M4 20h16",
  messages: "M4 5h16v11H9l-5 4z",
  activity: "M3 12h4l3-8 4 16 3-8h4",
  settings:
    "M4 7h9m5 0h2M4 17h2m5 0h9M15.5 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8.5 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM20 20l-4.8-4.8",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  pause: "M8.5 5v14M15.5 5v14",
  play: "M7 4.5v15l12-7.5z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  folder: "M3 6.5V19h18V8.5h-9.5l-2-2.5H3z",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4L15 13l5 5M15 9.5h.01",
  audio:
    "M9 18V6l10-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM19 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
  video: "M3 6h12v12H3zM15 10.5l6-3.5v10l-6-3.5z",
  text: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  archive: "M4 4h16v5H4zM5 9h14v11H5zM10 13h4",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  up: "M12 19V6m-6 6 6-6 6 6",
  down: "M12 5v13m-6-6 6 6 6-6",
  chevron: "M9 5l7 7-7 7",
  back: "M15 5l-7 7 7 7",
  refresh: "M20 12a8 8 0 1 1-2.5-5.8M20 4v4.5h-4.5",
  scan: "M12 12h.01M8.5 15.5a5 5 0 0 1 0-7M15.5 8.5a5 5 0 0 1 0 7M5.5 18.5a9 9 0 0 1 0-13M18.5 5.5a9 9 0 0 1 0 13",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1-1",
  warn: "M12 4 2.5 20h19zM12 10v5M12 17.5h.01",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  eye: "M2 12s3.5-6.5 10-6.5S22 12 22 12s-3.5 6.5-10 6.5S2 12 2 12zM12 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  shield: "M12 3l8 3v6c0 5-3.5 7.5-8 9-4.5-1.5-8-4-8-9V6zM8.5 12l2.5 2.5 4.5-5",
  qr: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2h-2zM18 18h2v2h-2zM18 14h2M14 18v2",
  attach:
    "M19 11.5l-7.6 7.6a4.6 4.6 0 0 1-6.5-6.5L12.6 5a3 3 0 0 1 4.3 4.3l-7.6 7.5a1.5 1.5 0 0 1-2.2-2.1l7-7",
  bell: "M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 21h4",
  block: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zM6.5 6.5l11 11",
  clock: "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16zM12 8v4.5l3 2",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-4 3-6 6.5-6s6.5 2 6.5 6M16 4.3a3.5 3.5 0 0 1 0 6.4M18 14.5c2.2.8 3.5 2.6 3.5 5.5",
  key: "M8 15a4 4 0 1 1 3.4-2L20 4.5M16 8.5l2.5 2.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      class={`icon icon-${name}`}
      width={size}
      height={size}
      viewBox="0 0 24 24"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

const ARCHIVES = /\.(zip|tar|gz|tgz|xz|bz2|zst|7z|rar|iso|deb|rpm|apk|dmg|img)$/i;

/** The pictogram of a file, by its media type and name. */
export function fileIcon(name: string, type: string | null): IconName {
  const kind = kindOf(name, type);
  if (kind !== "other") return kind;
  return ARCHIVES.test(name) ? "archive" : "file";
}

export type Kind = "image" | "audio" | "video" | "text" | "other";

const BY_EXTENSION: [RegExp, Kind][] = [
  [/\.(jpe?g|png|gif|webp|avif|bmp|ico)$/i, "image"],
  [/\.(mp3|flac|ogg|oga|opus|wav|m4a|aac)$/i, "audio"],
  [/\.(mp4|webm|mkv|mov|m4v|ogv)$/i, "video"],
  [
    /\.(txt|md|log|csv|json|ya?ml|ini|conf|c|h|cpp|py|rs|go|js|ts|tsx|css|sql|sh|diff|patch|toml|xml)$/i,
    "text",
  ],
];

/** What the page can show in place. Pictures that may hold scripts count as other. */
export function kindOf(name: string, type: string | null): Kind {
  for (const [pattern, kind] of BY_EXTENSION) if (pattern.test(name)) return kind;
  if (type?.startsWith("image/") && !type.includes("svg")) return "image";
  if (type?.startsWith("audio/")) return "audio";
  if (type?.startsWith("video/")) return "video";
  if (type?.startsWith("text/plain")) return "text";
  return "other";
}
