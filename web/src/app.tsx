// The frame round every view: navigation, who this host is, whether the page is connected, notices and dialogs.

import { effect, signal } from "@preact/signals";
import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { api, whenUnauthorized } from "./api";
import { percent, speed } from "./format";
import { type Key, explain, setLanguage, t } from "./i18n";
import { Button, Failed } from "./parts/bits";
import { Dialogs } from "./parts/dialogs";
import { DropZone } from "./parts/drop";
import { Icon, type IconName } from "./parts/icons";
import { visible } from "./visible";
import { startKeys } from "./parts/keys";
import { Lazy } from "./parts/lazy";
import { link, reconnect, run } from "./state/connection";
import { missing, optional, want } from "./state/loading";
import { downloads, firstVersion, incoming, pairings, settings, speeds, status, unread } from "./state/store";
import { askToPair, askToReceive } from "./state/events";
import { askingFrom, openOffer, quietOffers } from "./state/offers";
import { startScroll } from "./state/scroll";
import { attempt, dialog, dismiss, notices, remember, route, sentence, setTheme } from "./state/ui";
import { DownloadsView, isOpen } from "./views/downloads";
import { HostsView } from "./views/hosts";

interface Place {
  name: string;
  icon: IconName;
  label: Key;
  /** Whether this server has what the view shows. */
  there: () => boolean;
  badge?: () => number;
}

const PLACES: Place[] = [
  { name: "hosts", icon: "hosts", label: "hosts.title", there: () => true },
  {
    name: "downloads",
    icon: "downloads",
    label: "downloads.title",
    there: () => true,
    badge: () =>
      downloads.all().filter(isOpen).length +
      incoming.all().filter((one) => one.state === "asking" || one.state === "receiving").length,
  },
  { name: "share", icon: "share", label: "share.title", there: () => !missing.value.has("share") },
  {
    name: "messages",
    icon: "messages",
    label: "messages.title",
    there: () => !missing.value.has("messages"),
    badge: () => unread.value,
  },
  {
    name: "activity",
    icon: "activity",
    label: "activity.title",
    there: () =>
      !(missing.value.has("traffic") && missing.value.has("connections") && missing.value.has("log")),
  },
  {
    name: "settings",
    icon: "settings",
    label: "settings.title",
    there: () => !missing.value.has("settings"),
  },
];

export function App() {
  useEffect(start, []);
  if (link.value === "locked")
    return <Lazy load={async () => (await import("./parts/signin")).SignIn} props={{}} />;
  const [first = "hosts"] = route.value.path;
  const current = first === "search" ? "hosts" : first;
  return (
    <div class="frame">
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        {t("skip")}
      </a>
      <Navigation current={current} />
      <div class="page">
        <Identity />
        <Connection />
        <StatusNotices />
        <QuietOffers />
        <main id="main" tabIndex={-1}>
          <Guarded>
            <View />
          </Guarded>
        </main>
      </div>
      <Notices />
      <Dialogs />
      <DropZone />
    </div>
  );
}

function start(): void {
  whenUnauthorized(() => (link.value = "locked"));
  startKeys();
  startScroll();
  void run();
  effect(() => {
    const kept = settings.value;
    if (!kept) return;
    setTheme(kept.theme);
    remember("language", kept.language);
    void setLanguage(kept.language).catch(() => {});
  });
  effect(() => {
    document.title = visible(title());
  });
  // However the page heard of an offer: by an event, or with a list that was loaded after a gap.
  const asked = new Set<number>();
  effect(() => {
    const fresh = incoming.all().filter((one) => one.state === "asking" && !asked.has(one.id));
    for (const one of fresh) {
      asked.add(one.id);
      queueMicrotask(() => askToReceive(one));
    }
  });
  // A link that is gone with its view leaves the focus nowhere: it goes on in the new view.
  addEventListener("hashchange", () =>
    requestAnimationFrame(() => {
      if (document.activeElement === document.body) {
        document.getElementById("main")?.focus({ preventScroll: true });
      }
    }),
  );
  // Which further views this server has; a failure here shows when the view is opened.
  const stop = effect(() => {
    if (status.value === null) return;
    queueMicrotask(() => {
      stop();
      void want("settings").catch(() => {});
      void want("messages").catch(() => {});
      void want("share").catch(() => {});
      void want("groups").catch(() => {});
      void want("pairing")
        .then(() => {
          const asking = Object.values(pairings.peek()).find(
            (one) => one.incoming && one.state === "confirm",
          );
          if (asking) askToPair(asking);
        })
        .catch(() => {});
      void want("inbox").catch(() => {});
      void want("push").catch(() => {});
      void optional("traffic", () => api.traffic(new Date(Date.now() - 60_000).toISOString())).catch(
        () => {},
      );
    });
  });
}

