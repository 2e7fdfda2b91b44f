// Picks one file of the own shared folder: its folders to walk through, and a search over all of it.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { bytes } from "../format";
import { t } from "../i18n";
import { sentence } from "../state/ui";
import type { FilePage, Offer } from "../types";
import { Button, Loading, Modal, SearchBox } from "./bits";
import { Icon, fileIcon } from "./icons";

/** Rows that are shown; a search finds the others. */
const ROWS = 200;

export function PickShared({ onPick, onClose }: { onPick: (file: Offer) => void; onClose: () => void }) {
  const folder = useSignal("");
  const words = useSignal("");
  const page = useSignal<FilePage | null>(null);
  const error = useSignal<string | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    error.value = null;
    api.shareFiles({ folder: folder.value, q: words.value, limit: ROWS }, abort.signal).then(
      (found) => (page.value = found),
      (reason) => {
        if (!abort.signal.aborted) error.value = sentence(reason);
      },
    );
    return () => abort.abort();
  }, [folder.value, words.value]);
  const into = (name: string): void => {
    folder.value = folder.value === "" ? name : `${folder.value}/${name}`;
    words.value = "";
  };
  const shown = page.value;
  return (
    <Modal title={t("messages.attach.title")} onClose={onClose}>
      <div class="pick-head">
        {folder.value !== "" && (
          <Button
            icon="back"
            kind="quiet"
            iconOnly
            label={t("back")}
            onClick={() => (folder.value = folder.value.split("/").slice(0, -1).join("/"))}
          />
        )}
        <SearchBox
          key={folder.value}
          label={t("files.search")}
          value={words.value}
          onChange={(text) => (words.value = text.trim())}
        />
      </div>
      {error.value && (
        <p class="bad" role="alert">
          {error.value}
        </p>
      )}
      {!shown ? (
        <Loading />
      ) : shown.folders.length + shown.files.length === 0 ? (
        <p class="muted pick-none">
          {t(words.value === "" && folder.value === "" ? "messages.attach.none" : "files.nomatch")}
        </p>
      ) : (
        <ul class="pick">
          {shown.folders.map((one) => (
            <li key={`${one.name}/`}>
              <button type="button" onClick={() => into(one.name)}>
                <Icon name="folder" />
                <span class="ellipsis">{one.name}</span>
                <Icon name="chevron" size={14} />
              </button>
            </li>
          ))}
          {shown.files.map((file) => (
            <li key={file.path}>
              <button
                type="button"
                title={file.path}
                onClick={() => onPick({ path: file.path, size: file.size ?? 0, root: file.root })}
              >
                <Icon name={fileIcon(file.name, file.type)} />
                <span class="ellipsis">{words.value === "" ? file.name : file.path}</span>
                <span class="muted">{bytes(file.size)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </Modal>
  );
}
