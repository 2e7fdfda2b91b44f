// What is known of one host, and the dialog in which two people pair their hosts: both compare six digits.

import { useSignal } from "@preact/signals";
import { api } from "../api";
import { ago, duration } from "../format";
import { type Key, t } from "../i18n";
import { hostName, hosts, isOpenPairing, pairings, putPairing, putPairingAnswer } from "../state/store";
import { copy, notify, sentence } from "../state/ui";
import type { Host, Pairing } from "../types";
import { Button, Empty, Facts, Modal } from "./bits";
import { PairedMark, foundBy } from "./hostname";
import { Icon } from "./icons";
import { startPairing } from "./pair";
import { useSecond } from "./second";

/** "0123 4567 …": easier to compare by eye. */
const grouped = (hex: string): string => hex.replace(/(.{4})(?=.)/g, "$1 ");

const digits = (code: string): string => `${code.slice(0, 3)} ${code.slice(3)}`;

export function HostDetails({ id, onClose }: { id: string; onClose: () => void }) {
  const host = hosts.get(id);
  if (!host) {
    return (
      <Modal title={t("details")} onClose={onClose}>
        <Empty icon="hosts" title={t("host.unknown")} />
      </Modal>
    );
  }
  return (
    <Modal title={host.name || host.id} onClose={onClose}>
      <Facts
        items={[
          [t("address"), <span class="breakable">{host.addresses.join(" · ") || "–"}</span>],
          [t("host.seen"), host.state === "online" ? t("state.online") : ago(host.last_seen)],
          [t("host.found"), foundBy(host)],
          ...(host.path === undefined
            ? []
            : [[t("host.path"), <PathText host={host} />] as [string, preact.VNode]]),
          ...(host.proven === undefined
            ? []
            : [[t("proven.who"), <Proof host={host} />] as [string, preact.VNode]]),
        ]}
      />
      {host.fingerprint && (
        <section>
          <h3>{t("fingerprint")}</h3>
          <p class="muted small">{t("fingerprint.text")}</p>
          <p class="row">
            <code class="fingerprint">{grouped(host.fingerprint)}</code>
            <Button
              icon="copy"
              kind="quiet"
              iconOnly
              label={t("copy.of", { text: t("fingerprint") })}
              onClick={() => void copy(host.fingerprint!)}
            />
          </p>
        </section>
      )}
      <div class="row end">
        {host.proven && !host.paired && (
          <Button icon="shield" label={t("pair.start")} onClick={() => void startPairing(id)} />
        )}
        <Button label={t("close")} kind="primary" onClick={onClose} />
      </div>
    </Modal>
  );
}

/** How a host is reached, and why not better. */
function PathText({ host }: { host: Host }) {
  return (
    <>
      {host.path ? t(`path.${host.path}` as Key) : "–"}
      {host.path_reason && <span class="muted small"> {host.path_reason}</span>}
    </>
  );
}

/** What is certain of who a host is. */
function Proof({ host }: { host: Host }) {
  if (host.paired) {
    return (
      <>
        {t("paired")} <PairedMark host={host} />
      </>
    );
  }
  return (
    <>
      {t(host.proven ? "proven" : "proven.not")}
      <span class="muted small"> {t(host.proven ? "proven.text" : "proven.not.text")}</span>
    </>
  );
}

export function PairingDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const pairing = pairings.value[id];
  const name = hostName(id);
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const run = async (work: () => Promise<unknown>): Promise<void> => {
    busy.value = true;
    error.value = null;
    try {
      await work();
    } catch (reason) {
      error.value = sentence(reason);
    }
    busy.value = false;
  };
  const refuse = (): Promise<void> =>
    run(async () => {
      await api.unpair(id);
      const now = pairings.peek()[id];
      if (now && isOpenPairing(now)) putPairing({ ...now, state: "refused", reason: null });
      notify("info", t("pair.refused.here", { name }));
      onClose();
    });
  const confirm = (): Promise<void> =>
    run(async () => {
      const answer = await api.confirmPair(id);
      if (answer) putPairingAnswer(answer);
    });
  return (
    <Modal title={t("pair.title", { name })} onClose={onClose}>
      {pairing ? <State pairing={pairing} name={name} /> : <p>{t("pair.none")}</p>}
      {error.value && (
        <p class="bad" role="alert">
          {error.value}
        </p>
      )}
      <div class="row end wrap">
        {pairing?.state === "confirm" ? (
          <>
            <Button label={t("pair.differ")} kind="danger" busy={busy.value} onClick={() => void refuse()} />
            <Button label={t("pair.same")} kind="primary" busy={busy.value} onClick={() => void confirm()} />
          </>
        ) : isOpenPairing(pairing) ? (
          <Button label={t("cancel.dialog")} busy={busy.value} onClick={() => void refuse()} />
        ) : (
          <>
            {pairing && pairing.state !== "paired" && (
              <Button
                label={t("retry")}
                busy={busy.value}
                onClick={() => void run(async () => putPairingAnswer(await api.pair(id)))}
              />
            )}
            <Button label={t("close")} kind="primary" onClick={onClose} />
          </>
        )}
      </div>
    </Modal>
  );
}

/** What is to be done now, or how it ended. */
function State({ pairing, name }: { pairing: Pairing; name: string }) {
  const open = isOpenPairing(pairing);
  const now = useSecond(open);
  const left = Math.max(0, Math.ceil((new Date(pairing.expires_at).getTime() - now) / 1000));
  return (
    <div role="status" class={`pairing ${pairing.state}`}>
      {open && pairing.code && (
        <p class="pair-code" aria-label={pairing.code.split("").join(" ")}>
          {digits(pairing.code)}
        </p>
      )}
      {pairing.state === "paired" && <Icon name="shield" size={40} />}
      <p>
        {t(
          pairing.state === "confirm" && pairing.incoming
            ? "pair.confirm.incoming"
            : (`pair.${pairing.state}` as Key),
          { name },
        )}
      </p>
      {pairing.reason && !open && pairing.state !== "paired" && <p class="muted">{pairing.reason}</p>}
      {open && <p class="muted small">{t("pair.left", { time: duration(left) })}</p>}
    </div>
  );
}
