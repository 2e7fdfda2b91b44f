// What a person may set. Each field is saved when it is left, and says so.

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { bytes } from "../format";
import { type Key, t } from "../i18n";
import { LANGUAGES } from "../i18n/languages";
import { to } from "../i18n/orders";
import { ts } from "../i18n/share";
import { GroupList } from "../parts/groups";
import { Failed, Field, Loading, Segments } from "../parts/bits";
import { missing, want } from "../state/loading";
import { groups, settings } from "../state/store";
import { canTell, href, notify, sentence, tell, telling } from "../state/ui";
import type { Settings, SettingsChange } from "../types";

export function SettingsView() {
  const error = useSignal<string | null>(null);
  const load = (): void => {
    error.value = null;
    want("settings").catch((reason) => (error.value = sentence(reason)));
  };
  useEffect(load, []);
  const now = settings.value;
  return (
    <section class="view settings" aria-labelledby="view-title">
      <div class="view-head">
        <h1 id="view-title">{t("settings.title")}</h1>
      </div>
      {error.value && !now ? (
        <Failed text={error.value} retry={load} />
      ) : !now ? (
        <Loading />
      ) : (
        <>
          <fieldset class="panel">
            <legend>{t("settings.host")}</legend>
            <TextSetting name="name" help="settings.name.help" />
            <TextSetting name="share_folder" help="settings.share_folder.help" />
            <TextSetting name="downloads_folder" help="settings.downloads_folder.help" />
            <p>
              <a href={href("downloads", "kept")}>{to("kept.title")}</a>
            </p>
          </fieldset>
          {now.share_ignore !== undefined && <Ignored />}
          <fieldset class="panel">
            <legend>{t("settings.speed")}</legend>
            <LimitSetting name="down_limit_bps" />
            <LimitSetting name="up_limit_bps" />
            <NumberSetting name="running_downloads" min={1} max={100} />
            <NumberSetting name="connections_per_source" min={1} max={16} />
          </fieldset>
          <fieldset class="panel">
            <legend>{t("settings.discovery")}</legend>
            <SwitchSetting name="scan" help="settings.scan.help" />
            <SwitchSetting name="beacon" help="settings.beacon.help" />
            {now.localsend !== undefined && <SwitchSetting name="localsend" help="settings.localsend.help" />}
            <p>
              <a href={href("doctor")}>{t("doctor.title")}</a>
            </p>
          </fieldset>
          {now.access !== undefined && (
            <fieldset class="panel">
              <legend>{t("settings.who")}</legend>
              <ChoiceSetting
                name="access"
                help={t(`settings.access.${now.access}` as Key)}
                choices={[
                  { value: "everyone", label: t("access.everyone") },
                  { value: "hosts", label: t("access.hosts") },
                  { value: "paired", label: t("access.paired") },
                ]}
              />
              {now.receive !== undefined && (
                <>
                  <ChoiceSetting
                    name="receive"
                    help={t(`settings.receive.${now.receive}` as Key)}
                    choices={[
                      { value: "ask", label: t("receive.ask") },
                      { value: "paired", label: t("receive.paired") },
                      { value: "everyone", label: t("receive.everyone") },
                      { value: "off", label: t("receive.off") },
                    ]}
                  />
                  <TextSetting name="receive_pin" help="settings.receive_pin.help" />
                </>
              )}
              {now.encrypt_content !== undefined && (
                <SwitchSetting name="encrypt_content" help="settings.encrypt_content.help" />
              )}
              {now.keep_executable !== undefined && (
                <SwitchSetting name="keep_executable" help="settings.keep_executable.help" />
              )}
            </fieldset>
          )}
          {groups.loaded.value && !missing.value.has("groups") && <GroupList />}
          <fieldset class="panel">
            <legend>{t("settings.look")}</legend>
            <ChoiceSetting
              name="language"
              choices={[
                { value: "auto", label: t("settings.auto") },
                ...LANGUAGES.map(({ tag, name }) => ({ value: tag, label: name })),
              ]}
            />
            <ChoiceSetting
              name="theme"
              choices={[
                { value: "auto", label: t("settings.auto") },
                { value: "light", label: t("theme.light") },
                { value: "dark", label: t("theme.dark") },
              ]}
            />
            {canTell() && (
              <Field label={t("settings.tell")} help={t("tell.help")} inline>
                {(attributes) => (
                  <input
                    {...attributes}
                    type="checkbox"
                    role="switch"
                    checked={telling.value}
                    onChange={(event) => void tell(event.currentTarget.checked)}
                  />
                )}
              </Field>
            )}
          </fieldset>
        </>
      )}
    </section>
  );
}

const label = (name: keyof Settings): string => t(`settings.${name}` as Key);

/** Saves one field; a refusal is the server's sentence. */
async function save(fields: SettingsChange): Promise<string | undefined> {
  try {
    settings.value = await api.changeSettings(fields);
    notify("good", t("settings.saved"));
    return undefined;
  } catch (error) {
    return sentence(error);
  }
}

/**
 * What is typed into one field: it is saved when the field is left or Enter is pressed, and an objection stays only for
 * as long as what it is about. `read` gives the value that a text stands for, or throws a sentence.
 */
