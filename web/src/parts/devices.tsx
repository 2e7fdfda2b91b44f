// Phones and computers with LocalSend: what can be done with them is to send them files.

import { api } from "../api";
import { ago } from "../format";
import { t } from "../i18n";
import { type PushKey, tp } from "../i18n/push";
import { devices } from "../state/store";
import { attempt, dialog } from "../state/ui";
import type { Host } from "../types";
import { Button, Menu } from "./bits";
import { Icon } from "./icons";

export function Devices() {
  const list = devices.all().sort((a, b) => a.name.localeCompare(b.name));
  return (
    <section aria-labelledby="devices-title">
      <h2 id="devices-title" class="devices-title">
        {tp("device.title")}
      </h2>
      <ul class="cards" aria-label={tp("device.title")}>
        {list.map((one) => (
          <Device key={one.id} one={one} />
        ))}
      </ul>
    </section>
  );
}

function Device({ one }: { one: Host }) {
  const here = one.state === "online";
  const send = (): void => {
    dialog.value = { kind: "push", host: one.id, paths: null };
  };
  const forget = (): void =>
    void attempt(async () => {
      await api.removeHost(one.id);
      devices.remove(one.id);
    });
  return (
    <li class="card host" data-host={one.id}>
      <div class="card-head">
        <h3 title={one.name}>
          <bdi>{one.name}</bdi>
        </h3>
        <span class={`state ${one.state}`}>{tp(here ? "device.here" : "device.away")}</span>
      </div>
      <p class="addresses muted">
        {one.addresses[0]}
        {!here && ` · ${ago(one.last_seen)}`}
      </p>
      <div class="offer">
        <Icon name="hosts" size={18} />
        <span>{tp(`device.${one.device_type ?? "desktop"}` as PushKey)}</span>
        <span class="row end">
          <Button icon="up" label={tp("device.send")} onClick={send} />
          <Menu
            label={t("more.of", { name: one.name })}
            items={[{ label: tp("device.forget"), icon: "trash", danger: true, run: forget }]}
          />
        </span>
      </div>
    </li>
  );
}
