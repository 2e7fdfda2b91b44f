// Texts in the person's language. `t("key", { name })` fills placeholders; a text with "|" has a form for one and a
// form for many, chosen by `n`. English is in the first load, other languages are fetched when they are wanted.

import { signal } from "@preact/signals";
import en, { meanings as enMeanings } from "./en";
import { LANGUAGES, type Language } from "./languages";

export type Key = keyof typeof en;
export type Dictionary = Record<Key, string>;
/** What the server's codes mean, in words for a person. */
export type Meanings = Readonly<Record<string, string>>;

/** The language of the page now, as a BCP 47 tag. */
export const language = signal("en");
const dictionary = signal<Dictionary>(en);
const meanings = signal<Meanings>(enMeanings);

export function t(key: Key, values: Record<string, string | number> = {}): string {
  return fill(dictionary.value[key], values);
}

/** A text with its form chosen and its placeholders filled in. */
export function fill(text: string, values: Record<string, string | number>): string {
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
  return meaning ? t("explained", { meaning, sentence }) : sentence;
}

function formatNumber(value: number): string {
  return value.toLocaleString(language.value);
}

const primary = (tag: string): string => tag.split("-")[0]!.toLowerCase();

/** The language that fits best to a list of tags: the same one, else one that differs in the region alone. */
function best(tags: readonly string[]): Language {
  for (const tag of tags) {
    const same = LANGUAGES.find((one) => one.tag.toLowerCase() === tag.toLowerCase());
    const near = same ?? LANGUAGES.find((one) => primary(one.tag) === primary(tag));
    if (near) return near;
  }
  return LANGUAGES[0]!;
}

/** Takes a setting ("auto" or a tag) and shows the page in that language. */
export async function setLanguage(setting: string): Promise<void> {
  const wanted = best(setting === "auto" ? navigator.languages : [setting]);
  const other = await wanted.load?.();
  dictionary.value = other?.default ?? en;
  meanings.value = other?.meanings ?? enMeanings;
  language.value = wanted.tag;
  document.documentElement.lang = wanted.tag;
}
