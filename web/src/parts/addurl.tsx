// The dialog that orders a download by its URL, with what its server asks for. What is typed here is gone with the dialog.

import { type Signal, useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { ApiError } from "../api";
import { t } from "../i18n";
import { type OrdersKey, to } from "../i18n/orders";
import { go, sentence } from "../state/ui";
import type { NewDownload } from "../types";
import { askToCopy } from "./again";
import { Button, Field, Modal } from "./bits";
import { order } from "./filestate";

/** Fields of the order, by the names that the server's objections begin with. */
const NAMES = ["url", "user", "password", "headers", "certificate"] as const;
type Name = (typeof NAMES)[number];

/** An objection to what stands in one field. */
class FieldError extends Error {
  constructor(
    readonly field: Name,
    message: string,
  ) {
    super(message);
  }
}

/** "Name: value" lines as the API takes them. */
function readHeaders(text: string): Record<string, string> {
  const headers = new Map<string, string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const colon = line.indexOf(":");
    if (colon < 1) throw new FieldError("headers", to("headers.line", { n: index + 1 }));
    const name = line.slice(0, colon).trim();
    if ([...headers.keys()].some((other) => other.toLowerCase() === name.toLowerCase())) {
      throw new FieldError("headers", to("headers.twice", { name }));
    }
    headers.set(name, line.slice(colon + 1).trim());
  }
  return Object.fromEntries(headers);
}

function readOrder(typed: Record<Name, string>): NewDownload {
  const url = typed.url.trim();
  const user = typed.user.trim();
  const certificate = typed.certificate.trim();
  const headers = readHeaders(typed.headers);
  if (!/^https?:\/\//i.test(url)) throw new FieldError("url", to("url.scheme"));
  if (user === "" && typed.password !== "") throw new FieldError("user", to("password.alone"));
  return {
    url,
    ...(user === "" ? {} : { user }),
    ...(typed.password === "" ? {} : { password: typed.password }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(certificate === "" ? {} : { certificate }),
  };
}

/** Which field an error is about; the first one for what is about none. */
function fieldOf(error: unknown): Name {
  if (error instanceof FieldError) return error.field;
  const name = error instanceof ApiError ? /^([a-z]+): /.exec(error.message)?.[1] : undefined;
  return NAMES.find((one) => one === name) ?? "url";
}

export function AddUrl({ onClose }: { onClose: () => void }) {
  const typed: Record<Name, Signal<string>> = {
    url: useSignal(""),
    user: useSignal(""),
    password: useSignal(""),
    headers: useSignal(""),
    certificate: useSignal(""),
  };
  const open = useSignal(false);
  const error = useSignal<{ field: Name; text: string } | null>(null);
  const busy = useSignal(false);
  const empty = typed.url.value.trim() === "";
  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy.value || empty) return;
    busy.value = true;
    error.value = null;
    try {
      const what = readOrder({
        url: typed.url.value,
        user: typed.user.value,
        password: typed.password.value,
        headers: typed.headers.value,
        certificate: typed.certificate.value,
      });
      const { download, here } = await order(what);
      // A link to a known host is an order of the file there.
      if (here) askToCopy([{ what, download }]);
      else {
        onClose();
        go("downloads", download.id);
      }
    } catch (reason) {
      const field = fieldOf(reason);
      error.value = { field, text: sentence(reason) };
      if (field !== "url") open.value = true;
    }
    busy.value = false;
  };
  const attributesOf = (name: Name): JSX.InputHTMLAttributes & JSX.TextareaHTMLAttributes => ({
    value: typed[name].value,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: false,
    onInput: (event: JSX.TargetedInputEvent<HTMLInputElement | HTMLTextAreaElement>) => {
      typed[name].value = event.currentTarget.value;
    },
  });
  const errorOf = (name: Name): string | undefined =>
    error.value?.field === name ? error.value.text : undefined;
  const line = (name: Name, label: OrdersKey, more: JSX.InputHTMLAttributes, help?: OrdersKey) => (
    <Field label={to(label)} error={errorOf(name)} {...(help ? { help: to(help) } : {})}>
      {(attributes) => <input type="text" {...attributes} {...attributesOf(name)} {...more} />}
    </Field>
  );
  return (
    <Modal title={t("url.add")} onClose={onClose}>
      <form onSubmit={(event) => void onSubmit(event)} noValidate>
        {line(
          "url",
          "url",
          { inputMode: "url", placeholder: "https://example.org/file.iso", autofocus: true },
          "url.help",
        )}
        <details
          class="server-asks"
          open={open.value}
          onToggle={(event) => (open.value = event.currentTarget.open)}
        >
          <summary>{to("server.asks")}</summary>
          <p class="muted">{to("server.asks.help")}</p>
          <div class="login">
            {line("user", "user", {})}
            {line("password", "password", { type: "password", autocomplete: "new-password" })}
          </div>
          <Field label={to("headers.title")} help={to("headers.help")} error={errorOf("headers")}>
            {(attributes) => (
              <textarea {...attributes} {...attributesOf("headers")} rows={3} placeholder="Cookie: id=…" />
            )}
          </Field>
          {line("certificate", "certificate.sha256", { placeholder: "AB:CD:…" }, "certificate.help")}
        </details>
        <div class="row end">
          <Button label={t("cancel.dialog")} onClick={onClose} />
          <Button type="submit" kind="primary" label={t("download")} busy={busy.value} disabled={empty} />
        </div>
      </form>
    </Modal>
  );
}
