// Files that are dropped anywhere on the page, or picked, are added to the shared folder. Those that are dropped on a host or on
// the conversation with it are asked about first, and then offered to it.

import { useEffect } from "preact/hooks";
import { signal } from "@preact/signals";
import { t } from "../i18n";
import { dialog, go, route, sentence, notify } from "../state/ui";
import { missing } from "../state/loading";
import { Icon } from "./icons";

/** Adds files to a folder of the share, and shows it. */
export function offer(files: File[], folder: string): void {
  void offerAll(folder, async () =>
    files.map((file) => ({ path: file.webkitRelativePath || file.name, file })),
  );
}

async function offerAll(folder: string, list: () => Promise<{ path: string; file: File }[]>): Promise<void> {
  try {
    const [{ addUploads }, found] = await Promise.all([import("./upload"), list()]);
    addUploads(found.map(({ path, file }) => ({ path: folder === "" ? path : `${folder}/${path}`, file })));
    if (found.length > 0 && route.peek().path[0] !== "share") go("share");
  } catch (error) {
    notify("bad", sentence(error));
  }
}

/** What is dropped on a host is for that host alone, and asked about first. */
async function ask(host: string, list: () => Promise<{ path: string; file: File }[]>): Promise<void> {
  try {
    const files = await list();
    if (files.length > 0) dialog.value = { kind: "drop", host, files };
  } catch (error) {
    notify("bad", sentence(error));
  }
}

/** The folder of the share that is open; its top one from every other view. */
const openFolder = (): string => {
  const [view, ...rest] = route.peek().path;
  return view === "share" ? rest.join("/") : "";
};

const dragging = signal(false);

/** Takes drops from the whole page, and says so while something is held over it. */
export function DropZone() {
  useEffect(() => {
    const there = (event: DragEvent): boolean =>
      event.dataTransfer?.types.includes("Files") === true && !missing.peek().has("share");
    const over = (event: DragEvent): void => {
      // A file that is dropped beside the place for it would replace the page.
      event.preventDefault();
      dragging.value = there(event);
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) dragging.value = false;
    };
    const drop = (event: DragEvent): void => {
      event.preventDefault();
      dragging.value = false;
      if (!there(event) || !event.dataTransfer) return;
      // Both are empty once the event is over.
      const entries = [...event.dataTransfer.items]
        .map((item) => item.webkitGetAsEntry())
        .filter((entry) => entry !== null);
      const files = [...event.dataTransfer.files];
      const list = async () => (await import("./upload")).filesOfDrop(entries, files);
      const host = (event.target as Element).closest<HTMLElement>("[data-host]")?.dataset["host"];
      void (host === undefined ? offerAll(openFolder(), list) : ask(host, list));
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
  if (!dragging.value) return null;
  return (
    <div class="drop-zone" role="status">
      <Icon name="share" size={48} />
      <p>{t("share.drop.now")}</p>
    </div>
  );
}