function useTyped<V extends string | number>(
  name: keyof Settings,
  kept: V,
  write: (value: V) => string,
  read: (text: string) => V,
) {
  const text = useSignal(write(kept));
  const error = useSignal<string | undefined>(undefined);
  useEffect(() => {
    text.value = write(kept);
  }, [kept]);
  const commit = async (): Promise<void> => {
    error.value = undefined;
    if (text.value === write(kept)) return;
    try {
      error.value = await save({ [name]: read(text.value) });
    } catch (objection) {
      error.value = sentence(objection);
    }
  };
  return {
    error: error.value,
    attributes: {
      value: text.value,
      autocomplete: "off" as const,
      onInput: (event: JSX.TargetedInputEvent<HTMLInputElement>) => {
        text.value = event.currentTarget.value;
        if (text.value === write(kept)) error.value = undefined;
      },
      onBlur: () => void commit(),
      onKeyDown: (event: KeyboardEvent) => event.key === "Enter" && void commit(),
    },
  };
}

function TextSetting({
  name,
  help,
}: {
  name: "name" | "share_folder" | "downloads_folder" | "receive_pin";
  help: Key;
}) {
  const typed = useTyped(name, settings.value![name], String, String);
  return (
    <Field label={label(name)} help={t(help)} error={typed.error}>
      {(attributes) => <input {...attributes} {...typed.attributes} type="text" spellcheck={false} />}
    </Field>
  );
}

function NumberSetting({
  name,
  min,
  max,
}: {
  name: "running_downloads" | "connections_per_source";
  min: number;
  max: number;
}) {
  const typed = useTyped(name, settings.value![name], String, (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max) {
      throw new Error(t("settings.number", { min, max }));
    }
    return value;
  });
  return (
    <Field label={label(name)} error={typed.error}>
      {(attributes) => (
        <input {...attributes} {...typed.attributes} type="text" inputMode="numeric" class="short" />
      )}
    </Field>
  );
}

/** Names that are not offered. The server objects to what is no pattern. */
function Ignored() {
  const typed = useTyped("share_ignore", settings.value!.share_ignore, String, (text) => text.trim());
  const error = useSignal<string | undefined>(undefined);
  return (
    <fieldset class="panel">
      <legend>{ts("ignore.title")}</legend>
      <Field label={ts("ignore.patterns")} help={ts("ignore.patterns.help")} error={typed.error}>
        {(attributes) => <input {...attributes} {...typed.attributes} type="text" spellcheck={false} />}
      </Field>
      <Field label={ts("ignore.dotfiles")} help={ts("ignore.dotfiles.help")} error={error.value} inline>
        {(attributes) => (
          <input
            {...attributes}
            type="checkbox"
            role="switch"
            checked={settings.value!.share_dotfiles}
            onChange={async (event) => {
              error.value = await save({ share_dotfiles: event.currentTarget.checked });
            }}
          />
        )}
      </Field>
    </fieldset>
  );
}

const MEGA = 1_000_000;

/** A limit in MB a second, 0 for none. */
function LimitSetting({ name }: { name: "down_limit_bps" | "up_limit_bps" }) {
  const kept = settings.value![name];
  const typed = useTyped(
    name,
    kept,
    (value) => String(value / MEGA),
    (text) => {
      const value = Math.round(Number(text.trim().replace(",", ".")) * MEGA);
      if (text.trim() === "" || !Number.isSafeInteger(value) || value < 0) {
        throw new Error(t("settings.limit.invalid"));
      }
      return value;
    },
  );
  return (
    <Field
      label={label(name)}
      help={kept > 0 ? t("settings.limit.now", { speed: `${bytes(kept)}/s` }) : t("settings.limit.none")}
      error={typed.error}
    >
      {(attributes) => (
        <input {...attributes} {...typed.attributes} type="text" inputMode="decimal" class="short" />
      )}
    </Field>
  );
}

function SwitchSetting({
  name,
  help,
}: {
  name: "scan" | "beacon" | "localsend" | "encrypt_content" | "keep_executable";
  help: Key;
}) {
  const error = useSignal<string | undefined>(undefined);
  return (
    <Field label={label(name)} help={t(help)} error={error.value} inline>
      {(attributes) => (
        <input
          {...attributes}
          type="checkbox"
          role="switch"
          checked={settings.value![name] ?? false}
          onChange={async (event) => {
            error.value = await save({ [name]: event.currentTarget.checked });
          }}
        />
      )}
    </Field>
  );
}

function ChoiceSetting({
  name,
  choices,
  help,
}: {
  name: "language" | "theme" | "access" | "receive";
  help?: string;
  choices: { value: string; label: string }[];
}) {
  const error = useSignal<string | undefined>(undefined);
  return (
    <div class="field">
      <p class="field-label">{label(name)}</p>
      <Segments
        label={label(name)}
        value={settings.value![name] ?? ""}
        choices={choices}
        onChange={async (value) => {
          error.value = await save({ [name]: value });
        }}
      />
      {help && <p class="help">{help}</p>}
      {error.value && (
        <p class="error" role="alert">
          {error.value}
        </p>
      )}
    </div>
  );
}
