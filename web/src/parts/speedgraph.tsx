// Speed over time: the server's minutes, and for the last minutes what the page sees live.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { api } from "../api";
import { bytes, dateTime, speed } from "../format";
import { language, t } from "../i18n";
import { speeds } from "../state/store";
import { sentence } from "../state/ui";

const HEIGHT = 220;
/** Up to this many minutes the graph moves every second with live values. */
const LIVE_MINUTES = 5;
const REFRESH_MS = 30_000;

interface Point {
  at: number;
  down: number;
  up: number;
}

/** What this page has seen, a value a second; kept while the page lives. */
const seen: Point[] = [];
setInterval(() => {
  const { down_bps: down, up_bps: up } = speeds.peek();
  seen.push({ at: Math.floor(Date.now() / 1000), down, up });
  if (seen.length > LIVE_MINUTES * 60) seen.shift();
}, 1000);

export function SpeedGraph({ minutes }: { minutes: number }) {
  const box = useRef<HTMLDivElement>(null);
  const error = useSignal<string | null>(null);
  const totals = useSignal<{ down: number; up: number } | null>(null);
  /** The moment under the pointer. */
  const at = useSignal<Point | null>(null);
  const lang = language.value;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const live = minutes <= LIVE_MINUTES;
    let plot: uPlot | undefined;
    let points: Point[] = [];
    const draw = (): void => {
      const now = Date.now() / 1000;
      const from = now - minutes * 60;
      const { down_bps: down, up_bps: up } = speeds.peek();
      const last = live ? seen : [{ at: now, down, up }];
      const shown = [...points, ...last].filter((point) => point.at >= from);
      const data: uPlot.AlignedData = [
        shown.map((point) => point.at),
        shown.map((point) => point.down),
        shown.map((point) => point.up),
      ];
      plot?.setData(data, false);
      plot?.setScale("x", { min: from, max: now });
    };
    const load = async (): Promise<void> => {
      try {
        const since = new Date(Date.now() - minutes * 60_000);
        const list = await api.traffic(since.toISOString());
        // A minute without traffic has no row: fill with zeros, or the line would lie.
        const rows = new Map(list.map((minute) => [Math.floor(Date.parse(minute.at) / 60_000), minute]));
        const firstSeen = seen[0]?.at ?? Infinity;
        const last = Math.floor(Date.now() / 60_000) - 1;
        points = [];
        for (let at = Math.ceil(since.getTime() / 60_000); at <= last; at++) {
          if (live && at * 60 >= firstSeen) break;
          const row = rows.get(at);
          points.push({ at: at * 60, down: (row?.down_bytes ?? 0) / 60, up: (row?.up_bytes ?? 0) / 60 });
        }
        totals.value = {
          down: list.reduce((sum, minute) => sum + minute.down_bytes, 0),
          up: list.reduce((sum, minute) => sum + minute.up_bytes, 0),
        };
        error.value = null;
      } catch (reason) {
        error.value = sentence(reason);
      }
      draw();
    };
    const build = (): void => {
      plot?.destroy();
      const css = getComputedStyle(element);
      const colour = (name: string): string => css.getPropertyValue(name).trim();
      const axis = {
        stroke: colour("--ink-muted"),
        grid: { stroke: colour("--line"), width: 1 },
        ticks: { show: false },
      };
      const time = new Intl.DateTimeFormat(
        lang,
        minutes > 1440
          ? { month: "short", day: "numeric" }
          : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
      );
      const series = (label: string, stroke: string, dash?: number[]): uPlot.Series => ({
        label,
        stroke,
        width: 2,
        points: { show: false },
        ...(dash ? { dash } : { fill: `${stroke}22` }),
      });
      plot = new uPlot(
        {
          width: element.clientWidth,
          height: HEIGHT,
          padding: [8, 16, 0, 0],
          legend: { show: false },
          cursor: { drag: { x: false, y: false }, y: false },
          hooks: {
            setCursor: [
              (self) => {
                const index = self.cursor.idx;
                const [times, down, up] = self.data;
                at.value =
                  index === null || index === undefined || times[index] === undefined
                    ? null
                    : { at: times[index], down: down?.[index] ?? 0, up: up?.[index] ?? 0 };
              },
            ],
          },
          scales: { x: { time: true }, y: { range: (_plot, _min, max) => [0, Math.max(max * 1.1, 1000)] } },
          axes: [
            {
              ...axis,
              size: 30,
              values: (_plot, values) => values.map((value) => time.format(value * 1000)),
            },
            { ...axis, size: 76, values: (_plot, values) => values.map((value) => speed(value)) },
          ],
          series: [
            {},
            series(t("graph.down"), colour("--source-0")),
            series(t("graph.up"), colour("--source-1"), [6, 4]),
          ],
        },
        [[], [], []],
        element,
      );
      draw();
    };
    build();
    void load();
    const observer = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", build);
    const theme = new MutationObserver(build);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    const refresh = setInterval(() => void load(), REFRESH_MS);
    const move = live ? setInterval(draw, 1000) : undefined;
    return () => {
      clearInterval(refresh);
      clearInterval(move);
      observer.disconnect();
      theme.disconnect();
      scheme.removeEventListener("change", build);
      plot?.destroy();
    };
  }, [minutes, lang]);
  const sums = totals.value;
  const point = at.value;
  const key = (name: "down" | "up", value: string): preact.ComponentChildren => (
    <span>
      <span class={`graph-key ${name}`} aria-hidden="true" />
      {t(`graph.${name}`)} <strong>{value}</strong>
    </span>
  );
  return (
    <figure class="graph">
      <figcaption>
        {error.value ? (
          <span class="bad">{error.value}</span>
        ) : (
          <>
            {key("down", point ? speed(point.down) : bytes(sums?.down ?? 0))}
            {key("up", point ? speed(point.up) : bytes(sums?.up ?? 0))}
            <span class="muted">{point ? dateTime(new Date(point.at * 1000).toISOString()) : ""}</span>
          </>
        )}
      </figcaption>
      <div
        ref={box}
        role="img"
        aria-label={t("graph.label", { down: bytes(sums?.down ?? 0), up: bytes(sums?.up ?? 0) })}
      />
    </figure>
  );
}
