// Short texts between hosts: one conversation a host, and one for what went to everyone.

import { batch, useComputed, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { api } from "../api";
import { bytes, count, dateTime, timeOfDay } from "../format";
import { t } from "../i18n";
import { Button, Empty, Failed, Loading, Menu, type MenuItem } from "../parts/bits";
import { FileState } from "../parts/filestate";
import { PairedMark } from "../parts/hostname";
import { Icon, fileIcon } from "../parts/icons";
import { Linked } from "../parts/linked";
import { PickShared } from "../parts/pickshared";
import { link } from "../state/connection";
import { MESSAGES_PAGE, want } from "../state/loading";
import { hostName, hosts, messages, moreMessages, senderName, takeUnread, unreadBy } from "../state/store";
import { attached, attempt, canTell, copy, go, href, narrow, sentence, tell, telling } from "../state/ui";
import type { Message, Offer } from "../types";

const EVERYONE = "everyone";
/** Code points; the receiving host refuses longer texts. */
const TEXT_MAX = 4000;

/** The conversation that a message is listed under. */
const partner = (message: Message): string => (message.incoming ? message.from : message.to);

/** Whether a conversation shows a message: a host's also what went to everyone, it included. */
const belongs = (message: Message, key: string): boolean =>
  partner(message) === key ||
  (!message.incoming && message.to === EVERYONE && message.deliveries.some((one) => one.host === key));

export function MessagesView({ with: chosen }: { with: string | null }) {
  const error = useSignal<string | null>(null);
  const load = (): void => {
    error.value = null;
    want("messages").catch((reason) => (error.value = sentence(reason)));
  };
  useEffect(() => {
    if (!messages.loaded.peek()) load();
  }, []);
  const conversations = useComputed(() => {
    const last = new Map<string, Message>();
    for (const message of messages.all()) {
      const key = partner(message);
      const known = last.get(key);
      if (!known || known.id < message.id) last.set(key, message);
    }
    // A plain web server takes no messages.
    const able = hosts.all().filter((host) => host.protocol !== null || last.has(host.id));
    const keys = new Set([EVERYONE, ...able.map((host) => host.id), ...last.keys()]);
    return [...keys]
      .map((key) => ({ key, last: last.get(key) }))
      .sort((a, b) => (b.last?.id ?? 0) - (a.last?.id ?? 0) || nameOf(a.key).localeCompare(nameOf(b.key)));
  });

  if (error.value) return <Failed text={error.value} retry={load} />;
  if (!messages.loaded.value) return <Loading />;
  const current = chosen ?? (narrow.value ? null : (conversations.value[0]?.key ?? EVERYONE));
  return (
    <section class="view messages" aria-labelledby="view-title">
      {(!narrow.value || current === null) && (
        <div class="conversations">
          <div class="view-head">
            <h1 id="view-title">{t("messages.title")}</h1>
            <TellButton />
          </div>
          <ul aria-label={t("messages.title")}>
            {conversations.value.map(({ key, last }) => (
              <li key={key}>
                <Conversation name={key} last={last} current={key === current} />
              </li>
            ))}
          </ul>
        </div>
      )}
      {current !== null && <Thread key={current} with={current} />}
    </section>
  );
}

/** Asks the browser, when it is pressed and not before, whether the page may notify. */
function TellButton() {
  if (!canTell()) return null;
  return (
    <div class="row end">
      <button
        type="button"
        class="button quiet"
        aria-pressed={telling.value}
        title={t("tell.help")}
        onClick={() => void tell(!telling.peek())}
      >
        <Icon name="bell" size={18} />
        <span>{t(telling.value ? "tell.off" : "tell.on")}</span>
      </button>
    </div>
  );
}

function Conversation({
  name: key,
  last,
  current,
}: {
  name: string;
  last: Message | undefined;
  current: boolean;
}) {
  const unread = unreadBy.value[key] ?? 0;
  const host = hosts.get(key);
  const state = host?.blocked ? "blocked" : host?.state;
  return (
    <a href={href("messages", key)} aria-current={current ? "true" : undefined}>
      <span class="conversation-name">
        <Icon name={key === EVERYONE ? "people" : "hosts"} size={18} />
        <bdi class="ellipsis">{nameOf(key)}</bdi>
        <PairedMark host={host} />
        {state && state !== "online" && <span class="muted small">{t(`state.${state}`)}</span>}
        {unread > 0 && (
          <span class="badge">
            {count(unread)}
            <span class="hidden">{t("messages.unread", { n: unread })}</span>
          </span>
        )}
      </span>
      {last && (
        <span class={unread > 0 ? "conversation-last strong" : "conversation-last muted"}>
          {last.incoming ? summary(last) : t("messages.you", { text: summary(last) })}
        </span>
      )}
    </a>
  );
}

const summary = (message: Message): string =>
  message.text || t("message.offers", { name: baseName(message.offer?.path ?? "") });
const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

function nameOf(key: string): string {
  if (key === EVERYONE) return t("messages.everyone");
  if (hosts.get(key)?.name) return hostName(key);
  const known = messages.all().find((message) => message.incoming && message.from === key);
  return known ? senderName(known) : key;
}

function Thread({ with: key }: { with: string }) {
  const thread = useComputed(() =>
    messages
      .all()
      .filter((message) => belongs(message, key))
      .sort((a, b) => a.id - b.id),
  );
  const more = useSignal(moreMessages.peek());
  const busy = useSignal(false);
  const list = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const newest = thread.value.at(-1)?.id ?? 0;
  const oldest = thread.value[0]?.id;
  // A person who reads further up stays there.
  useLayoutEffect(() => {
    const box = list.current;
    if (box && (atEnd.current || !(thread.peek().at(-1)?.incoming ?? true))) box.scrollTop = box.scrollHeight;
  }, [newest]);
  useReading(key, newest);

  const older = async (): Promise<void> => {
    busy.value = true;
    await attempt(async () => {
      const box = list.current;
      const below = box ? box.scrollHeight - box.scrollTop : 0;
      const page = await api.messages({
        with: key,
        limit: MESSAGES_PAGE,
        ...(oldest === undefined ? {} : { before: oldest }),
      });
      batch(() => {
        for (const message of page.messages) messages.put(message);
        more.value = page.more;
      });
      requestAnimationFrame(() => box && (box.scrollTop = box.scrollHeight - below));
    });
    busy.value = false;
  };
  const name = nameOf(key);
  const host = hosts.get(key);
  const nobody = key === EVERYONE && hosts.loaded.value && hosts.ids.value.length === 0;
  return (
    <div class="thread" data-host={host?.id}>
      <header>
        {narrow.value && (
          <Button icon="back" kind="quiet" iconOnly label={t("back")} onClick={() => go("messages")} />
        )}
        <Title name={name} />
        {host && <a href={href("hosts", key)}>{t("files.browse")}</a>}
      </header>
      <div
        class="thread-list"
        role="log"
        aria-label={t("messages.with", { name })}
        tabIndex={0}
        ref={list}
        onScroll={(event) => {
          const box = event.currentTarget;
          atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
        }}
      >
        {more.value && (
          <Button kind="quiet" label={t("messages.older")} busy={busy.value} onClick={() => void older()} />
        )}
        {thread.value.length === 0 && !more.value && (
          <Empty icon="messages" title={t("messages.none")}>
            {nobody
              ? t("messages.nobody")
              : key === EVERYONE
                ? t("messages.none.everyone")
                : t("messages.none.text", { name })}
          </Empty>
        )}
        {thread.value.map((message) => (
          <Bubble key={message.id} message={message} tagged={partner(message) !== key} />
        ))}
      </div>
      {host?.blocked ? (
        <p class="note">
          <Icon name="block" size={18} />
          {t("messages.blocked", { name })}
        </p>
      ) : (
        <Compose to={key} name={name} />
      )}
    </div>
  );
}

/** Beside the list of conversations a part of the view, alone the view's title. */
function Title({ name }: { name: string }) {
  const Tag = narrow.value ? "h1" : "h2";
  return (
    <Tag class="ellipsis" id={narrow.value ? "view-title" : undefined}>
      <bdi>{name}</bdi>
    </Tag>
  );
}

/** What is on the screen, while somebody looks at the page, is read. */
function useReading(key: string, newest: number): void {
  const unread = unreadBy.value[key] ?? 0;
  const live = link.value === "live";
  useEffect(() => {
    if (unread === 0 || newest === 0 || !live) return;
    const read = (): void => {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", read);
      // A failure shows as a number that stays; it is tried again with the next message.
      api.readMessages({ with: key, up_to: newest }).then(takeUnread, () => {});
    };
    document.addEventListener("visibilitychange", read);
    read();
    return () => document.removeEventListener("visibilitychange", read);
  }, [key, newest, unread, live]);
}

/** What was typed and not sent yet, by conversation; it outlives a look elsewhere. */
const drafts = new Map<string, string>();

function Compose({ to: key, name }: { to: string; name: string }) {
  const text = useSignal(drafts.get(key) ?? "");
  const error = useSignal<string | null>(null);
  const picking = useSignal(false);
  const box = useRef<HTMLTextAreaElement>(null);
  const offer = attached.value;
  const length = [...text.value].length;
  const nothing = text.value.trim() === "" && offer === null;
  // One after the other, in the order of writing; the box is free for the next at once.
  const last = useRef<Promise<void>>(Promise.resolve());
  const submit = (): void => {
    if (nothing || length > TEXT_MAX) return;
    const words = text.value;
    text.value = "";
    drafts.delete(key);
    attached.value = null;
    error.value = null;
    last.current = last.current.then(async () => {
      try {
        const message = { to: key, text: words, ...(offer ? { offer: { path: offer.path } } : {}) };
        messages.put(await api.sendMessage(message));
      } catch (reason) {
        error.value = sentence(reason);
        // What was not taken comes back, before what was written meanwhile.
        text.value = text.value === "" ? words : `${words}\n${text.value}`;
        drafts.set(key, text.value);
        if (offer && attached.value === null) attached.value = offer;
      }
    });
    box.current?.focus();
  };
  // The dialog stands beside the form: Enter in its search sends nothing.
  return (
    <>
      <form
        class="compose"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        {offer && (
          <p class="attached">
            <Icon name={fileIcon(offer.path, null)} size={18} />
            <span class="ellipsis">{offer.path}</span>
            <span class="muted">{bytes(offer.size)}</span>
            <Button
              icon="close"
              kind="quiet"
              iconOnly
              label={t("messages.attach.clear", { name: baseName(offer.path) })}
              onClick={() => (attached.value = null)}
            />
          </p>
        )}
        <Button
          icon="attach"
          kind="quiet"
          iconOnly
          label={t("messages.attach")}
          onClick={() => (picking.value = true)}
        />
        <textarea
          ref={box}
          rows={2}
          value={text.value}
          dir="auto"
          aria-label={t("messages.to", { name })}
          placeholder={t("messages.to", { name })}
          title={t("messages.keys")}
          onInput={(event) => {
            text.value = event.currentTarget.value;
            drafts.set(key, text.value);
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              submit();
            }
          }}
        />
        <Button
          type="submit"
          kind="primary"
          label={t("messages.send")}
          disabled={nothing || length > TEXT_MAX}
        />
        {length > TEXT_MAX && <p class="bad">{t("messages.long", { n: length - TEXT_MAX })}</p>}
        {error.value && (
          <p class="bad" role="alert">
            {error.value}
          </p>
        )}
      </form>
      {picking.value && (
        <PickShared
          onClose={() => (picking.value = false)}
          onPick={(file) => {
            attached.value = file;
            picking.value = false;
            box.current?.focus();
          }}
        />
      )}
    </>
  );
}

