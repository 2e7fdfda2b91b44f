// Short texts between hosts: one conversation a host, and one for everyone.

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { api } from "../api";
import { clock, dateTime } from "../format";
import { t } from "../i18n";
import { Button, Empty, Failed, Loading } from "../parts/bits";
import { Icon } from "../parts/icons";
import { hostName, hosts, messages, unread, want } from "../state/store";
import { go, href, narrow, sentence } from "../state/ui";
import type { Message } from "../types";

const EVERYONE = "everyone";
/** Code points; the receiving host refuses longer texts. */
const TEXT_MAX = 4000;

/** The conversation that a message belongs to. */
const partner = (message: Message): string => (message.incoming ? message.from : message.to);

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
    const keys = new Set([EVERYONE, ...hosts.ids.value, ...last.keys()]);
    return [...keys]
      .map((key) => ({ key, last: last.get(key) }))
      .sort((a, b) => (b.last?.id ?? 0) - (a.last?.id ?? 0) || nameOf(a.key).localeCompare(nameOf(b.key)));
  });
  // What is on the screen is read.
  const count = messages.ids.value.length;
  useEffect(() => {
    unread.value = 0;
  }, [count, chosen]);

  if (error.value) return <Failed text={error.value} retry={load} />;
  if (!messages.loaded.value) return <Loading />;
  const current = chosen ?? (narrow.value ? null : (conversations.value[0]?.key ?? EVERYONE));
  return (
    <section class="view messages" aria-labelledby="view-title">
      {(!narrow.value || current === null) && (
        <div class="conversations">
          <h1 id="view-title">{t("messages.title")}</h1>
          <ul aria-label={t("messages.title")}>
            {conversations.value.map(({ key, last }) => (
              <li key={key}>
                <a href={href("messages", key)} aria-current={key === current ? "true" : undefined}>
                  <span class="conversation-name">
                    <Icon name={key === EVERYONE ? "share" : "hosts"} size={18} />
                    {nameOf(key)}
                    {key !== EVERYONE && hosts.get(key)?.state === "offline" && (
                      <span class="muted small">{t("state.offline")}</span>
                    )}
                  </span>
                  {last && <span class="conversation-last muted">{last.text}</span>}
                </a>
              </li>
            ))}
          </ul>
        </div>
      )}
      {current !== null && <Thread key={current} with={current} />}
    </section>
  );
}

function nameOf(key: string): string {
  return key === EVERYONE ? t("messages.everyone") : hostName(key);
}

function Thread({ with: key }: { with: string }) {
  const thread = useComputed(() =>
    messages
      .all()
      .filter((message) => partner(message) === key)
      .sort((a, b) => a.id - b.id),
  );
  const text = useSignal("");
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const end = useRef<HTMLDivElement>(null);
  const count = thread.value.length;
  useLayoutEffect(() => {
    const box = end.current?.parentElement;
    if (box) box.scrollTop = box.scrollHeight;
  }, [count]);
  const length = [...text.value].length;
  const submit = async (): Promise<void> => {
    if (text.value.trim() === "" || length > TEXT_MAX || busy.value) return;
    busy.value = true;
    error.value = null;
    try {
      messages.put(await api.sendMessage(key, text.value));
      text.value = "";
    } catch (reason) {
      error.value = sentence(reason);
    }
    busy.value = false;
  };
  const name = nameOf(key);
  return (
    <div class="thread">
      <header>
        {narrow.value && (
          <Button icon="back" kind="quiet" iconOnly label={t("back")} onClick={() => go("messages")} />
        )}
        <h2>{name}</h2>
        {key !== EVERYONE && hosts.get(key) && <a href={href("hosts", key)}>{t("files.browse")}</a>}
      </header>
      <div class="thread-list" tabIndex={0} role="log" aria-label={t("messages.with", { name })}>
        {count === 0 && (
          <Empty icon="messages" title={t("messages.none")}>
            {key === EVERYONE ? t("messages.none.everyone") : t("messages.none.text", { name })}
          </Empty>
        )}
        {thread.value.map((message) => (
          <Bubble key={message.id} message={message} />
        ))}
        <div ref={end} />
      </div>
      <form
        class="compose"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <textarea
          rows={2}
          value={text.value}
          aria-label={t("messages.to", { name })}
          placeholder={t("messages.to", { name })}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              void submit();
            }
          }}
        />
        <Button
          type="submit"
          kind="primary"
          label={t("messages.send")}
          busy={busy.value}
          disabled={text.value.trim() === "" || length > TEXT_MAX}
        />
        {length > TEXT_MAX && <p class="bad">{t("messages.long", { n: length - TEXT_MAX })}</p>}
        {error.value && (
          <p class="bad" role="alert">
            {error.value}
          </p>
        )}
      </form>
    </div>
  );
}

function Bubble({ message }: { message: Message }) {
  const today = new Date(message.sent_at).toDateString() === new Date().toDateString();
  return (
    <div class={message.incoming ? "bubble incoming" : "bubble"}>
      <p>{message.text}</p>
      <p class="bubble-foot">
        <time dateTime={message.sent_at}>{today ? clock(message.sent_at) : dateTime(message.sent_at)}</time>
        {!message.incoming && <span> · {delivery(message)}</span>}
      </p>
    </div>
  );
}

/** Whether it has arrived; for many receivers, at how many. */
function delivery(message: Message): string {
  const all = message.deliveries.length;
  const done = message.deliveries.filter((one) => one.state === "delivered").length;
  const failed = message.deliveries.filter((one) => one.state === "failed");
  if (all === 0) return t("delivery.nobody");
  if (failed.length > 0)
    return t("delivery.failed", { names: failed.map((one) => hostName(one.host)).join(", ") });
  if (done === all) return t("delivery.delivered");
  const waiting = message.deliveries.filter((one) => one.state === "queued").map((one) => hostName(one.host));
  return done === 0 && all === 1
    ? t("delivery.queued", { names: waiting.join(", ") })
    : t("delivery.some", { done, all, names: waiting.join(", ") });
}
