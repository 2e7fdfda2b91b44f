// The first page: who this host is, who else is here, and the ways to find more.

import { useComputed } from "@preact/signals";
import { useRef } from "preact/hooks";
import { api } from "../api";
import { ago, amount, clockOffset, clockThere, rtt } from "../format";
import { type Key, t } from "../i18n";
import { Button, Facts, Loading, Menu, type MenuItem, Progress, SearchBox } from "../parts/bits";
import { peerUrl } from "../parts/dialogs";
import { offer } from "../parts/drop";
import { GroupState, NotProven, PairedMark, foundBy } from "../parts/hostname";
import { Icon } from "../parts/icons";
import { Lazy } from "../parts/lazy";
import { startPairing } from "../parts/pair";
import { missing, want } from "../state/loading";
import {
  connections,
  devices,
  groups,
  hosts,
  isOpenPairing,
  messages,
  pairings,
  status,
} from "../state/store";
import { askToConfirm, attempt, capital, copy, dialog, go, href, narrow, notify } from "../state/ui";
import type { Host } from "../types";

/** The hosts; with a query, what they have by that name. */
export function HostsView({ query }: { query: string }) {
  const inState = (state: Host["state"]): string[] =>
    hosts
      .all()
      .filter((host) => host.state === state)
      .sort((a, b) => a.name.localeCompare(b.name))
      .map((host) => host.id);
  const online = useComputed(() => inState("online"));
  const offline = useComputed(() => inState("offline"));
  const count = online.value.length + offline.value.length;
  const scan = status.value?.scan;
  const some = count > 0;
  return (
    <section class="view" aria-labelledby="view-title">
      <div class="view-head">
        <h1 id="view-title">{t("hosts.title")}</h1>
        {hosts.loaded.value && some && (
          <p class="muted">{t("hosts.count", { n: count, online: online.value.length })}</p>
        )}
        <div class="row end">
          <Button
            icon="scan"
            label={scan?.running ? t("scan.running") : t("scan.start")}
            disabled={scan?.running ?? false}
            onClick={() => void attempt(api.scan)}
          />
          <Button icon="plus" label={t("hosts.add")} onClick={() => (dialog.value = { kind: "add-host" })} />
          {groups.loaded.value && !missing.value.has("groups") && (
            <Button icon="globe" label={t("group.far")} onClick={() => (dialog.value = { kind: "far" })} />
          )}
        </div>
      </div>
      {scan?.running && (
        <div class="scan" role="status">
          <Progress value={scan.total > 0 ? scan.done / scan.total : null} label={t("scan.running")} />
          <span class="muted">{t("scan.progress", { done: scan.done, total: scan.total })}</span>
        </div>
      )}
      {status.value?.notices.some((notice) => notice.code === "not_reached") && (
        <Lazy load={async () => (await import("./alone")).NotReached} props={{}} />
      )}
      {query === "" && <ThisHost />}
      {query === "" && <GroupLines />}
      {!missing.value.has("search") && (some || query !== "") && (
        <SearchBox label={t("search.all")} value={query} onChange={searchFor} />
      )}
      {!hosts.loaded.value ? (
        <Loading />
      ) : query !== "" ? (
        <Lazy load={async () => (await import("./search")).SearchResults} props={{ query }} />
      ) : some ? (
        <>
          <ul class="cards" aria-label={t("hosts.title")}>
            {online.value.map((id) => (
              <HostCard key={id} id={id} />
            ))}
          </ul>
          {offline.value.length > 0 && <OfflineHosts ids={offline.value} open={online.value.length === 0} />}
        </>
      ) : (
        <Lazy load={async () => (await import("./alone")).Alone} props={{}} />
      )}
      {query === "" && devices.ids.value.length > 0 && (
        <Lazy load={async () => (await import("../parts/devices")).Devices} props={{}} />
      )}
    </section>
  );
}

/** One entry in the browser's history for a search, however it is typed. */
function searchFor(text: string): void {
  const words = text.trim();
  const target = words === "" ? href("hosts") : href("search", words);
  // The address itself: route follows it only when the browser has told of the change.
  if (location.hash.startsWith(href("search"))) location.replace(target);
  else if (words !== "") location.hash = target;
}

/** Where others reach this host, as a URL. */
export function ownUrl(): string {
  const now = status.value;
  return now ? peerUrl(now.addresses[0] ?? "localhost", now.peer_port) : "";
}

