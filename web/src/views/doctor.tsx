// "Something missing?": this machine and its networks, and the way to one other host and back.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { t } from "../i18n";
import { Button, Failed, Field } from "../parts/bits";
import { Icon } from "../parts/icons";
import { hosts, look } from "../state/store";
import { copy, href, sentence } from "../state/ui";
import type { Finding, Look } from "../types";
import { todoOf, textOf, words } from "./doctor-texts";

export function DoctorView({ host }: { host: string }) {
  const id = useSignal(0);
  const first = useSignal<Look | null>(null);
  const error = useSignal<string | null>(null);
  const begin = async (): Promise<void> => {
    error.value = null;
    try {
      const begun = await api.beginLook(host);
      first.value = begun;
      id.value = begun.id;
    } catch (reason) {
      error.value = sentence(reason);
    }
  };
  useEffect(() => void begin(), [host]);
  const now = look.value?.id === id.value ? look.value : first.value;
  const busy = error.value === null && (now?.running ?? true);
  return (
    <section class="view doctor" aria-labelledby="view-title" aria-busy={busy}>
      <div class="view-head">
        <h1 id="view-title">{t("doctor.title")}</h1>
        <div class="row end">
          <Button icon="refresh" label={words("again")} busy={busy} onClick={() => void begin()} />
        </div>
      </div>
      <p class="muted">{words("intro")}</p>
      <Ask host={host} />
      {error.value ? (
        <Failed text={error.value} retry={() => void begin()} />
      ) : (
        now && <Findings look={now} />
      )}
    </section>
  );
}

/** Which host is missed. */
function Ask({ host }: { host: string }) {
  const known = hosts.signalOf(host)?.value;
  const text = useSignal(known?.name || host);
  useEffect(() => {
    text.value = known?.name || host;
  }, [host]);
  const submit = (event: Event): void => {
    event.preventDefault();
    const wanted = text.value.trim();
    const named = hosts.all().filter((other) => other.name === wanted);
    location.hash = wanted ? href("doctor", named.length === 1 ? named[0]!.id : wanted) : href("doctor");
  };
  return (
    <form class="doctor-ask" onSubmit={submit}>
      <Field label={words("which")} help={words("whichHelp")}>
        {(attributes) => (
          <input
            {...attributes}
            type="text"
            inputMode="url"
            list="doctor-hosts"
            value={text.value}
            placeholder="192.168.1.20"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
        )}
      </Field>
      <datalist id="doctor-hosts">
        {hosts.all().map((other) => (
          <option key={other.id} value={other.name} />
        ))}
      </datalist>
      <Button type="submit" icon="search" label={words("look")} />
    </form>
  );
}

const RANK = { problem: 0, note: 1, ok: 2 } as const;
const ICON = { problem: "warn", note: "bell", ok: "check" } as const;

function Findings({ look: now }: { look: Look }) {
  const sorted = [...now.findings].sort((a, b) => RANK[a.severity] - RANK[b.severity]);
  const problems = sorted.filter((one) => one.severity === "problem").length;
  return (
    <>
      <p class="doctor-state" role="status">
        {now.running && <span class="spinner" aria-hidden="true" />}
        {now.running
          ? words("looking")
          : problems === 0
            ? words("fine")
            : words(problems === 1 ? "one" : "many").replace("{n}", String(problems))}
      </p>
      <ul class="panel findings" aria-label={words("found")}>
        {sorted.map((one, index) => (
          <Row key={`${one.slug} ${index}`} finding={one} />
        ))}
      </ul>
    </>
  );
}

function Row({ finding }: { finding: Finding }) {
  const todo = todoOf(finding);
  const command = finding.command;
  return (
    <li class={`finding is-${finding.severity}`} data-slug={finding.slug}>
      <Icon name={ICON[finding.severity]} size={18} />
      <div>
        <p class="breakable">
          <span class="hidden">{words(finding.severity)}: </span>
          {textOf(finding)}
        </p>
        {todo && <p class="muted breakable">{todo}</p>}
        {command && (
          <p class="finding-command">
            <code class="breakable">{command}</code>
            <Button
              icon="copy"
              kind="quiet"
              iconOnly
              label={t("copy.of", { text: command })}
              onClick={() => void copy(command)}
            />
          </p>
        )}
      </div>
    </li>
  );
}
