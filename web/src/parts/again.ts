// Asks what the order of something means that is here already. Fetched when that happens.

import { to } from "../i18n/orders";
import { dialog } from "../state/ui";
import type { Download, NewDownload } from "../types";
import { startAll } from "./filestate";

/** What was ordered, and the finished download that the server has of it. */
export interface Here {
  what: NewDownload;
  download: Download;
}

/** So many names are told, and how many more there are. */
const NAMES_MAX = 3;

function namesOf(all: Here[]): string {
  const names = all
    .slice(0, NAMES_MAX)
    .map(({ download }) => download.name)
    .join(", ");
  return all.length > NAMES_MAX ? to("copy.more", { names, n: all.length - NAMES_MAX }) : names;
}

/** Offers a second copy of each; there is at least one. */
export function askToCopy(all: Here[]): void {
  const many = all.length > 1;
  const { name, path } = all[0]!.download;
  dialog.value = {
    kind: "confirm",
    title: many ? to("copy.title.many", { n: all.length }) : to("copy.title", { name }),
    text: many ? to("copy.text.many", { names: namesOf(all) }) : to("copy.text", { path }),
    choices: [
      {
        label: to(many ? "copy.make.many" : "copy.make"),
        run: () => startAll(all.map(({ what }) => ({ ...what, copy: true }))),
      },
    ],
  };
}
