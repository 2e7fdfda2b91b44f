// A picture, sound, video or text in place, also while it downloads: the bytes that are looked at are fetched first.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { bytes } from "../format";
import { t } from "../i18n";
import { downloads } from "../state/store";
import { progressLine } from "../views/downloads";
import { Loading, Modal, Progress } from "./bits";
import { Icon, kindOf } from "./icons";

/** The first bytes of a text that are shown. */
const TEXT_MAX = 256 * 1024;

/** Between two tries to show what is not there yet, milliseconds. */
const RETRY_MS = 1000;

export function Preview({ id, onClose }: { id: number; onClose: () => void }) {
  const download = downloads.get(id);
  const failed = useSignal(false);
  const done = download?.state === "done";
  const attempt = useSignal(0);
  const again = (): void => {
    attempt.value++;
    failed.value = false;
  };
  // What cannot be shown yet gets another chance now and then while it downloads, and when it is whole.
  useEffect(again, [done]);
  useEffect(() => {
    if (!failed.value || done) return;
    const timer = setTimeout(again, RETRY_MS);
    return () => clearTimeout(timer);
  }, [failed.value, done]);
  if (!download) return null;
  const { name } = download;
  const url = api.contentUrl(id);
  const kind = kindOf(name, null);
  const key = attempt.value;
  const onError = (): void => {
    // A late word about an element that is gone does not count.
    if (key === attempt.peek()) failed.value = true;
  };
  return (
    <Modal title={name} onClose={onClose} wide>
      <div class="preview">
        {failed.value ? (
          <p class="muted">{t(done ? "preview.failed" : "preview.later")}</p>
        ) : kind === "image" ? (
          <img key={key} src={url} alt={name} onError={onError} />
        ) : kind === "audio" ? (
          <audio key={key} src={url} controls autoplay onError={onError} />
        ) : kind === "video" ? (
          <video key={key} src={url} controls autoplay onError={onError} />
        ) : kind === "text" ? (
          <Text key={key} id={id} onError={onError} />
        ) : (
          <p class="muted">{t("preview.none")}</p>
        )}
      </div>
      <div class="row preview-foot">
        <span class="muted">{progressLine(download)}</span>
        <a class="button plain end" href={url} download={name}>
          <Icon name="open" size={18} />
          {t("save")}
        </a>
      </div>
      {download.state !== "done" && (
        <Progress
          value={download.size ? download.done_bytes / download.size : null}
          label={t("progress.label", { name })}
        />
      )}
    </Modal>
  );
}

function Text({ id, onError }: { id: number; onError: () => void }) {
  const text = useSignal<string | null>(null);
  const whole = useSignal(true);
  useEffect(() => {
    const abort = new AbortController();
    api.contentText(id, TEXT_MAX, abort.signal).then(
      (found) => {
        text.value = found.text;
        whole.value = found.whole;
      },
      () => {
        if (!abort.signal.aborted) onError();
      },
    );
    return () => abort.abort();
  }, [id]);
  if (text.value === null) return <Loading />;
  return (
    <>
      <pre tabIndex={0}>{text.value}</pre>
      {!whole.value && <p class="muted">{t("preview.cut", { size: bytes(TEXT_MAX) })}</p>}
    </>
  );
}
