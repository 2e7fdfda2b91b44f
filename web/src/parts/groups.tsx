// Groups: the dialog that makes or joins one, the dialog with an invite, and the list of groups in the settings.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, api } from "../api";
import { t } from "../i18n";
import { groups, hostName } from "../state/store";
import { askToConfirm, capital, copy, dialog, href, notify, sentence } from "../state/ui";
import type { Group } from "../types";
import { Button, Facts, Failed, Field, Loading, Modal, Segments } from "./bits";
import { GroupState } from "./hostname";
import { Lazy } from "./lazy";

// ---- someone far away ----

const FIELDS = ["hub", "name", "token", "invite"] as const;
type FieldName = (typeof FIELDS)[number];
type Way = "make" | "join";

/** A hub that makes groups only for who shows its token answers anybody else that it has no such group. */
const needsToken = (error: unknown): boolean => error instanceof ApiError && error.code === "not-found";

/** The field that the server's objection is about. What names none is about the hub, or the invite that leads to it. */
function fieldOf(error: unknown, way: Way): FieldName {
  if (way === "join") return "invite";
  if (!(error instanceof ApiError)) return "hub";
  if (needsToken(error)) return "token";
  return FIELDS.find((name) => RegExp(`^(${name}: |"${name}" is to be )`).test(error.message)) ?? "hub";
}

/** Makes a group at a hub, or joins one with the invite that somebody sent. */
export function FarAway({ onClose }: { onClose: () => void }) {
  const way = useSignal<Way>("make");
  const texts = {
    hub: useSignal(""),
    name: useSignal(""),
    token: useSignal(""),
    invite: useSignal(""),
  };
  const error = useSignal<{ field: FieldName; text: string } | null>(null);
  const busy = useSignal(false);
  const typed = (name: FieldName): string => texts[name].value.trim();
  const complete =
    way.value === "join" ? typed("invite") !== "" : typed("hub") !== "" && typed("name") !== "";

  const begin = async (): Promise<void> => {
    const joins = way.peek() === "join";
    const token = typed("token");
    const group = await api.addGroup(
      joins
        ? { invite: typed("invite") }
        : { hub: typed("hub"), name: typed("name"), ...(token === "" ? {} : { token }) },
    );
    groups.put(group);
    notify("good", t(joins ? "group.joined" : "group.made", { name: group.name }));
    // The hub may take its time, and the person has closed the dialog meanwhile.
    if (dialog.peek()?.kind !== "far") return;
    if (joins) onClose();
    else dialog.value = { kind: "invite", group: group.id };
  };
  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy.value || !complete) return;
    busy.value = true;
    error.value = null;
    try {
      await begin();
    } catch (reason) {
      const field = fieldOf(reason, way.peek());
      const text = field === "token" && needsToken(reason) ? t("group.token.needed") : sentence(reason);
      error.value = { field, text: capital(text) };
    }
    busy.value = false;
  };

  const field = (name: FieldName) => ({
    text: texts[name],
    label: t(`group.${name}`),
    help: t(`group.${name}.help`),
    error: error.value?.field === name ? error.value.text : undefined,
  });
  return (
    <Modal title={t("group.far.title")} onClose={onClose}>
      <p class="muted">{t("group.far.text")}</p>
      <form class="far" onSubmit={(event) => void onSubmit(event)} noValidate>
        <Segments
          label={t("group.how")}
          value={way.value}
          choices={[
            { value: "make", label: t("group.new") },
            { value: "join", label: t("group.have") },
          ]}
          onChange={(value) => {
            if (busy.value) return;
            way.value = value;
            error.value = null;
          }}
        />
        {way.value === "make" ? (
          <>
            <Line key="hub" {...field("hub")} inputMode="url" placeholder="hub.example.org" autofocus />
            <Line key="name" {...field("name")} />
            <Line key="token" {...field("token")} secret />
          </>
        ) : (
          <InviteField {...field("invite")} />
        )}
        <div class="row end">
          <Button label={t("cancel.dialog")} onClick={onClose} />
          <Button
            type="submit"
            kind="primary"
            label={t(way.value === "make" ? "group.make" : "group.join")}
            busy={busy.value}
            disabled={!complete}
          />
        </div>
      </form>
    </Modal>
  );
}

interface Typed {
  text: Signal<string>;
  label: string;
  help: string;
  error: string | undefined;
}

