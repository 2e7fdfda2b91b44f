// Small pieces that several views are made of.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { Icon, type IconName } from "./icons";

export function Button({
  icon,
  label,
  onClick,
  kind = "plain",
  iconOnly = false,
  disabled = false,
  busy = false,
  type = "button",
  testId,
}: {
  icon?: IconName;
  label: string;
  onClick?: (event: MouseEvent) => void;
  kind?: "plain" | "primary" | "danger" | "quiet";
  iconOnly?: boolean;
  disabled?: boolean;
  busy?: boolean;
  type?: "button" | "submit";
  testId?: string;
}) {
  return (
    <button
      type={type}
      class={`button ${kind}${iconOnly ? " icon-only" : ""}`}
      onClick={onClick}
      disabled={disabled || busy}
      aria-busy={busy}
      aria-label={iconOnly ? label : undefined}
      title={iconOnly ? label : undefined}
      data-testid={testId}
    >
      {icon && <Icon name={icon} size={18} />}
      {!iconOnly && <span>{label}</span>}
    </button>
  );
}

/** A bar from 0 to 1. `label` names it for screen readers. */
export function Progress({
  value,
  label,
  tone = "",
}: {
  value: number | null;
  label: string;
  tone?: string;
}) {
  const share = value === null ? 0 : Math.min(1, Math.max(0, value));
  return (
    <div
      class={`progress ${tone}${value === null ? " unknown" : ""}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={value === null ? undefined : Math.floor(share * 100)}
    >
      <div style={{ transform: `scaleX(${share.toFixed(4)})` }} />
    </div>
  );
}

/** What stands where a list would be: nothing yet, nothing at all, or why not. */
export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <Icon name={icon} size={40} />
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {action && <div class="row">{action}</div>}
    </div>
  );
}

export function Loading() {
  return (
    <div class="loading" role="status">
      <span class="spinner" aria-hidden="true" />
      {t("loading")}
    </div>
  );
}

export function Failed({ text, retry }: { text: string; retry: () => void }) {
  return (
    <Empty
      icon="warn"
      title={t("failed.title")}
      action={<Button icon="refresh" label={t("retry")} onClick={retry} />}
    >
      {text}
    </Empty>
  );
}

/** A label over its control, with help and the server's objection below. */
export function Field({
  label,
  help,
  error,
  inline = false,
  children,
}: {
  label: string;
  help?: string;
  error?: string | undefined;
  /** The label stands beside the control, as for a check box. */
  inline?: boolean;
  children: (attributes: {
    id: string;
    "aria-describedby"?: string;
    "aria-invalid"?: boolean;
  }) => ComponentChildren;
}) {
  const id = useId();
  const described = [help ? `${id}-help` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return (
    <div class={inline ? "field inline" : "field"}>
      <label for={id}>{label}</label>
      {children({
        id,
        ...(described ? { "aria-describedby": described } : {}),
        ...(error ? { "aria-invalid": true } : {}),
      })}
      {help && (
        <p class="help" id={`${id}-help`}>
          {help}
        </p>
      )}
      {error && (
        <p class="error" id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

/** A modal dialog: focus goes in, stays in, and comes back; Escape and a click beside it close it. */
export function Modal({
  title,
  onClose,
  children,
  wide = false,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = ref.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "modal wide" : "modal"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === ref.current && onClose()}
    >
      <div class="modal-body">
        <header>
          <h2 id={id}>{title}</h2>
          <Button icon="close" label={t("close")} iconOnly kind="quiet" onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

export interface MenuItem {
  label: string;
  icon?: IconName;
  danger?: boolean;
  disabled?: boolean;
  run: () => void;
}

/** An item that is a link; it opens beside the page. */
export interface MenuLink {
  label: string;
  icon?: IconName;
  link: string;
}

const ITEMS = '[role="menuitem"]:not(:disabled)';

/** A button that opens a list of actions; arrow keys move in it. */
export function Menu({ label, items }: { label: string; items: (MenuItem | MenuLink)[] }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    list.current?.scrollIntoView({ block: "nearest" });
    list.current?.querySelector<HTMLElement>(ITEMS)?.focus({ preventScroll: true });
    const outside = (event: Event): void => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  const close = (): void => {
    setOpen(false);
    box.current?.querySelector<HTMLElement>("button")?.focus();
  };
  const onKey = (event: JSX.TargetedKeyboardEvent<HTMLDivElement>): void => {
    if (!open) return;
    const buttons = [...(list.current?.querySelectorAll<HTMLElement>(ITEMS) ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    if (event.key === "Escape" || event.key === "Tab") close();
    else if (event.key === "ArrowDown") buttons[(at + 1) % buttons.length]?.focus();
    else if (event.key === "ArrowUp") buttons[(at - 1 + buttons.length) % buttons.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={box} onKeyDown={onKey}>
      <button
        type="button"
        class="button quiet icon-only"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="more" size={18} />
      </button>
      {open && (
        <div class="menu-list" role="menu" ref={list}>
          {items.map((item) =>
            "link" in item ? (
              <a
                key={item.label}
                role="menuitem"
                href={item.link}
                target="_blank"
                rel="noopener noreferrer"
                onClick={close}
              >
                {item.icon && <Icon name={item.icon} size={18} />}
                {item.label}
              </a>
            ) : (
              <button
                key={item.label}
                type="button"
                role="menuitem"
                class={item.danger ? "danger" : ""}
                disabled={item.disabled ?? false}
                onClick={() => {
                  close();
                  item.run();
                }}
              >
                {item.icon && <Icon name={item.icon} size={18} />}
                {item.label}
              </button>
            ),
          )}
        </div>
      )}
    </div>
  );
}

/** A search box that reports what was typed after a short rest. */
export function SearchBox({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (text: string) => void;
}) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  // A value from outside does not overwrite what is being typed.
  useEffect(() => {
    if (timer.current === undefined) setText(value);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const report = (next: string, delay: number): void => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      timer.current = undefined;
      onChange(next);
    }, delay);
  };
  return (
    <div class="search">
      <Icon name="search" size={18} />
      <input
        type="search"
        value={text}
        aria-label={label}
        placeholder={label}
        data-search
        spellcheck={false}
        onInput={(event) => report(event.currentTarget.value, 250)}
        onKeyDown={(event) => {
          if (event.key === "Enter") report(text, 0);
          if (event.key === "Escape" && text !== "") {
            event.stopPropagation();
            report("", 0);
          }
        }}
      />
    </div>
  );
}

/** One of a few choices, side by side. */
export function Segments<T extends string>({
  label,
  value,
  choices,
  onChange,
}: {
  label: string;
  value: T;
  choices: { value: T; label: string }[];
  onChange: (value: T) => void;
}) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          aria-pressed={choice.value === value}
          onClick={() => onChange(choice.value)}
        >
          {choice.label}
        </button>
      ))}
    </div>
  );
}

/** A row of facts: what, and its value. */
export function Facts({ items }: { items: [label: string, value: ComponentChildren][] }) {
  return (
    <dl class="facts">
      {items.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
