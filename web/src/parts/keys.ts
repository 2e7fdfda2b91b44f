// Keyboard shortcuts. None of them fires while a person types, or while a dialog is open.

import { dialog, go } from "../state/ui";

/** How long the second key of a pair may take, milliseconds. */
const PAIR_MS = 1200;

const VIEWS: Record<string, string> = {
  h: "hosts",
  d: "downloads",
  s: "share",
  m: "messages",
  a: "activity",
  p: "settings",
};

let started = false;

export function startKeys(): void {
  if (started) return;
  started = true;
  let pairUntil = 0;
  addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return;
    if (
      document.querySelector("dialog[open]") ||
      target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")
    )
      return;
    if (performance.now() < pairUntil) {
      pairUntil = 0;
      const view = VIEWS[event.key];
      if (view) {
        event.preventDefault();
        go(view);
      }
      return;
    }
    switch (event.key) {
      case "g":
        pairUntil = performance.now() + PAIR_MS;
        return;
      case "?":
        dialog.value = { kind: "shortcuts" };
        break;
      case "a":
        dialog.value = { kind: "add-host" };
        break;
      case "u":
        dialog.value = { kind: "add-url" };
        break;
      case "/": {
        const box = document.querySelector<HTMLInputElement>("input[data-search]");
        if (!box) return;
        box.focus();
        break;
      }
      case "ArrowDown": {
        // From nowhere into the first row of a list.
        if (target !== document.body && target.id !== "main") return;
        const row = document.querySelector<HTMLElement>("[data-row], .card-link");
        if (!row) return;
        row.focus();
        break;
      }
      default:
        return;
    }
    event.preventDefault();
  });
}
