// Giving files of the share to other hosts: the dialog that chooses which and to whom, and the list of how it goes.

import { useSignal } from "@preact/signals";
import { api } from "../api";
import { ago, percent } from "../format";
import { t } from "../i18n";
import { type PushKey, tp } from "../i18n/push";
import { devices, hostName, hosts, pushes } from "../state/store";
import { attempt, go, notify, sentence } from "../state/ui";
import type { Push } from "../types";
import { Button, Empty, Modal, Progress } from "./bits";
import { HostName } from "./hostname";
import { PickShared } from "./pickshared";

/** A host that is asked once it is back. */
const isAway = (id: string): boolean => hosts.get(id)?.state === "offline";

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
      notify("info", tp(isAway(to) ? "later" : "offered", hostName(to)));
      onClose();
    } catch (reason) {
      error.value = sentence(reason);
    }
    busy.value = false;
  };
  if (paths === null && host !== null && error.value === null) {
    return <PickShared onPick={(file) => void send(host, [file.path])} onClose={onClose} />;
  }
  const takers = hosts.all().filter((one) => one.proven && !one.blocked);
  const there = [
    ...takers.filter((one) => one.state === "online"),
    ...devices.all().filter((one) => one.state === "online"),
    ...takers.filter((one) => isAway(one.id)),
  ];
  return (
    <Modal title={host === null ? tp("to") : hostName(host)} onClose={onClose}>
      {host === null && there.length === 0 && <Empty icon="hosts" title={tp("nobody")} />}
      {host === null && paths !== null && (
        <ul class="pick">
          {there.map((one) => (
            <li key={one.id}>
              <button type="button" disabled={busy.value} onClick={() => void send(one.id, paths)}>
                <span class="breakable">
                  <HostName id={one.id} />
                </span>
                <span class="muted small">{tp(isAway(one.id) ? "waits" : "device.here")}</span>
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

/** How a push stands, in words. */
function pushState(one: Push): string {
  const { offered, state, taken } = one;
  if (state === "done" && taken === 0) return tp("none");
  if (state === "done" && taken !== null && taken < offered) return tp("took", { n: taken, all: offered });
  if (state === "connecting" && isAway(one.host)) return tp("waits");
  return tp(state as PushKey);
}

/** How the other host's person has answered, and the end. */
export function tellOfPush(one: Push): void {
  if (one.finished_at === null || one.state === "cancelled") return;
  notify(
    one.state === "failed" ? "bad" : one.taken === 0 ? "info" : "good",
    `${hostName(one.host)}: ${pushState(one)}${one.reason ? `. ${one.reason}` : ""}`,
    { label: t("show"), run: () => go("share") },
  );
}

/** Names that are shown of what was dropped. */
const NAMES = 5;

/** Offers files of this computer to a host, which alone is given them. */
async function give(host: string, files: { path: string; file: File }[]): Promise<void> {
  await attempt(async () => {
    const { uploadAside } = await import("./upload");
    const set = await api.setAside(host);
    let offered = false;
    try {
      const paths = await uploadAside(set, files);
      if (paths.length === 0) return;
      pushes.put(await api.push(host, paths));
      offered = true;
      notify("info", tp("offered", hostName(host)));
    } finally {
      // It may be gone already: hostpair removes one that the disk was too small for.
      if (!offered) await api.removeAside(set).catch(() => {});
    }
  });
}

/** Asks before files that were dropped on a host are offered to it. */
export function DropDialog({
  host,
  files,
  onClose,
}: {
  host: string;
  files: { path: string; file: File }[];
  onClose: () => void;
}) {
  const name = hostName(host);
  return (
    <Modal title={tp("drop", name)} onClose={onClose}>
      <p>{tp("drop.text", name)}</p>
      <ul>
        {files.slice(0, NAMES).map((one) => (
          <li key={one.path}>
            <bdi class="breakable">{one.path}</bdi>
          </li>
        ))}
      </ul>
      {files.length > NAMES && <p class="muted small">{t("incoming.more", { n: files.length - NAMES })}</p>}
      <div class="row end wrap">
        <Button label={t("cancel.dialog")} onClick={onClose} />
        <Button
          label={tp("drop.go")}
          kind="primary"
          onClick={() => {
            onClose();
            void give(host, files);
          }}
        />
      </div>
    </Modal>
  );
}

/** What people call the first of its files: one that is set aside has the id of its set before it. */
const firstName = (one: Push): string =>
  one.aside ? (one.paths[0] ?? "").replace(/^[0-9a-f]{32}\//, "") : (one.paths[0] ?? "");

/** Those that are over and shown. */
const OVER = 3;

export function PushList() {
  const list = pushes.all().sort((a, b) => b.id - a.id);
  const open = list.filter((one) => one.finished_at === null);
  const over = list.filter((one) => one.finished_at !== null).slice(0, OVER);
  return (
    <section class="panel incoming" aria-labelledby="push-title">
      <h2 id="push-title">{tp("list")}</h2>
      <ul>
        {[...open, ...over].map((one) => (
          <Row key={one.id} one={one} />
        ))}
      </ul>
    </section>
  );
}

/** Whether the same was not offered to the host once more. */
const isLast = (one: Push): boolean =>
  pushes
    .all()
    .every(
      (other) =>
        other.host !== one.host || other.id <= one.id || other.paths.join("//") !== one.paths.join("//"),
    );

const isNewest = (one: Push): boolean =>
  pushes.all().every((other) => other.host !== one.host || other.id <= one.id);

/** The other side asks for a PIN: the same once more with it. */
function PinForm({ one }: { one: Push }) {
  const pin = useSignal("");
  const label = tp("pin", hostName(one.host));
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    await attempt(async () => pushes.put(await api.push(one.host, one.paths, pin.value.trim())));
  };
  return (
    <form class="row push-pin" onSubmit={(event) => void send(event)}>
      <input
        inputMode="numeric"
        autocomplete="off"
        required
        aria-label={label}
        placeholder={label}
        value={pin.value}
        onInput={(event) => (pin.value = event.currentTarget.value)}
      />
      <Button type="submit" label={tp("pin.send")} />
    </form>
  );
}

function Row({ one }: { one: Push }) {
  const more = one.paths.length - 1;
  const sending = one.state === "sending";
  return (
    <li>
      <div class="incoming-row">
        <span class="incoming-what">
          <bdi class="breakable">{firstName(one)}</bdi>
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
        {one.state === "failed" && one.code !== "pin" && isLast(one) && (
          <Button
            label={t("retry")}
            onClick={() => void attempt(async () => pushes.put(await api.push(one.host, one.paths)))}
          />
        )}
        {one.code === "pin" && isNewest(one) && <PinForm one={one} />}
      </div>
      {sending && <Progress value={one.size > 0 ? one.done_bytes / one.size : null} label={tp("sending")} />}
    </li>
  );
}