/** The tab's title tells how far the downloads are while the page is in the background. */
function title(): string {
  let done = 0;
  let size = 0;
  for (const download of downloads.all()) {
    if (!isOpen(download) || download.size === null) continue;
    done += download.done_bytes;
    size += download.size;
  }
  const count = unread.value > 0 ? `(${unread.value}) ` : "";
  const progress = size > 0 ? `${percent(done, size)} · ` : "";
  const name = status.value?.name;
  return `${count}${progress}${name ? `${name} – ` : ""}hostpair`;
}

/** A fault in one view leaves the others usable. */
class Guarded extends Component<{ children: ComponentChildren }, { fault: string | null }> {
  override state = { fault: null as string | null };

  static override getDerivedStateFromError(error: unknown): { fault: string } {
    console.error(error);
    return { fault: sentence(error) };
  }

  override componentDidMount(): void {
    addEventListener("hashchange", () => this.state.fault !== null && this.setState({ fault: null }));
  }

  render() {
    if (this.state.fault === null) return this.props.children;
    return <Failed text={this.state.fault} retry={() => this.setState({ fault: null })} />;
  }
}

function View() {
  const [view = "hosts", ...rest] = route.value.path;
  switch (view) {
    case "hosts":
      return rest.length === 0 ? (
        <HostsView query="" />
      ) : (
        <Lazy
          key={rest[0]}
          load={async () => (await import("./views/files")).FilesView}
          props={{ host: rest[0]!, folder: rest.slice(1).join("/") }}
        />
      );
    case "downloads":
      if (rest[0] === "kept") {
        return <Lazy key="kept" load={async () => (await import("./parts/kept")).KeptView} props={{}} />;
      }
      return <DownloadsView selected={/^\d+$/.test(rest[0] ?? "") ? Number(rest[0]) : null} />;
    case "search":
      return <HostsView query={rest[0] ?? ""} />;
    case "share":
      return (
        <Lazy
          key="share"
          load={async () => (await import("./views/share")).ShareView}
          props={{ folder: rest.join("/") }}
        />
      );
    case "messages":
      return (
        <Lazy
          key="messages"
          load={async () => (await import("./views/messages")).MessagesView}
          props={{ with: rest[0] ?? null }}
        />
      );
    case "doctor":
      return (
        <Lazy
          key="doctor"
          load={async () => (await import("./views/doctor")).DoctorView}
          props={{ host: rest[0] ?? "" }}
        />
      );
    case "activity":
      return (
        <Lazy key="activity" load={async () => (await import("./views/activity")).ActivityView} props={{}} />
      );
    case "settings":
      return (
        <Lazy key="settings" load={async () => (await import("./views/settings")).SettingsView} props={{}} />
      );
    default:
      return <HostsView query="" />;
  }
}

function Navigation({ current }: { current: string }) {
  return (
    <nav class="nav" aria-label={t("nav")}>
      <div class="brand">
        <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
          <circle cx="12" cy="16" r="9" />
          <circle cx="20" cy="16" r="9" />
        </svg>
        <span>hostpair</span>
      </div>
      <ul>
        {PLACES.filter((place) => place.there()).map((place) => {
          const badge = place.badge?.() ?? 0;
          return (
            <li key={place.name}>
              <a
                href={`#/${place.name}`}
                aria-current={current === place.name ? "page" : undefined}
                title={t(place.label)}
              >
                <Icon name={place.icon} size={22} />
                <span>{t(place.label)}</span>
                {badge > 0 && <span class="badge">{badge}</span>}
              </a>
            </li>
          );
        })}
      </ul>
      <button type="button" class="nav-help" onClick={() => (dialog.value = { kind: "shortcuts" })}>
        <kbd>?</kbd> {t("shortcuts")}
      </button>
    </nav>
  );
}

