// The languages of the page: the only list of them. A language is one file beside this one and one row here.

import type { Dictionary, Meanings } from ".";

export interface Language {
  /** As the setting `language` and the browser name it (BCP 47). */
  tag: string;
  /** What its speakers call it. */
  name: string;
  /** Fetches its texts; English is in the first load. */
  load?: () => Promise<{ default: Dictionary; meanings: Meanings }>;
}

export const LANGUAGES: readonly Language[] = [
  { tag: "en", name: "English" },
  { tag: "zh-CN", name: "简体中文", load: () => import("./zh") },
];
