// Asks for the dashboard token once; the server keeps it in a cookie that no script can read.

import { useSignal } from "@preact/signals";
import { api } from "../api";
import { t } from "../i18n";
import { sentence } from "../state/ui";
import { Button, Field } from "./bits";
import { Icon } from "./icons";

export function SignIn() {
  const token = useSignal("");
  const error = useSignal<string | undefined>(undefined);
  const busy = useSignal(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    busy.value = true;
    error.value = undefined;
    try {
      await api.signIn(token.value);
      location.reload();
    } catch (reason) {
      error.value = sentence(reason);
      busy.value = false;
    }
  };
  return (
    <main class="sign-in">
      <form onSubmit={(event) => void submit(event)}>
        <Icon name="key" size={36} />
        <h1>{t("signin.title")}</h1>
        <p class="muted">{t("signin.text")}</p>
        <Field label={t("signin.token")} error={error.value}>
          {(attributes) => (
            <input
              {...attributes}
              type="password"
              value={token.value}
              autocomplete="current-password"
              autofocus
              onInput={(event) => (token.value = event.currentTarget.value)}
            />
          )}
        </Field>
        <Button
          type="submit"
          kind="primary"
          label={t("signin.go")}
          busy={busy.value}
          disabled={token.value === ""}
        />
      </form>
    </main>
  );
}
