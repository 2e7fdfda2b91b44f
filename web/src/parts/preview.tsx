// A picture, sound, video or text in place: of a download also while it arrives, the bytes that are looked at first.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { bytes } from "../format";
import { t } from "../i18n";
import { downloads } from "../state/store";
import type { FileEntry } from "../types";
import { progressLine } from "../views/downloads";
import { Loading, Modal, Progress } from "./bits";
import { Icon, type Kind, kindOf } from "./icons";

/** The first bytes of a text that are shown. */
const TEXT_MAX = 256 * 1024;

/** Between two tries to show what is not there yet, milliseconds. */
const RETRY_MS = 1000;

/** A download. */
export function Preview({ id, onClose }: { id: number; onClose: () => void }) {
  const download = downloads.get(id);
  if (!download) return null;
  const { name } = download;
  return (
    <Shown
      name={name}
      kind={kindOf(name, null)}
      url={api.contentUrl(id)}
      whole={download.state === "done"}
      line={progressLine(download)}
      onClose={onClose}
    >
      {download.state !== "done" && (
        <Progress
          value={download.size ? download.done_bytes / download.size : null}
          label={t("progress.label", { name })}
        />
      )}
    </Shown>
  );
}

/** A file of the own share. */
export function PreviewShared({ file, onClose }: { file: FileEntry; onClose: () => void }) {
  return (
    <Shown
      name={file.name}
      kind={kindOf(file.name, file.type)}
      url={api.sharedUrl(file.path)}
      whole
      line={bytes(file.size)}
      onClose={onClose}
    />
  );
}

function Shown({
  name,
  kind,
  url,
  whole,
  line,
  onClose,
  children,
}: {
  name: string;
  kind: Kind;
  url: string;
  /** All of it is there. */
  whole: boolean;
  line: string;
  onClose: () => void;
  children?: ComponentChildren;
}) {
  const failed = useSignal(false);
  const attempt = useSignal(0);
  const again = (): void => {
    attempt.value++;
    failed.value = false;
  };
  // What cannot be shown yet gets another chance now and then while it downloads, and when it is whole.
  useEffect(again, [whole]);
  useEffect(() => {
    if (!failed.value || whole) return;
    const timer = setTimeout(again, RETRY_MS);
    return () => clearTimeout(timer);
  }, [failed.value, whole]);
  const key = attempt.value;
  const onError = (): void => {
    // A late word about an element that is gone does not count.
    if (key === attempt.peek()) failed.value = true;
  };
  return (
    <Modal title={name} onClose={onClose} wide>
      <div class="preview">
        {failed.value ? (
          <p class="muted">{t(whole ? "preview.failed" : "preview.later")}</p>
        ) : kind === "image" ? (
          <img key={key} src={url} alt={name} onError={onError} />
        ) : kind === "audio" ? (
          <audio key={key} src={url} controls autoplay onError={onError} />
        ) : kind === "video" ? (
          <video key={key} src={url} controls autoplay onError={onError} />
        ) : kind === "text" ? (
          <Text key={key} url={url} onError={onError} />
        ) : (
          <p class="muted">{t("preview.none")}</p>
        )}
      </div>
      <div class="row preview-foot">
        <span class="muted">{line}</span>
        <a class="button plain end" href={url} download={name}>
          <Icon name="open" size={18} />
          {t("save")}
        </a>
      </div>
      {children}
    </Modal>
  );
}

function Text({ url, onError }: { url: string; onError: () => void }) {
  const text = useSignal<string | null>(null);
  const whole = useSignal(true);
  useEffect(() => {
    const abort = new AbortController();
    api.contentText(url, TEXT_MAX, abort.signal).then(
      (found) => {
        text.value = found.text;
        whole.value = found.whole;
      },
      () => {
        if (!abort.signal.aborted) onError();
      },
    );
    return () => abort.abort();
  }, [url]);
  if (text.value === null) return <Loading />;
  return (
    <>
      <pre tabIndex={0}>{text.value}</pre>
      {!whole.value && <p class="muted">{t("preview.cut", { size: bytes(TEXT_MAX) })}</p>}
    </>
  );
}
