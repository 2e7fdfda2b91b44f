import { render } from "preact";
import { App } from "./app";
import { setLanguage } from "./i18n";
import { recall, setTheme } from "./state/ui";
import { showHidden } from "./visible";

showHidden();
setTheme(recall("theme") ?? "auto");
const root = document.getElementById("app");
// A dictionary that cannot be fetched leaves the page in English.
setLanguage(recall("language") ?? "auto")
  .catch(() => {})
  .finally(() => root && render(<App />, root));
