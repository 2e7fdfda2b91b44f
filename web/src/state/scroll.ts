// Where each entry of the browser's history is scrolled to. A new view starts at its top; Back finds the old place,
// as soon as the view is long enough again to be scrolled there.

import { narrow, parseRoute, recallOnce, rememberOnce, route } from "./ui";

/** How long a view that is still loading is waited for, milliseconds. */
const RESTORE_MS = 5_000;

const places = new Map<string, number>(recallOnce("scroll"));
let restoring = 0;

const keyOf = (state: unknown): string | undefined => (state as { key?: string } | null)?.key;

/** Gives the history's entry a key of its own; entries are told apart by it. */
function mark(): string {
  const key = Math.random().toString(36).slice(2);
  history.replaceState({ key }, "");
  return key;
}

let current = keyOf(history.state) ?? mark();

/** Whether the list of the old view stays on the screen beside what is new. */
function staysInSight(): boolean {
  const [from] = route.peek().path;
  const [to] = parseRoute(location.hash).path;
  return from === to && ((from === "downloads" && !narrow.peek()) || from === "messages");
}

function restore(place: number): void {
  const mine = ++restoring;
  const until = performance.now() + RESTORE_MS;
  const step = (): void => {
    if (mine !== restoring) return;
    const room = document.documentElement.scrollHeight - innerHeight;
    if (room >= place || performance.now() > until) {
      scrollTo(0, place);
      restoring = 0;
    } else requestAnimationFrame(step);
  };
  // After the new view is drawn: the old one may be long enough by chance.
  requestAnimationFrame(() => requestAnimationFrame(step));
}

export function startScroll(): void {
  history.scrollRestoration = "manual";
  if (places.has(current)) restore(places.get(current)!);
  addEventListener("scroll", () => restoring === 0 && places.set(current, scrollY), { passive: true });
  // The person's own hand wins.
  for (const kind of ["wheel", "touchstart", "keydown", "pointerdown"]) {
    addEventListener(kind, () => (restoring = 0), { passive: true });
  }
  // The browser tells of the new entry before route follows it.
  addEventListener("popstate", () => {
    const known = keyOf(history.state);
    const stays = staysInSight();
    current = known ?? mark();
    if (stays) places.set(current, scrollY);
    else restore(known === undefined ? 0 : (places.get(known) ?? 0));
  });
  addEventListener("pagehide", () => rememberOnce("scroll", [...places].slice(-100)));
}