/** Who this host is, what it offers, and the way to offer more. */
function ThisHost() {
  const now = status.value;
  const picker = useRef<HTMLInputElement>(null);
  if (!now) return null;
  const url = ownUrl();
  return (
    <section class="panel self" aria-label={t("self.title")}>
      <div class="self-part">
        <p class="muted small">{t("self.title")}</p>
        <h2>{now.name}</h2>
        <p class="self-address">
          <code class="breakable">{url}</code>
          <Button
            icon="copy"
            kind="quiet"
            iconOnly
            label={t("copy.of", { text: url })}
            onClick={() => void copy(url)}
          />
          <Button
            icon="qr"
            kind="quiet"
            iconOnly
            label={t("identity.open")}
            onClick={() => (dialog.value = { kind: "identity" })}
          />
        </p>
      </div>
      <div class="self-part">
        <p class="muted small">{t("self.offers")}</p>
        <p class="self-offer">
          <a href={href("share")}>
            {now.share.files === 0 ? t("self.offers.none") : amount(now.share.files, now.share.bytes)}
          </a>
        </p>
        <p class="muted small breakable">
          {narrow.value ? t("self.folder", { folder: now.share.folder }) : t("self.drop")}
        </p>
      </div>
      {!missing.value.has("share") && (
        <div class="self-action">
          <Button
            icon="share"
            kind="primary"
            label={t("share.offer")}
            onClick={() => picker.current?.click()}
          />
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            onChange={(event) => {
              offer([...(event.currentTarget.files ?? [])], "");
              event.currentTarget.value = "";
            }}
          />
        </div>
      )}
    </section>
  );
}

/** The groups that this host is in, one line each; all else of them is in the settings. */
function GroupLines() {
  const all = groups.all();
  if (all.length === 0) return null;
  return (
    <ul class="group-lines" aria-label={t("group.title")}>
      {all.map((group) => (
        <li key={group.id}>
          <a href={href("settings")} class="strong breakable">
            {group.name}
          </a>
          <GroupState group={group} />
          <span class="muted">
            {group.members.length > 0 ? t("group.count", { n: group.members.length }) : t("group.alone")}
          </span>
          {group.reason && group.state !== "connected" && (
            <span class="muted breakable">{capital(group.reason)}</span>
          )}
        </li>
      ))}
    </ul>
  );
}

/** How a host is reached; why not better stands in the tip and in the details. */
function pathText(host: Host) {
  return <span title={host.path_reason ?? undefined}>{t(`path.${host.path}` as Key)}</span>;
}

/** Ends a pairing, after a question. */
function unpair(id: string, name: string): void {
  askToConfirm({
    title: t("unpair.title", { name }),
    text: t("unpair.text"),
    label: t("unpair"),
    run: async () => {
      await api.unpair(id);
      const host = hosts.signalOf(id)?.peek();
      if (host) hosts.put({ ...host, paired: false });
      notify("info", t("unpair.done", { name }));
    },
  });
}

/** What can be done with a host, wherever it is shown. */
export function hostActions(host: Host): MenuItem[] {
  const name = host.name || host.addresses[0] || host.id;
  const items: MenuItem[] = [
    {
      label: t("copy.address"),
      icon: "copy",
      disabled: host.addresses.length === 0,
      run: () => void copy(host.addresses[0] ?? ""),
    },
  ];
  items.push({
    label: t("details"),
    icon: "key",
    run: () => (dialog.value = { kind: "host", host: host.id }),
  });
  if (!missing.value.has("pairing") && host.proven) {
    if (host.paired) items.push({ label: t("unpair"), icon: "shield", run: () => unpair(host.id, name) });
    else items.push({ label: t("pair.start"), icon: "shield", run: () => void startPairing(host.id) });
  }
  if (!missing.value.has("push") && host.proven && !host.blocked) {
    items.push({
      label: t("push.start"),
      icon: "up",
      run: () => (dialog.value = { kind: "push", host: host.id, paths: null }),
    });
  }
  if (host.blocked !== undefined) items.push(blocking(host.id, name, host.blocked));
  items.push({ label: t("hosts.remove"), icon: "trash", danger: true, run: () => removeHost(host.id, name) });
  return items;
}

/** The menu item that blocks a host, after a question, or lets it in again. */
export function blocking(id: string, name: string, blocked: boolean): MenuItem {
  const set = async (to: boolean): Promise<void> => {
    hosts.put(await api.blockHost(id, to));
    if (connections.loaded.peek()) void want("connections").catch(() => {});
    notify("info", t(to ? "host.block.done" : "host.unblock.done", { name }));
  };
  if (blocked) return { label: t("host.unblock"), icon: "check", run: () => void attempt(() => set(false)) };
  return {
    label: t("host.block"),
    icon: "block",
    danger: true,
    run: () => {
      askToConfirm({
        title: t("host.block.title", { name }),
        text: t("host.block.text"),
        label: t("host.block"),
        run: () => set(true),
      });
    },
  };
}

