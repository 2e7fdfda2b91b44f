// Giving files of the share to other hosts: the dialog that chooses which and to whom, and the list of how it goes.

import { useSignal } from "@preact/signals";
import { api } from "../api";
import { ago, percent } from "../format";
import { t } from "../i18n";
import { hostName, hosts, pushes } from "../state/store";
import { attempt, notify, sentence } from "../state/ui";
import type { Push } from "../types";
import { Button, Empty, Modal, Progress } from "./bits";
import { HostName, pushState } from "./hostname";
import { PickShared } from "./pickshared";

/** What is not known yet, the files or the host, is asked for. */
export function PushDialog({
  host,
  paths,
  onClose,
}: {
  host: string | null;
  paths: string[] | null;
  onClose: () => void;
}) {
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const send = async (to: string, what: string[]): Promise<void> => {
    busy.value = true;
    error.value = null;
    try {
      pushes.put(await api.push(to, what));
      notify("info", t("push.offered", { name: hostName(to) }));
      onClose();
    } catch (reason) {
      error.value = sentence(reason);
    }
    busy.value = false;
  };
  if (paths === null && host !== null && error.value === null) {
    return <PickShared onPick={(file) => void send(host, [file.path])} onClose={onClose} />;
  }
  const there = hosts.all().filter((one) => one.proven && !one.blocked && one.state === "online");
  return (
    <Modal title={host === null ? t("push.to") : hostName(host)} onClose={onClose}>
      {host === null && there.length === 0 && <Empty icon="hosts" title={t("hosts.none")} />}
      {host === null && paths !== null && (
        <ul class="pick">
          {there.map((one) => (
            <li key={one.id}>
              <button type="button" disabled={busy.value} onClick={() => void send(one.id, paths)}>
                <HostName id={one.id} />
              </button>
            </li>
          ))}
        </ul>
      )}
      {error.value && (
        <p class="bad" role="alert">
          {error.value}
        </p>
      )}
      <div class="row end">
        <Button label={t("cancel.dialog")} onClick={onClose} />
      </div>
    </Modal>
  );
}

/** Those that are over and shown. */
const OVER = 3;

export function PushList() {
  const list = pushes.all().sort((a, b) => b.id - a.id);
  const open = list.filter((one) => one.finished_at === null);
  const over = list.filter((one) => one.finished_at !== null).slice(0, OVER);
  return (
    <section class="panel incoming" aria-labelledby="push-title">
      <h2 id="push-title">{t("push.list")}</h2>
      <ul>
        {[...open, ...over].map((one) => (
          <Row key={one.id} one={one} />
        ))}
      </ul>
    </section>
  );
}

function Row({ one }: { one: Push }) {
  const more = one.paths.length - 1;
  const sending = one.state === "sending";
  return (
    <li>
      <div class="incoming-row">
        <span class="incoming-what">
          <bdi class="breakable">{one.paths[0]}</bdi>
          {more > 0 && ` ${t("incoming.more", { n: more })}`}{" "}
          <span class="muted">
            → {hostName(one.host)} · {pushState(one)}
            {sending && one.size > 0 && ` · ${percent(Math.min(one.done_bytes, one.size), one.size)}`}
            {one.finished_at !== null && ` · ${ago(one.finished_at)}`}
          </span>
          {one.reason && <span class="muted small breakable"> {one.reason}</span>}
        </span>
        {one.finished_at === null && (
          <Button label={t("cancel.dialog")} onClick={() => void attempt(() => api.cancelPush(one.id))} />
        )}
      </div>
      {sending && (
        <Progress value={one.size > 0 ? one.done_bytes / one.size : null} label={t("push.sending")} />
      )}
    </li>
  );
}