function Bubble({ message, tagged }: { message: Message; tagged: boolean }) {
  const at = message.incoming ? message.received_at : message.sent_at;
  const today = new Date(at).toDateString() === new Date().toDateString();
  const failed = message.deliveries.some((one) => one.state === "failed");
  const items: MenuItem[] = [
    {
      label: t("message.copy"),
      icon: "copy",
      disabled: message.text === "",
      run: () => void copy(message.text),
    },
    {
      label: t("message.remove"),
      icon: "trash",
      danger: true,
      run: () =>
        void attempt(async () => {
          await api.removeMessage(message.id);
          messages.remove(message.id);
        }),
    },
  ];
  return (
    <div class={message.incoming ? "bubble incoming" : "bubble"} data-message={message.id}>
      {message.text !== "" && (
        <p class="bubble-text" dir="auto">
          <Linked text={message.text} />
        </p>
      )}
      {message.offer && <OfferCard message={message} offer={message.offer} />}
      <div class="bubble-foot">
        <div class="bubble-facts">
          <time dateTime={at} title={dateTime(at)}>
            {today ? timeOfDay(at) : dateTime(at)}
          </time>
          {tagged && <span>{t("message.everyone")}</span>}
          {!message.incoming && <DeliveryState message={message} />}
          {failed && (
            <button
              type="button"
              class="link"
              onClick={() => void attempt(async () => messages.put(await api.retryMessage(message.id)))}
            >
              {t("delivery.retry")}
            </button>
          )}
        </div>
        <Menu label={t("message.more")} items={items} />
      </div>
    </div>
  );
}

