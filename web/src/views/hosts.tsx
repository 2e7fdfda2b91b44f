// The hosts on this network: one card each, and the ways to find more.

import { useComputed } from "@preact/signals";
import { api } from "../api";
import { ago, bytes, clockOffset, rtt } from "../format";
import { type Key, t } from "../i18n";
import { Button, Empty, Facts, Loading, Menu, Progress, SearchBox } from "../parts/bits";
import { Icon } from "../parts/icons";
import { Lazy } from "../parts/lazy";
import { hosts, messages, missing, status } from "../state/store";
import { attempt, copy, dialog, go, href, notify } from "../state/ui";
import type { Host } from "../types";

/** The hosts; with a query, what they have by that name. */
export function HostsView({ query }: { query: string }) {
  const ids = useComputed(() =>
    hosts
      .all()
      .sort((a, b) => (a.state === b.state ? a.name.localeCompare(b.name) : a.state === "online" ? -1 : 1))
      .map((host) => host.id),
  );
  const online = useComputed(() => hosts.all().filter((host) => host.state === "online").length);
  const scan = status.value?.scan;
  return (
    <section class="view" aria-labelledby="view-title">
      <div class="view-head">
        <h1 id="view-title">{t("hosts.title")}</h1>
        {hosts.loaded.value && ids.value.length > 0 && (
          <p class="muted">{t("hosts.count", { n: ids.value.length, online: online.value })}</p>
        )}
        <div class="row end">
          <Button
            icon="scan"
            label={scan?.running ? t("scan.running") : t("scan.start")}
            disabled={scan?.running ?? false}
            onClick={() => void attempt(api.scan)}
          />
          <Button
            icon="plus"
            kind="primary"
            label={t("hosts.add")}
            onClick={() => (dialog.value = { kind: "add-host" })}
          />
        </div>
      </div>
      {scan?.running && (
        <div class="scan" role="status">
          <Progress value={scan.total > 0 ? scan.done / scan.total : null} label={t("scan.running")} />
          <span class="muted">{t("scan.progress", { done: scan.done, total: scan.total })}</span>
        </div>
      )}
      {!missing.value.has("search") && (ids.value.length > 0 || query !== "") && (
        <SearchBox label={t("search.all")} value={query} onChange={searchFor} />
      )}
      {!hosts.loaded.value ? (
        <Loading />
      ) : query !== "" ? (
        <Lazy load={async () => (await import("./search")).SearchResults} props={{ query }} />
      ) : ids.value.length === 0 ? (
        <Empty
          icon="hosts"
          title={t("hosts.none")}
          action={
            <>
              <Button icon="scan" label={t("scan.start")} onClick={() => void attempt(api.scan)} />
              <Button
                icon="plus"
                kind="primary"
                label={t("hosts.add")}
                onClick={() => (dialog.value = { kind: "add-host" })}
              />
            </>
          }
        >
          {t("hosts.none.text")}
        </Empty>
      ) : (
        <ul class="cards" aria-label={t("hosts.title")}>
          {ids.value.map((id) => (
            <HostCard key={id} id={id} />
          ))}
        </ul>
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

function foundBy(host: Host): string {
  const key = `found.${host.found_by}` as Key;
  return ["scan", "beacon", "hand", "message"].includes(host.found_by) ? t(key) : host.found_by;
}

function HostCard({ id }: { id: string }) {
  const host = hosts.get(id);
  if (!host) return null;
  const name = host.name || host.addresses[0] || host.id;
  const remove = (): void => {
    dialog.value = {
      kind: "confirm",
      title: t("hosts.remove.title", { name }),
      text: t("hosts.remove.text"),
      choices: [
        {
          label: t("remove"),
          danger: true,
          run: async () => {
            await api.removeHost(id);
            hosts.remove(id);
            notify("info", t("hosts.removed", { name }));
          },
        },
      ],
    };
  };
  return (
    <li class={`card host ${host.state}`} data-host={id}>
      <div class="card-head">
        <h2>
          <a href={href("hosts", id)} class="card-link">
            {name}
          </a>
        </h2>
        <span class={`state ${host.state}`}>{t(`state.${host.state}`)}</span>
        <Menu
          label={t("more.of", { name })}
          items={[
            ...(missing.value.has("messages") || !messages.loaded.value
              ? []
              : [{ label: t("message.send"), icon: "messages" as const, run: () => go("messages", id) }]),
            {
              label: t("copy.address"),
              icon: "copy" as const,
              disabled: host.addresses.length === 0,
              run: () => void copy(host.addresses[0] ?? ""),
            },
            { label: t("hosts.remove"), icon: "trash" as const, danger: true, run: remove },
          ]}
        />
      </div>
      <p class="addresses muted" title={host.addresses.join("\n")}>
        {host.addresses.slice(0, 2).join(" · ")}
        {host.addresses.length > 2 && ` +${host.addresses.length - 2}`}
      </p>
      <p class="offer">
        <Icon name="folder" size={18} />
        {host.files === null || host.files < 0
          ? t(host.listing ? "hosts.offer.listing" : "hosts.offer.unknown")
          : `${t("files.count", { n: host.files })}${host.bytes ? `, ${bytes(host.bytes)}` : ""}`}
      </p>
      {host.problem && (
        <p class="note host-note">
          <Icon name="warn" size={18} />
          {host.problem}
        </p>
      )}
      <Facts
        items={[
          [t("host.rtt"), host.state === "online" ? rtt(host.rtt_ms) : "–"],
          [t("host.clock"), clockOffset(host.clock_offset_ms)],
          [t("host.found"), foundBy(host)],
          [t("host.seen"), host.state === "online" ? t("time.now") : ago(host.last_seen)],
        ]}
      />
    </li>
  );
}
