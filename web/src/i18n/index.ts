// Texts in the person's language. `t("key", { name })` fills placeholders; a text with "|" has a form for one and a
// form for many, chosen by `n`. English is in the first load, other languages are fetched when they are wanted.

import { signal } from "@preact/signals";
import en from "./en";

export type Key = keyof typeof en;
export type Dictionary = Record<Key, string>;
export type Language = "en" | "zh-CN";

export const language = signal<Language>("en");
const dictionary = signal<Dictionary>(en);
/** What the server's codes mean, for languages that it does not speak. */
const meanings = signal<Readonly<Record<string, string>>>({});

export function t(key: Key, values: Record<string, string | number> = {}): string {
  let text: string = dictionary.value[key];
  const bar = text.indexOf("|");
  if (bar >= 0) text = values["n"] === 1 || values["n"] === "1" ? text.slice(0, bar) : text.slice(bar + 1);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? formatNumber(value) : value;
  });
}

/** The server's sentence, which is English, with what its code means in the person's language before it. */
export function explain(code: string, sentence: string): string {
  const meaning = meanings.value[code];
  return meaning ? `${meaning}（${sentence}）` : sentence;
}

function formatNumber(value: number): string {
  return value.toLocaleString(language.value);
}

/** What a setting of "auto" means for this browser. */
function preferred(): Language {
  for (const tag of navigator.languages) {
    if (/^zh\b/i.test(tag)) return "zh-CN";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

/** Takes a setting ("auto", "en", "zh-CN") and shows the page in that language. */
export async function setLanguage(setting: string): Promise<void> {
  const wanted: Language = setting === "en" ? "en" : /^zh/.test(setting) ? "zh-CN" : preferred();
  const other = wanted === "en" ? null : await import("./zh");
  dictionary.value = other?.default ?? en;
  meanings.value = other?.meanings ?? {};
  language.value = wanted;
  document.documentElement.lang = wanted;
}
