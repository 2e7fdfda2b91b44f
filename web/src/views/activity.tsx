// What hostpair is doing and did: speed over time, the clients of the peer listener, and the log.

import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { ago, bytes, clock, count, speed } from "../format";
import { t } from "../i18n";
import { Button, Empty, Failed, Menu, Segments } from "../parts/bits";
import { HostName } from "../parts/hostname";
import { Lazy } from "../parts/lazy";
import { requestOf } from "../parts/requests";
import { missing, want } from "../state/loading";
import { connections, hostName, hosts, log } from "../state/store";
import { attempt, notify, sentence } from "../state/ui";
import { blocking } from "./hosts";

type Span = "5m" | "1h" | "24h" | "7d";

/** Lines of the log in the document at once. */
const LINES = 300;
/** Connections in the document at once; the busiest come first. */
const ROWS = 200;

export function ActivityView() {
  const span = useSignal<Span>("1h");
  const error = useSignal<string | null>(null);
  const load = (): void => {
    error.value = null;
    Promise.all([want("log"), want("connections")]).catch((reason) => (error.value = sentence(reason)));
  };
  useEffect(load, []);
  return (
    <section class="view" aria-labelledby="view-title">
      <div class="view-head">
        <h1 id="view-title">{t("activity.title")}</h1>
        {!missing.value.has("traffic") && (
          <div class="row end">
            <Segments
              label={t("span")}
              value={span.value}
              choices={[
                { value: "5m", label: t("span.5m") },
                { value: "1h", label: t("span.1h") },
                { value: "24h", label: t("span.24h") },
                { value: "7d", label: t("span.7d") },
              ]}
              onChange={(value) => (span.value = value)}
            />
          </div>
        )}
      </div>
      {!missing.value.has("traffic") && (
        <div class="panel">
          <Lazy
            key={span.value}
            load={async () => (await import("../parts/speedgraph")).SpeedGraph}
            props={{ minutes: { "5m": 5, "1h": 60, "24h": 1440, "7d": 10080 }[span.value] }}
          />
        </div>
      )}
      {error.value && <Failed text={error.value} retry={load} />}
      {!missing.value.has("connections") && <Connections />}
      {!missing.value.has("log") && <Log />}
    </section>
  );
}

function Connections() {
  const ids = useComputed(() =>
    connections
      .all()
      .sort((a, b) => b.speed_bps - a.speed_bps || b.since.localeCompare(a.since))
      .map((one) => one.id),
  );
  return (
    <section class="panel" aria-labelledby="connections-title">
      <div class="row">
        <h2 id="connections-title">{t("connections.title")}</h2>
        {ids.value.length > 0 && <span class="muted count">{count(ids.value.length)}</span>}
      </div>
      {ids.value.length === 0 ? (
        <p class="muted">{t("connections.none")}</p>
      ) : (
        <div class="scroll-x" tabIndex={0} role="group" aria-labelledby="connections-title">
          <table>
            <thead>
              <tr>
                <th>{t("column.host")}</th>
                <th>{t("column.file")}</th>
                <th class="number">{t("column.speed")}</th>
                <th class="number">{t("column.sent")}</th>
                <th>{t("column.since")}</th>
                <th>{t("column.program")}</th>
                <th>
                  <span class="hidden">{t("column.actions")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {ids.value.slice(0, ROWS).map((id) => (
                <ConnectionRow key={id} id={id} />
              ))}
            </tbody>
          </table>
          {ids.value.length > ROWS && <p class="muted">+{count(ids.value.length - ROWS)}</p>}
        </div>
      )}
    </section>
  );
}

function ConnectionRow({ id }: { id: number }) {
  const one = connections.get(id);
  if (!one) return null;
  const name = hostName(one.host) || one.address;
  const host = one.host === null ? undefined : hosts.get(one.host);
  const active = one.active;
  const close = (): void =>
    void attempt(async () => {
      await api.closeConnection(id);
      connections.remove(id);
      notify("info", t("connections.closed", { name }));
    });
  return (
    <tr data-connection={id} class={active ? "" : "idle"}>
      <td>
        <HostName id={one.host} otherwise={one.address} />
        {one.host && <span class="muted small"> {one.address}</span>}
      </td>
      <td class="breakable">
        {requestOf(one.path)}
        {!active && <span class="muted small"> · {t("connections.idle")}</span>}
      </td>
      <td class="number">{active && one.speed_bps > 0 ? speed(one.speed_bps) : "–"}</td>
      <td class="number">{bytes(one.bytes_sent)}</td>
      <td>{ago(one.since)}</td>
      <td class="muted" title={one.user_agent ?? ""}>
        {(one.user_agent ?? "").slice(0, 40)}
      </td>
      <td class="row-end">
        {/* Only a server that knows "active" can close one. */}
        {one.active !== undefined && (
          <span class="row end">
            <Button
              icon="close"
              kind="quiet"
              iconOnly
              label={t("connections.close", { name })}
              onClick={close}
            />
            {host?.blocked !== undefined && (
              <Menu label={t("more.of", { name })} items={[blocking(host.id, name, host.blocked)]} />
            )}
          </span>
        )}
      </td>
    </tr>
  );
}

function Log() {
  const level = useSignal<"all" | "warn">("all");
  const lines = useComputed(() =>
    log.value
      .filter((line) => level.value === "all" || line.level === "warn" || line.level === "error")
      .slice(-LINES),
  );
  return (
    <section class="panel" aria-labelledby="log-title">
      <div class="row">
        <h2 id="log-title">{t("log.title")}</h2>
        <div class="end">
          <Segments
            label={t("log.level")}
            value={level.value}
            choices={[
              { value: "all", label: t("filter.all") },
              { value: "warn", label: t("log.warnings") },
            ]}
            onChange={(value) => (level.value = value)}
          />
        </div>
      </div>
      {lines.value.length === 0 ? (
        <Empty icon="activity" title={t("log.none")} />
      ) : (
        <ol class="log" tabIndex={0} aria-label={t("log.title")}>
          {lines.value
            .slice()
            .reverse()
            .map((line) => (
              <li key={line.number} class={line.level}>
                <time>{clock(line.at)}</time>
                <span class="log-level">{line.level}</span>
                <span class="breakable">{line.text}</span>
              </li>
            ))}
        </ol>
      )}
    </section>
  );
}