function removeHost(id: string, name: string): void {
  askToConfirm({
    title: t("hosts.remove.title", { name }),
    text: t("hosts.remove.text"),
    label: t("remove"),
    run: async () => {
      await api.removeHost(id);
      hosts.remove(id);
      notify("info", t("hosts.removed", { name }));
    },
  });
}

/** How much a host offers, in words. */
export function offerOf(host: Host): string {
  if (host.files === null || host.files < 0)
    return t(host.listing ? "hosts.offer.listing" : "hosts.offer.unknown");
  if (host.files === 0) return t("hosts.offer.none");
  return host.bytes ? amount(host.files, host.bytes) : t("files.count", { n: host.files });
}

/** Hosts that do not answer: one line each, out of the way until a person wants them. */
function OfflineHosts({ ids, open }: { ids: string[]; open: boolean }) {
  return (
    <details class="panel offline-hosts" open={open}>
      <summary>{t("hosts.offline", { n: ids.length })}</summary>
      <ul aria-label={t("hosts.offline", { n: ids.length })}>
        {ids.map((id) => (
          <OfflineHost key={id} id={id} />
        ))}
      </ul>
    </details>
  );
}

function OfflineHost({ id }: { id: string }) {
  const host = hosts.get(id);
  if (!host) return null;
  const name = host.name || host.addresses[0] || host.id;
  return (
    <li class="host-line" data-host={id}>
      <a href={href("hosts", id)} title={host.addresses.join("\n")}>
        {name}
      </a>
      <PairedMark host={host} />
      <NotProven host={host} />
      <span class={`state ${host.blocked ? "blocked" : "offline"}`}>
        {t(host.blocked ? "state.blocked" : "state.offline")}
      </span>
      <span class="muted">
        {t("host.seen")}: {ago(host.last_seen)}
      </span>
      {host.problem && <span class="muted">{host.problem}</span>}
      <HostButtons host={host} name={name} />
    </li>
  );
}

/** What is done with a host: a message, and the menu of the rest. */
function HostButtons({ host, name }: { host: Host; name: string }) {
  return (
    <span class="row end">
      {!missing.value.has("messages") && messages.loaded.value && (
        <Button
          icon="messages"
          kind="quiet"
          iconOnly
          label={t("message.to", { name })}
          onClick={() => go("messages", host.id)}
        />
      )}
      <Menu label={t("more.of", { name })} items={hostActions(host)} />
    </span>
  );
}

function HostCard({ id }: { id: string }) {
  const host = hosts.get(id);
  if (!host) return null;
  const name = host.name || host.addresses[0] || host.id;
  return (
    <li class="card host" data-host={id}>
      <div class="card-head">
        <h2 title={name}>
          <a href={href("hosts", id)} class="card-link">
            {name}
          </a>
          <PairedMark host={host} />
        </h2>
        <NotProven host={host} />
        <span class={`state ${host.blocked ? "blocked" : host.state}`}>
          {t(host.blocked ? "state.blocked" : `state.${host.state}`)}
        </span>
      </div>
      <p class="addresses muted" title={[host.added_as, ...host.addresses].filter(Boolean).join("\n")}>
        {host.addresses.slice(0, 2).join(" · ")}
        {host.addresses.length > 2 && ` +${host.addresses.length - 2}`}
      </p>
      <div class="offer">
        <Icon name="folder" size={18} />
        <span>{offerOf(host)}</span>
        <HostButtons host={host} name={name} />
      </div>
      {host.problem && (
        <p class="note host-note">
          <Icon name="warn" size={18} />
          {host.problem}
        </p>
      )}
      {isOpenPairing(pairings.value[id]) && (
        <p class="note host-note">
          <Icon name="shield" size={18} />
          {t("pair.open", { name })}
          <Button label={t("show")} onClick={() => (dialog.value = { kind: "pairing", host: id })} />
        </p>
      )}
      <Facts
        items={[
          [t("host.clock"), clockThere(host.clock_offset_ms)],
          [t("host.offset"), clockOffset(host.clock_offset_ms, host.clock_uncertainty_ms)],
          [t("host.rtt"), rtt(host.rtt_ms)],
          host.path ? [t("host.path"), pathText(host)] : [t("host.found"), foundBy(host)],
        ]}
      />
    </li>
  );
}
