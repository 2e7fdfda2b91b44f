// A list of any length that keeps only the rows in sight in the document. All rows have the same height; the page
// itself scrolls, so a phone's address bar hides as usual.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows kept above and below the window, so that fast scrolling shows no gap. */
const MARGIN_ROWS = 12;

export function VirtualList({
  count,
  rowHeight,
  render,
  onRange,
  label,
  role = "list",
}: {
  count: number;
  rowHeight: number;
  render: (index: number) => ComponentChildren;
  /** Told which rows are about to be in sight. */
  onRange?: (first: number, last: number) => void;
  label: string;
  role?: "list" | "rowgroup";
}) {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<[number, number]>([0, 40]);
  const latest = useRef({ count, onRange });
  latest.current = { count, onRange };

  const measure = (): void => {
    const element = box.current;
    if (!element) return;
    const top = element.getBoundingClientRect().top;
    const rows = latest.current.count;
    const first = Math.max(0, Math.floor(-top / rowHeight) - MARGIN_ROWS);
    const last = Math.min(rows, Math.ceil((innerHeight - top) / rowHeight) + MARGIN_ROWS);
    setRange((old) => (old[0] === first && old[1] === last ? old : [first, Math.max(first, last)]));
  };

  useLayoutEffect(measure, [count, rowHeight]);
  useEffect(() => {
    let frame = 0;
    const later = (): void => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        measure();
      });
    };
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => {
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
      cancelAnimationFrame(frame);
    };
  }, [rowHeight]);
  const last = Math.min(range[1], count);
  // Told again whenever the list is drawn: it may have been fetched anew meanwhile.
  useEffect(() => latest.current.onRange?.(range[0], last));

  const rows = [];
  for (let index = Math.min(range[0], count); index < last; index++) {
    rows.push(
      <div
        key={index}
        class="virtual-row"
        style={{ top: `${index * rowHeight}px`, height: `${rowHeight}px` }}
        role="presentation"
      >
        {render(index)}
      </div>,
    );
  }
  return (
    <div
      ref={box}
      class="virtual"
      style={{ height: `${count * rowHeight}px` }}
      role={role}
      aria-label={label}
    >
      {rows}
    </div>
  );
}
