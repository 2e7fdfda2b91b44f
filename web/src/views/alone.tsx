// What the hosts view says when something is missing: nobody else is there, or nobody can connect here.

import { href, dialog } from "../state/ui";
import { t } from "../i18n";
import { tp } from "../i18n/push";
import { Button, Empty } from "../parts/bits";
import { Icon } from "../parts/icons";
import { devices, settings } from "../state/store";
import { words } from "./doctor-texts";
import { ownUrl } from "./hosts";

/** What to do while nobody else is here. */
export function Alone() {
  const looks = settings.value === null || settings.value.scan || settings.value.beacon;
  return (
    <Empty
      icon="hosts"
      title={devices.ids.value.length > 0 ? tp("device.only") : t("hosts.none")}
      action={
        <Button
          icon="plus"
          kind="primary"
          label={t("hosts.add")}
          onClick={() => (dialog.value = { kind: "add-host" })}
        />
      }
    >
      {t(looks ? "hosts.none.text" : "hosts.none.quiet")}
      <span class="empty-more">{t("hosts.none.guest", { url: ownUrl() })}</span>
      <span class="empty-more">
        <a href={href("doctor")}>{t("doctor.title")}</a>
      </span>
    </Empty>
  );
}

/** Others answer, and cannot connect here. */
export function NotReached() {
  return (
    <p class="banner note flush" role="status" data-notice="not_reached">
      <Icon name="warn" size={18} />
      <span>
        {words("notReached")} <a href={href("doctor")}>{words("findOut")}</a>
      </span>
    </p>
  );
}
