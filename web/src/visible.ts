// Names and texts of strangers as they are: a character that hides or turns round what stands beside it is shown by its number, so
// that "photo\u202egpj.exe" does not read as "photoexe.jpg".

import { type VNode, options } from "preact";

/** Control characters but for tabs and line ends; embeddings, overrides and isolates of writing directions; line separators. */
const HIDDEN = /(?![\t\n\r])[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;

/** The text with such characters as \u and four digits. */
export const visible = (text: string): string =>
  text.replace(HIDDEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Attributes that a person reads. */
const READ = ["title", "alt", "placeholder", "aria-label"];

function show(child: unknown): unknown {
  if (typeof child === "string") return visible(child);
  return Array.isArray(child) ? child.map(show) : child;
}

/** From now on every text that the page shows is visible in this way, whichever view shows it. */
export function showHidden(): void {
  const before = options.vnode;
  options.vnode = (node: VNode) => {
    if (typeof node.type === "string") {
      const props = node.props as Record<string, unknown>;
      if (props["children"] !== undefined) props["children"] = show(props["children"]);
      for (const name of READ) if (typeof props[name] === "string") props[name] = visible(props[name]);
    }
    before?.(node);
  };
}
