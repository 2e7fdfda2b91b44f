// The dialogs that any view may open. The preview is fetched when it is first wanted.

import { useSignal } from "@preact/signals";
import { api } from "../api";
import { bytes } from "../format";
import { t } from "../i18n";
import { hosts, status } from "../state/store";
import { type Dialog, copy, dialog, go, href, notify, sentence } from "../state/ui";
import { Button, Facts, Field, Modal } from "./bits";
import { Lazy } from "./lazy";

const close = (): void => {
  dialog.value = null;
};

export function Dialogs() {
  const open = dialog.value;
  switch (open?.kind) {
    case "add-host":
      return <AddHost />;
    case "add-url":
      return (
        <Lazy key="url" load={async () => (await import("./addurl")).AddUrl} props={{ onClose: close }} />
      );
    case "confirm":
      return <Confirm question={open} />;
    case "shortcuts":
      return <Lazy load={async () => (await import("./shortcuts")).Shortcuts} props={{ onClose: close }} />;
    case "identity":
      return <Identity />;
    case "host":
      return (
        <Lazy
          load={async () => (await import("./pairing")).HostDetails}
          props={{ id: open.host, onClose: close }}
        />
      );
    case "pairing":
      return (
        <Lazy
          key={open.host}
          load={async () => (await import("./pairing")).PairingDialog}
          props={{ id: open.host, onClose: close }}
        />
      );
    case "push":
      return (
        <Lazy
          key="push"
          load={async () => (await import("./push")).PushDialog}
          props={{ host: open.host, paths: open.paths, onClose: close }}
        />
      );
    case "drop":
      return (
        <Lazy
          key="drop"
          load={async () => (await import("./push")).DropDialog}
          props={{ host: open.host, files: open.files, onClose: close }}
        />
      );
    case "incoming":
      return (
        <Lazy
          key={open.id}
          load={async () => (await import("./incoming")).IncomingDialog}
          props={{ id: open.id, onClose: close }}
        />
      );
    case "far":
      return (
        <Lazy key="far" load={async () => (await import("./groups")).FarAway} props={{ onClose: close }} />
      );
    case "invite":
      return (
        <Lazy
          key={open.group}
          load={async () => (await import("./groups")).InviteDialog}
          props={{ id: open.group, onClose: close }}
        />
      );
    case "preview":
      return (
        <Lazy
          load={async () => (await import("./preview")).Preview}
          props={{ id: open.download, onClose: close }}
        />
      );
    case "preview-shared":
      return (
        <Lazy
          load={async () => (await import("./preview")).PreviewShared}
          props={{ file: open.file, onClose: close }}
        />
      );
    default:
      return null;
  }
}

function AddHost() {
  const text = useSignal("");
  const error = useSignal<string | undefined>(undefined);
  const busy = useSignal(false);
  const address = text.value.trim();
  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy.value || address === "") return;
    busy.value = true;
    error.value = undefined;
    try {
      const host = await api.addHost(address);
      hosts.put(host);
      notify("good", t("hosts.added", { name: host.name || address }), {
        label: t("files.browse"),
        run: () => go("hosts", host.id),
      });
      close();
    } catch (reason) {
      error.value = sentence(reason);
    }
    busy.value = false;
  };
  return (
    <Modal title={t("hosts.add")} onClose={close}>
      <form onSubmit={(event) => void onSubmit(event)} noValidate>
        <Field label={t("address")} help={t("address.help")} error={error.value}>
          {(attributes) => (
            <input
              {...attributes}
              type="text"
              value={text.value}
              placeholder="192.168.1.20"
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              autofocus
              onInput={(event) => (text.value = event.currentTarget.value)}
            />
          )}
        </Field>
        {error.value && (
          <a href={href("doctor", address)} onClick={close}>
            {t("doctor.title")}
          </a>
        )}
        <div class="row end">
          <Button label={t("cancel.dialog")} onClick={close} />
          <Button type="submit" kind="primary" label={t("add")} busy={busy.value} disabled={address === ""} />
        </div>
      </form>
    </Modal>
  );
}

function Confirm({ question }: { question: Dialog & { kind: "confirm" } }) {
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const choose = async (run: () => Promise<unknown> | void): Promise<void> => {
    busy.value = true;
    try {
      await run();
      // The choice may have opened another question.
      if (dialog.value === question) close();
    } catch (reason) {
      error.value = sentence(reason);
    }
    busy.value = false;
  };
  return (
    <Modal title={question.title} onClose={close}>
      <p class="breakable">{question.text}</p>
      {error.value && (
        <p class="bad" role="alert">
          {error.value}
        </p>
      )}
      <div class="row end wrap">
        <Button label={question.dismiss ?? t("cancel.dialog")} onClick={close} />
        {question.choices.map((choice) => (
          <Button
            key={choice.label}
            label={choice.label}
            kind={choice.danger ? "danger" : "primary"}
            busy={busy.value}
            onClick={() => void choose(choice.run)}
          />
        ))}
      </div>
    </Modal>
  );
}

/** Who this host is on the network, and how others reach it. */
function Identity() {
  const now = status.value;
  if (!now) return null;
  const url = peerUrl(now.addresses[0] ?? "localhost", now.peer_port);
  return (
    <Modal title={t("identity.title", { name: now.name })} onClose={close}>
      <p>{t("identity.text")}</p>
      <div class="identity-qr">
        <Lazy load={async () => (await import("./qr")).QrCode} props={{ text: url }} />
        <ul>
          {now.addresses.map((address) => (
            <li key={address}>
              <code>{peerUrl(address, now.peer_port)}</code>
              <Button
                icon="copy"
                kind="quiet"
                iconOnly
                label={t("copy.of", { text: address })}
                onClick={() => void copy(peerUrl(address, now.peer_port))}
              />
            </li>
          ))}
        </ul>
      </div>
      <Facts
        items={[
          [t("identity.share"), <span class="breakable">{now.share.folder}</span>],
          [t("identity.downloads"), <span class="breakable">{now.downloads_folder}</span>],
          [t("identity.free"), bytes(now.free_bytes)],
          [t("identity.version"), now.version],
        ]}
      />
    </Modal>
  );
}

/** An address as a URL of the peer listener; it may carry a port already. */
export function peerUrl(address: string, port: number): string {
  if (/^\[.*\]:\d+$/.test(address) || /^[^:]+:\d+$/.test(address)) return `http://${address}`;
  return address.includes(":")
    ? `http://[${address.replace("%", "%25")}]:${port}`
    : `http://${address}:${port}`;
}
