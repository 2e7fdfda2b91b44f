// The table of files that the views of a host and of the own share have in common.

import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import type { SortKey } from "../api";
import { bytes, date, dateTime } from "../format";
import { t } from "../i18n";
import { type FileList, ROW_HEIGHT, join } from "../state/filelist";
import type { FileEntry, Folder } from "../types";
import { Button, Failed, Loading } from "./bits";
import { Icon, fileIcon } from "./icons";
import { VirtualList } from "./virtual";

const COLUMNS: { key: SortKey; label: "column.name" | "column.size" | "column.mtime" }[] = [
  { key: "name", label: "column.name" },
  { key: "size", label: "column.size" },
  { key: "mtime", label: "column.mtime" },
];

const filesIn = (folder: Folder): string =>
  folder.files === null ? "" : t("files.count", { n: folder.files });

interface RowParts {
  folderHref: (path: string) => string;
  fileName: (file: FileEntry) => ComponentChildren;
  fileEnd: (file: FileEntry) => ComponentChildren;
  folderEnd: (folder: Folder) => ComponentChildren;
}

/** The table that hosts' files and the own shared files have in common. */
export function FileTable({
  list,
  label,
  openFolder,
  empty,
  ...parts
}: RowParts & {
  list: FileList;
  label: string;
  openFolder: (path: string) => void;
  empty: ComponentChildren;
}) {
  const box = useRef<HTMLDivElement>(null);
  const rows = list.rowCount.value;

  if (list.error.value !== null && rows === 0)
    return <Failed text={list.error.value} retry={() => list.retry()} />;
  if (!list.loaded.value) return <Loading />;
  if (rows === 0) return <>{empty}</>;

  const onKey = (event: KeyboardEvent): void => {
    const row = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
    if (!row) return;
    const index = Number(row.dataset["row"]);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = index + (event.key === "ArrowDown" ? 1 : -1);
      const element = box.current?.querySelector<HTMLElement>(`[data-row="${next}"]`);
      element?.focus({ preventScroll: true });
      element?.scrollIntoView({ block: "nearest" });
      event.preventDefault();
    } else if (event.key === " " && event.target === row) {
      list.toggle(index, event.shiftKey);
      event.preventDefault();
    } else if (event.key === "Enter" && event.target === row) {
      const folder = list.folderAt(index);
      if (folder) openFolder(join(list.folder.value, folder.name));
      else row.querySelector<HTMLElement>(".name .link, .end .button, .end a")?.click();
      event.preventDefault();
    }
  };

  return (
    <div
      class="table files"
      role="table"
      aria-label={label}
      aria-rowcount={rows + 1}
      ref={box}
      onKeyDown={onKey}
    >
      <TableHead list={list} />
      <VirtualList
        count={rows}
        rowHeight={ROW_HEIGHT}
        role="rowgroup"
        label={label}
        onRange={(_first, last) => list.need(last)}
        render={(index) => <Row list={list} index={index} {...parts} />}
      />
      {list.error.value !== null && <Failed text={list.error.value} retry={() => list.retry()} />}
    </div>
  );
}

/** The box that selects all rows, and the columns' names, which sort. */
function TableHead({ list }: { list: FileList }) {
  const { sort, order } = list.order.value;
  return (
    <div class="table-head" role="rowgroup">
      <div role="row" class="table-row">
        <span role="columnheader" class="check">
          <input
            type="checkbox"
            checked={list.allSelected.value || list.selecting.value}
            disabled={list.selecting.value}
            aria-label={t("select.all")}
            onClick={(event) => {
              const box = event.currentTarget;
              void list.selectAll().then(() => (box.checked = list.allSelected.peek()));
            }}
          />
        </span>
        {COLUMNS.map(({ key, label: text }) => (
          <span
            key={key}
            role="columnheader"
            class={key}
            aria-sort={sort === key ? (order === "asc" ? "ascending" : "descending") : "none"}
          >
            <button type="button" onClick={() => list.sortBy(key)}>
              {t(text)}
              {sort === key && <Icon name={order === "asc" ? "up" : "down"} size={14} />}
            </button>
          </span>
        ))}
        <span role="columnheader" class="end">
          <span class="hidden">{t("column.state")}</span>
        </span>
      </div>
    </div>
  );
}

/** One folder or file; a row that is still to be fetched says so. */
function Row({
  list,
  index,
  folderHref,
  fileName,
  fileEnd,
  folderEnd,
}: RowParts & { list: FileList; index: number }) {
  const key = list.keyOf(index);
  const checked = key !== undefined && list.selected.value.has(key);
  const folder = list.folderAt(index);
  const file = folder ? undefined : list.fileAt(index);
  if (!folder && !file) {
    return (
      <div role="row" class="table-row waiting" aria-rowindex={index + 2}>
        <span role="cell">{t("loading")}</span>
      </div>
    );
  }
  const name = folder ? folder.name : list.query.value !== "" ? file!.path : file!.name;
  return (
    <div
      role="row"
      class={checked ? "table-row checked" : "table-row"}
      aria-rowindex={index + 2}
      data-row={index}
      tabIndex={-1}
    >
      <span role="cell" class="check">
        <input
          type="checkbox"
          checked={checked}
          aria-label={t("select.of", { name })}
          onClick={(event) => list.toggle(index, event.shiftKey)}
        />
      </span>
      <span role="cell" class="name" title={name}>
        <Icon name={folder ? "folder" : fileIcon(file!.name, file!.type)} />
        <span class="name-text">
          {folder ? (
            <a href={folderHref(join(list.folder.value, folder.name))}>{folder.name}</a>
          ) : (
            fileName(file!)
          )}
          {file && list.query.value !== "" && file.path !== file.name && (
            <span class="muted where">{file.path.slice(0, -file.name.length - 1)}</span>
          )}
          <span class="phone-only muted">{folder ? filesIn(folder) : bytes(file!.size)}</span>
        </span>
      </span>
      <span role="cell" class="size">
        {bytes(folder ? folder.bytes : file!.size)}
      </span>
      <span role="cell" class="mtime" title={folder ? undefined : dateTime(file!.mtime)}>
        {folder ? filesIn(folder) : date(file!.mtime)}
      </span>
      <span role="cell" class="end">
        {folder ? folderEnd(folder) : fileEnd(file!)}
      </span>
    </div>
  );
}

/** What is done with the selected rows; it stays in sight however far a person scrolls. */
export function SelectionBar({ list, children }: { list: FileList; children: ComponentChildren }) {
  return (
    <div class="selection" role="group" aria-label={t("selection")}>
      <span>{t("selection.count", { n: list.selected.value.size })}</span>
      <Button
        icon="close"
        kind="quiet"
        label={t("selection.clear")}
        onClick={() => (list.selected.value = new Set())}
      />
      {children}
    </div>
  );
}
