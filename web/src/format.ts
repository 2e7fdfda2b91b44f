// Numbers, sizes and times as a person reads them, in the person's language.

import { signal } from "@preact/signals";
import { language, t } from "./i18n";

/** The present minute; whatever shows "3 minutes ago" depends on it. */
export const minute = signal(Date.now());
setInterval(() => (minute.value = Date.now()), 20_000);

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
// A formatter takes far longer to make than to use: a list of files uses two a row.
const formats = new Map<string, Intl.NumberFormat>();
const dateFormats = new Map<string, Intl.DateTimeFormat>();

function number(value: number, digits: number): string {
  const key = `${language.value} ${digits}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(language.value, {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
    formats.set(key, format);
  }
  return format.format(value);
}

const DATES = {
  full: { dateStyle: "medium", timeStyle: "short" },
  day: { year: "numeric", month: "short", day: "numeric" },
  clock: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  minute: { hour: "2-digit", minute: "2-digit" },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

/** A moment in one of those forms; a dash for none. */
function moment(time: string | number | null, form: keyof typeof DATES): string {
  const at = time === null ? NaN : new Date(time).getTime();
  if (Number.isNaN(at)) return "–";
  const key = `${language.value} ${form}`;
  let format = dateFormats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(language.value, DATES[form]);
    dateFormats.set(key, format);
  }
  return format.format(at);
}

/** 1530000 → "1.5 MB": decimal units, as file managers and disk makers count. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || value < 0) return "–";
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${number(value, unit > 0 && value < 99.95 ? 1 : 0)} ${UNITS[unit]}`;
}

/** How many files, and how large in all. */
export const amount = (files: number, size: number): string =>
  t("files.amount", { files: t("files.count", { n: files }), size: bytes(size) });

export const speed = (value: number): string => `${bytes(value)}/s`;
export const count = (value: number | null | undefined): string =>
  value === null || value === undefined || value < 0 ? "–" : number(value, 0);

/** 0.4215 → "42.1 %", and never 100 before it is all there. */
export function percent(part: number, whole: number, digits = 0): string {
  const scale = 10 ** digits;
  const share = whole > 0 ? part / whole : 0;
  const value = share >= 1 ? 100 : Math.floor(share * 100 * scale) / scale;
  return `${number(value, value === 100 ? 0 : digits)} %`;
}

/** Seconds as the two largest units that matter: "1 h 5 min", "12 s". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return t("time.s", { s });
  const m = Math.round(s / 60);
  if (s < 600 && s % 60 !== 0) return t("time.ms", { m: Math.floor(s / 60), s: s % 60 });
  if (m < 60) return t("time.m", { m });
  const h = Math.floor(m / 60);
  if (h < 48) return t("time.hm", { h, m: m % 60 });
  return t("time.d", { d: Math.round(h / 24) });
}

/** "3 minutes ago", from the last day in minutes and hours, then in days. */
export function ago(time: string | null): string {
  if (!time) return t("time.never");
  const seconds = (Date.parse(time) - minute.value) / 1000;
  if (!Number.isFinite(seconds)) return t("time.never");
  const relative = new Intl.RelativeTimeFormat(language.value, { numeric: "auto" });
  if (seconds > -45) return t("time.now");
  if (seconds > -3600) return relative.format(Math.round(seconds / 60), "minute");
  if (seconds > -86400) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86400), "day");
}

export const dateTime = (time: string | null): string => moment(time, "full");
/** Short form for tables: the day. */
export const date = (time: string | null): string => moment(time, "day");
export const timeOfDay = (time: string): string => moment(time, "minute");
export const clock = (time: string | number): string => moment(time, "clock");

/** Milliseconds as a short time. */
function small(ms: number): string {
  if (ms < 1000) return t("time.milli", { ms: Math.round(ms) });
  return ms < 60_000 ? t("time.s", { s: Number((ms / 1000).toFixed(1)) }) : duration(Math.round(ms / 1000));
}

/** How far a host's clock is from ours, in words, and how sure that is. */
export function clockOffset(ms: number | null, uncertainty: number | null | undefined): string {
  if (ms === null) return "–";
  const size = Math.abs(ms);
  const within = uncertainty ?? null;
  // What is smaller than the error of its measurement is no difference.
  const same = size < 100 || (within !== null && size <= within);
  const text = same ? t("clock.same") : t(ms > 0 ? "clock.ahead" : "clock.behind", { time: small(size) });
  return within === null ? text : t("clock.within", { text, time: small(Math.max(1, within)) });
}

/** What a host's clock shows now. */
export function clockThere(ms: number | null): string {
  if (ms === null) return "–";
  return moment(minute.value + ms, "minute");
}

export function rtt(ms: number | null): string {
  return ms === null || ms < 0 ? "–" : `${number(ms, ms < 10 ? 1 : 0)} ms`;
}
