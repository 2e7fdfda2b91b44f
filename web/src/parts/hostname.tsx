// A host's name wherever it stands, with what is known of who it is.

import { type Key, t } from "../i18n";
import { hostName, hosts } from "../state/store";
import type { Group, Host } from "../types";
import { Icon } from "./icons";

/** The shield of a paired host. */
export function PairedMark({ host }: { host: Host | undefined }) {
  if (!host?.paired) return null;
  return (
    <span class="paired" title={t("paired.text")}>
      <Icon name="shield" size={14} />
      <span class="hidden">{t("paired")}</span>
    </span>
  );
}

/** The name of a host, and its mark; of one that is not known, what it is called otherwise. */
export function HostName({ id, otherwise }: { id: string | null; otherwise?: string | undefined }) {
  return (
    <>
      <bdi>{hostName(id) || otherwise}</bdi>
      <PairedMark host={id === null ? undefined : hosts.get(id)} />
    </>
  );
}

/** Says of a host that speaks plain HTTP alone that its name and files are not proven. */
export function NotProven({ host }: { host: Host }) {
  if (host.proven !== false) return null;
  return (
    <span class="tag" title={t("proven.not.text")}>
      {t("proven.not")}
    </span>
  );
}

/** By what a host was found first; a way that this page does not know comes from a newer server. */
export function foundBy(host: Host): string {
  const key = `found.${host.found_by}` as Key;
  return ["scan", "beacon", "hand", "message", "group"].includes(host.found_by) ? t(key) : host.found_by;
}

const LOOKS = { connected: "online", connecting: "waiting", unreachable: "failed" };

/** Whether the hub of a group is connected. */
export function GroupState({ group }: { group: Group }) {
  return <span class={`state ${LOOKS[group.state]}`}>{t(`group.${group.state}`)}</span>;
}