function Identity() {
  const now = status.value;
  const { down_bps: down, up_bps: up } = speeds.value;
  const live = link.value === "live";
  return (
    <header class="identity">
      {now ? (
        <>
          <button
            type="button"
            class="identity-name"
            onClick={() => (dialog.value = { kind: "identity" })}
            title={t("identity.open")}
          >
            <strong>{now.name}</strong>
            <Icon name="qr" size={16} />
            <span class="hidden">{t("identity.open")}</span>
          </button>
          <span class="identity-part muted" title={now.addresses.join("\n")}>
            {now.addresses.slice(0, 2).join(" · ")}
            {now.addresses.length > 2 && ` +${now.addresses.length - 2}`}
          </span>
        </>
      ) : (
        <span class="identity-part muted">{live ? t("loading") : ""}</span>
      )}
      <span class="speeds" aria-label={t("speeds.label", { down: speed(down), up: speed(up) })} role="group">
        <span class={down > 0 && live ? "on" : ""}>
          <Icon name="down" size={16} /> {live ? speed(down) : "–"}
        </span>
        <span class={up > 0 && live ? "on" : ""}>
          <Icon name="up" size={16} /> {live ? speed(up) : "–"}
        </span>
      </span>
    </header>
  );
}

/** Says when the page does not show the present, and what is done about it. */
function Connection() {
  const now = status.value;
  if (link.value === "lost") {
    return (
      <div class="banner bad" role="alert">
        <span class="spinner" aria-hidden="true" />
        <span>{t("lost")}</span>
        <Button label={t("lost.retry")} onClick={reconnect} />
      </div>
    );
  }
  if (now && firstVersion.value !== "" && firstVersion.value !== now.version) {
    return (
      <div class="banner" role="status">
        <span>{t("updated", { version: now.version })}</span>
        <Button label={t("reload")} kind="primary" onClick={() => location.reload()} />
      </div>
    );
  }
  return null;
}

/** Notices that were hidden, until the page is loaded again. */
const hidden = signal<ReadonlySet<string>>(new Set());

/** What the server wants the person to know about how this host is set up. */
function StatusNotices() {
  const shown = (status.value?.notices ?? []).filter(
    (notice) => notice.code !== "not_reached" && !hidden.value.has(notice.code),
  );
  return (
    <>
      {shown.map((notice) => (
        <div key={notice.code} class="banner note" role="status" data-notice={notice.code}>
          <Icon name="warn" size={18} />
          <span class="breakable">
            <WithOptions text={explain(notice.code, notice.text)} />
          </span>
          <Button
            icon="close"
            kind="quiet"
            iconOnly
            label={t("banner.close")}
            onClick={() => (hidden.value = new Set([...hidden.value, notice.code]))}
          />
        </div>
      ))}
    </>
  );
}

/** Offers that open no dialog any more: one line, however many there are. */
function QuietOffers() {
  const offers = quietOffers.value;
  const first = offers[0];
  if (!first) return null;
  const { address } = first.from;
  const same = offers.every((one) => one.from.address === address);
  const declineAll = (): Promise<unknown> =>
    attempt(async () => {
      for (const one of same ? askingFrom(address) : offers) incoming.put(await api.declineIncoming(one.id));
    });
  return (
    <div class="banner quiet-offers" role="status">
      <Icon name="downloads" size={18} />
      <span class="breakable">
        {same
          ? t("incoming.again", { n: offers.length, name: first.from.name, address })
          : t("incoming.many", { n: offers.length })}
      </span>
      <span class="row wrap">
        <Button label={t("incoming.answer")} onClick={() => openOffer(first)} />
        <Button
          label={same ? t("incoming.decline.from", { address }) : t("incoming.decline.all")}
          onClick={() => void declineAll()}
        />
      </span>
    </div>
  );
}

/** A sentence in which the names of options stand out. */
function WithOptions({ text }: { text: string }) {
  return (
    <>
      {text
        .split(/(--[a-z][a-z-]+)/)
        .map((part, index) => (index % 2 === 0 ? part : <code key={index}>{part}</code>))}
    </>
  );
}

/** Notices stand beside the view, below the navigation; where there is no room for that, the view ends above them. */
function Notices() {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      const height = box.current?.offsetHeight ?? 0;
      document.documentElement.style.setProperty("--notices", `${height}px`);
    });
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  return (
    <div class="notices" ref={box} role="status" aria-live="polite">
      {notices.value.map((notice) => (
        <div key={notice.id} class={`notice ${notice.kind}`}>
          <span>{notice.text}</span>
          {notice.action && (
            <button
              type="button"
              class="link"
              onClick={() => {
                dismiss(notice.id);
                notice.action!.run();
              }}
            >
              {notice.action.label}
            </button>
          )}
          <Button icon="close" kind="quiet" iconOnly label={t("close")} onClick={() => dismiss(notice.id)} />
        </div>
      ))}
    </div>
  );
}