/** A file that came, or went, with a message; the receiver has one button that fetches it and shows how far it is. */
function OfferCard({ message, offer }: { message: Message; offer: Offer }) {
  const name = baseName(offer.path);
  return (
    <div class="offer-card">
      <Icon name={fileIcon(name, null)} size={24} />
      <span class="offer-name">
        <span class="ellipsis" title={offer.path}>
          <bdi>{name}</bdi>
        </span>
        <span class="muted small">{bytes(offer.size)}</span>
      </span>
      {message.incoming && (
        <FileState host={message.from} file={{ path: offer.path, name, root: offer.root }} full />
      )}
    </div>
  );
}

/** Whether it has arrived; for many receivers, at how many. */
function DeliveryState({ message }: { message: Message }) {
  const all = message.deliveries.length;
  const names = (state: string): string =>
    message.deliveries
      .filter((one) => one.state === state)
      .map((one) => hostName(one.host))
      .join(", ");
  const done = message.deliveries.filter((one) => one.state === "delivered").length;
  const reasons = message.deliveries
    .filter((one) => one.reason && one.state !== "delivered")
    .map((one) => (all === 1 ? one.reason : `${hostName(one.host)}: ${one.reason}`));
  const failed = message.deliveries.filter((one) => one.state === "failed");
  const waits = names("queued");
  const state = failed.length > 0 ? "failed" : all > 0 && done === all ? "delivered" : "queued";
  const text =
    all === 0
      ? t("delivery.nobody")
      : state === "failed"
        ? all === 1
          ? t("delivery.failed.one")
          : t("delivery.failed", { names: names("failed") })
        : state === "delivered"
          ? t("delivery.delivered")
          : all === 1
            ? t("delivery.queued", { names: waits })
            : t("delivery.some", { done, all, names: waits });
  return (
    <span class={state === "failed" ? "bad" : ""} data-delivery={state} title={reasons.join("\n")}>
      <Icon name={state === "delivered" ? "check" : state === "failed" ? "warn" : "clock"} size={14} /> {text}
      {state === "failed" && failed[0]?.reason && `: ${failed[0].reason}`}
    </span>
  );
}
