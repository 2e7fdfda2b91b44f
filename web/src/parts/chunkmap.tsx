// The chunk map: one cell a chunk (or a group of them, when there are more chunks than room), coloured by the source
// that sent it. Each source also has a pattern, so that the map reads without colour vision.

import { useEffect, useRef } from "preact/hooks";
import type { Chunks } from "../types";

const CELL = 10;
const GAP = 2;
const MAX_ROWS = 14;
const MIN_ROWS = 2;
export const SOURCE_STYLES = 6;

interface Cell {
  done: number;
  active: number;
  missing: number;
  source: number;
}

/** Groups the runs into at most `room` cells. */
export function toCells(
  chunks: Chunks,
  room: number,
  styleOf: (source: string | number | null) => number,
): Cell[] {
  const cells = Math.max(1, Math.min(chunks.total, room));
  const list: Cell[] = Array.from({ length: cells }, () => ({ done: 0, active: 0, missing: 0, source: -1 }));
  const most = new Float64Array(cells);
  for (const [first, count, state, source] of chunks.runs) {
    let at = first;
    const end = Math.min(first + count, chunks.total);
    while (at < end) {
      const index = Math.floor((at * cells) / chunks.total);
      const next = Math.min(end, Math.max(at + 1, Math.ceil(((index + 1) * chunks.total) / cells)));
      const cell = list[index]!;
      cell[state] += next - at;
      if (state !== "missing" && next - at > most[index]!) {
        most[index] = next - at;
        cell.source = styleOf(source);
      }
      at = next;
    }
  }
  return list;
}

/** Lines over a filled cell, one way a source. */
function pattern(context: CanvasRenderingContext2D, style: number, x: number, y: number): void {
  context.beginPath();
  switch (style) {
    case 1:
      context.moveTo(x + 1, y + CELL - 1);
      context.lineTo(x + CELL - 1, y + 1);
      break;
    case 2:
      context.moveTo(x + 2, y + CELL / 2);
      context.lineTo(x + CELL - 2, y + CELL / 2);
      break;
    case 3:
      context.arc(x + CELL / 2, y + CELL / 2, 1.4, 0, 7);
      break;
    case 4:
      context.moveTo(x + CELL / 2, y + 2);
      context.lineTo(x + CELL / 2, y + CELL - 2);
      break;
    case 5:
      context.moveTo(x + 2, y + 2);
      context.lineTo(x + CELL - 2, y + CELL - 2);
      context.moveTo(x + CELL - 2, y + 2);
      context.lineTo(x + 2, y + CELL - 2);
      break;
    default:
      return;
  }
  context.stroke();
}

function draw(
  canvas: HTMLCanvasElement,
  chunks: Chunks,
  width: number,
  styleOf: (source: string | number | null) => number,
): void {
  const columns = Math.max(1, Math.floor((width + GAP) / (CELL + GAP)));
  const cells = toCells(chunks, columns * MAX_ROWS, styleOf);
  const rows = Math.max(Math.min(MIN_ROWS, cells.length), Math.ceil(cells.length / columns));
  const height = rows * (CELL + GAP) - GAP;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(ratio, ratio);
  const css = getComputedStyle(canvas);
  const colour = (name: string): string => css.getPropertyValue(name).trim();
  const missing = colour("--chunk-missing");
  const known = colour("--chunk-known");
  const mark = colour("--chunk-mark");
  const sources = Array.from({ length: SOURCE_STYLES }, (_, index) => colour(`--source-${index}`));
  context.lineWidth = 1.3;
  cells.forEach((cell, index) => {
    const x = (index % columns) * (CELL + GAP);
    const y = Math.floor(index / columns) * (CELL + GAP);
    const all = cell.done + cell.active + cell.missing || 1;
    context.fillStyle = missing;
    context.fillRect(x, y, CELL, CELL);
    const fill = cell.source < 0 ? known : sources[cell.source]!;
    if (cell.done > 0) {
      const part = Math.max(0.15, cell.done / all) * CELL;
      context.fillStyle = fill;
      context.fillRect(x, y + CELL - part, CELL, part);
      context.strokeStyle = mark;
      if (cell.source >= 0 && cell.done === all) pattern(context, cell.source, x, y);
    } else if (cell.active > 0) {
      context.strokeStyle = fill;
      context.strokeRect(x + 0.65, y + 0.65, CELL - 1.3, CELL - 1.3);
    }
  });
}

export function ChunkMap({
  chunks,
  styleOf,
  label,
}: {
  chunks: Chunks;
  styleOf: (source: string | number | null) => number;
  label: string;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    let width = 0;
    const paint = (): void => {
      if (width > 0) draw(element, chunks, width, styleOf);
    };
    const observer = new ResizeObserver(([entry]) => {
      const next = Math.floor(entry?.contentRect.width ?? 0);
      if (next !== width) {
        width = next;
        paint();
      }
    });
    width = Math.floor(element.clientWidth);
    paint();
    observer.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", paint);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", paint);
    };
  }, [chunks, styleOf]);
  return <canvas ref={canvas} class="chunk-map" role="img" aria-label={label} />;
}

/** One cell of the map beside a source's name. */
export function Swatch({ style }: { style: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const ratio = devicePixelRatio || 1;
    element.width = element.height = Math.round(CELL * ratio);
    context.scale(ratio, ratio);
    const css = getComputedStyle(element);
    context.fillStyle = css.getPropertyValue(style < 0 ? "--chunk-known" : `--source-${style}`).trim();
    context.fillRect(0, 0, CELL, CELL);
    context.strokeStyle = css.getPropertyValue("--chunk-mark").trim();
    context.lineWidth = 1.3;
    pattern(context, style, 0, 0);
  }, [style]);
  return <canvas ref={canvas} class="swatch" aria-hidden="true" />;
}
