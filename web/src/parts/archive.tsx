// Files and folders as one file, from the host that has them to whoever looks at this page.

import { t } from "../i18n";
import { Icon } from "./icons";

/** Of all names together, in a link: hosts take 16 KiB of one. */
const NAMES_MAX = 12_000;

export type Format = "zip" | "tar";

/**
 * @param host "http://192.168.1.20:9000"
 * @param keys what is wanted of the folder, as a file list has it: paths, a folder's with a slash at its end; none: all
 * @returns null when the names are too long for a link
 */
export function archiveUrl(
  host: string,
  folder: string,
  format: Format,
  keys: Iterable<string> = [],
): string | null {
  const path = folder === "" ? "" : `${folder.split("/").map(encodeURIComponent).join("/")}/`;
  const skip = folder === "" ? 0 : folder.length + 1;
  const names = [...keys].map((key) => `&name=${encodeURIComponent(key.slice(skip).replace(/\/$/, ""))}`);
  const query = names.join("");
  return query.length > NAMES_MAX ? null : `${host}/files/${path}?archive=${format}${query}`;
}

/** Links to what is selected; a word instead when that is too much for a link. */
export function ArchiveLinks({
  host,
  folder,
  keys,
}: {
  host: string;
  folder: string;
  keys: Iterable<string>;
}) {
  const wanted = [...keys];
  if (archiveUrl(host, folder, "zip", wanted) === null)
    return <span class="muted small">{t("archive.many")}</span>;
  return (
    <>
      {(["zip", "tar"] as const).map((format) => {
        const url = archiveUrl(host, folder, format, wanted);
        return (
          url !== null && (
            <a
              key={format}
              class="button plain"
              href={url}
              target="_blank"
              rel="noreferrer"
              aria-label={`${t("selection")}: ${format}`}
            >
              <Icon name="archive" size={18} />
              <span>{format}</span>
            </a>
          )
        );
      })}
    </>
  );
}