function Line({
  text,
  label,
  help,
  error,
  secret = false,
  ...rest
}: Typed & { secret?: boolean; inputMode?: "url"; placeholder?: string; autofocus?: boolean }) {
  return (
    <Field label={label} help={help} error={error}>
      {(attributes) => (
        <input
          {...attributes}
          {...rest}
          type={secret ? "password" : "text"}
          value={text.value}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

function InviteField({ text, label, help, error }: Typed) {
  return (
    <Field label={label} help={help} error={error}>
      {(attributes) => (
        <textarea
          {...attributes}
          rows={4}
          value={text.value}
          placeholder="hostpair://join/…"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

// ---- an invite ----

/** The secret of a group. It is asked for when the dialog is opened, and forgotten with it. */
export function InviteDialog({ id, onClose }: { id: number; onClose: () => void }) {
  const invite = useSignal("");
  const error = useSignal<string | null>(null);
  const title = t("group.invite.title", { name: groups.get(id)?.name ?? "" });
  const load = (): void => {
    error.value = null;
    api.invite(id).then(
      (text) => (invite.value = text),
      (reason) => (error.value = sentence(reason)),
    );
  };
  useEffect(load, []);
  return (
    <Modal title={title} onClose={onClose}>
      {error.value ? (
        <Failed text={error.value} retry={load} />
      ) : invite.value === "" ? (
        <Loading />
      ) : (
        <>
          <p>{t("group.invite.text")}</p>
          <div class="invite">
            <Lazy load={async () => (await import("./qr")).QrCode} props={{ text: invite.value }} />
            <code class="breakable">{invite.value}</code>
          </div>
          <div class="row end">
            <Button
              icon="copy"
              kind="primary"
              label={t("group.copy")}
              onClick={() => void copy(invite.value, title)}
            />
            <Button label={t("close")} onClick={onClose} />
          </div>
        </>
      )}
    </Modal>
  );
}

// ---- the list ----

/** All groups, and what can be done with each. */
export function GroupList() {
  const all = groups.all();
  return (
    <section class="panel" aria-labelledby="groups-title">
      <h2 id="groups-title">{t("group.title")}</h2>
      {all.length === 0 ? (
        <p class="muted">{t("group.none")}</p>
      ) : (
        <ul class="groups">
          {all.map((group) => (
            <OneGroup key={group.id} group={group} />
          ))}
        </ul>
      )}
      <p>
        <Button icon="globe" label={t("group.far")} onClick={() => (dialog.value = { kind: "far" })} />
      </p>
    </section>
  );
}

function OneGroup({ group }: { group: Group }) {
  return (
    <li aria-label={group.name} data-group={group.id}>
      <div class="row wrap">
        <h3 class="breakable">{group.name}</h3>
        <GroupState group={group} />
      </div>
      {group.reason && group.state !== "connected" && <p class="note breakable">{capital(group.reason)}</p>}
      <Facts
        items={[
          [t("group.hub"), <code class="breakable">{group.hub}</code>],
          [t("group.members"), <Members ids={group.members} />],
        ]}
      />
      <Name group={group} />
      <Publish group={group} />
      <div class="row wrap">
        <Button
          icon="key"
          label={t("group.show")}
          onClick={() => (dialog.value = { kind: "invite", group: group.id })}
        />
        <Button icon="refresh" label={t("group.renew")} onClick={() => askToRenew(group)} />
        <Button kind="danger" label={t("group.leave")} onClick={() => askToLeave(group)} />
      </div>
    </li>
  );
}

function Members({ ids }: { ids: string[] }) {
  if (ids.length === 0) return <>{t("group.members.none")}</>;
  return (
    <>
      {ids.map((id, index) => (
        <span key={id} class="breakable">
          {index > 0 && " · "}
          <a href={href("hosts", id)}>{hostName(id)}</a>
        </span>
      ))}
    </>
  );
}

/** Saves a change of a group, and says so; resolves to the server's objection. */
async function save(id: number, fields: { name?: string; publish?: boolean }): Promise<string | undefined> {
  try {
    groups.put(await api.changeGroup(id, fields));
    notify("good", t("settings.saved"));
    return undefined;
  } catch (error) {
    return sentence(error);
  }
}

/** What the group is called here: saved when the field is left or Enter is pressed. */
function Name({ group }: { group: Group }) {
  const text = useSignal(group.name);
  const error = useSignal<string | undefined>(undefined);
  useEffect(() => {
    text.value = group.name;
  }, [group.name]);
  const commit = async (): Promise<void> => {
    error.value = text.value === group.name ? undefined : await save(group.id, { name: text.value });
  };
  return (
    <Field label={t("group.name")} help={t("group.name.help")} error={error.value}>
      {(attributes) => (
        <input
          {...attributes}
          type="text"
          value={text.value}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onBlur={() => void commit()}
          onKeyDown={(event) => event.key === "Enter" && void commit()}
        />
      )}
    </Field>
  );
}

function Publish({ group }: { group: Group }) {
  const error = useSignal<string | undefined>(undefined);
  return (
    <Field label={t("group.publish")} help={t("group.publish.help")} error={error.value} inline>
      {(attributes) => (
        <input
          {...attributes}
          type="checkbox"
          role="switch"
          checked={group.publish}
          onChange={async (event) => {
            const box = event.currentTarget;
            error.value = await save(group.id, { publish: box.checked });
            box.checked = groups.signalOf(group.id)?.peek().publish ?? box.checked;
          }}
        />
      )}
    </Field>
  );
}

/** A new secret shuts everybody out who does not get the new invite: the question says who that is. */
function askToRenew(group: Group): void {
  const names = group.members.map(hostName).join(", ");
  askToConfirm({
    title: t("group.renew.title", { name: group.name }),
    text: names === "" ? t("group.renew.nobody") : t("group.renew.text", { names }),
    label: t("group.renew"),
    run: async () => {
      await api.renewGroup(group.id);
      dialog.value = { kind: "invite", group: group.id };
    },
  });
}

function askToLeave(group: Group): void {
  askToConfirm({
    title: t("group.leave.title", { name: group.name }),
    text: t("group.leave.text"),
    label: t("group.leave"),
    run: async () => {
      await api.leaveGroup(group.id);
      groups.remove(group.id);
      notify("info", t("group.left", { name: group.name }));
    },
  });
}
