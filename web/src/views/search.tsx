// A search over the stored lists of all hosts; equal content is one result with several copies.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { bytes } from "../format";
import { t } from "../i18n";
import { Button, Empty, Failed, Loading } from "../parts/bits";
import { FileState } from "../parts/filestate";
import { HostName } from "../parts/hostname";
import { Icon, fileIcon } from "../parts/icons";
import { optional } from "../state/loading";
import { hosts } from "../state/store";
import { href, sentence } from "../state/ui";
import type { SearchPage, SearchResult } from "../types";

/** How many results are asked for, at first and each time that more are wanted; the server gives no more than the last. */
const LIMITS = [200, 1000, 5000];

export function SearchResults({ query: words }: { query: string }) {
  const found = useSignal<SearchPage | null>(null);
  const error = useSignal<string | null>(null);
  const tries = useSignal(0);
  const step = useSignal(0);
  const busy = useSignal(false);
  useEffect(() => {
    step.value = 0;
  }, [words]);
  useEffect(() => {
    const abort = new AbortController();
    error.value = null;
    busy.value = true;
    optional("search", () => api.search(words, LIMITS[step.value]!, abort.signal)).then(
      (page) => {
        if (abort.signal.aborted) return;
        found.value = page ?? { results: [], more: false };
        busy.value = false;
      },
      (reason) => {
        if (abort.signal.aborted) return;
        error.value = sentence(reason);
        busy.value = false;
      },
    );
    return () => abort.abort();
  }, [words, step.value, tries.value]);
  if (error.value) return <Failed text={error.value} retry={() => tries.value++} />;
  if (found.value === null) return <Loading />;
  const { results, more } = found.value;
  if (results.length === 0) {
    return (
      <Empty icon="search" title={t("search.none")}>
        {t("search.none.text")}
      </Empty>
    );
  }
  return (
    <>
      <ul class="results" aria-label={t("search.title")}>
        {results.map((result) => (
          <Result
            key={`${result.root ?? ""} ${result.copies[0]?.host} ${result.copies[0]?.path}`}
            result={result}
          />
        ))}
      </ul>
      {more && step.value < LIMITS.length - 1 && (
        <div class="row">
          <Button label={t("search.more")} busy={busy.value} onClick={() => step.value++} />
        </div>
      )}
    </>
  );
}

function Result({ result }: { result: SearchResult }) {
  // The copy to fetch: one whose host answers, if there is one.
  const best = result.copies.find((copy) => hosts.get(copy.host)?.state === "online") ?? result.copies[0];
  const places = result.copies.filter(
    (copy, index, all) => all.findIndex((other) => other.host === copy.host) === index,
  );
  return (
    <li>
      <Icon name={result.folder ? "folder" : fileIcon(result.name, null)} />
      <div class="result-main">
        {result.folder && best ? (
          <a class="result-name" href={href("hosts", best.host, ...best.path.split("/"))}>
            {result.name}
          </a>
        ) : (
          <span class="result-name">{result.name}</span>
        )}
        <span class="muted">
          {bytes(result.size)} ·{" "}
          {places.slice(0, 3).map((copy, index) => (
            <>
              {index > 0 && ", "}
              <a href={href("hosts", copy.host, ...copy.path.split("/").slice(0, -1))} title={copy.path}>
                <HostName id={copy.host} />
              </a>
            </>
          ))}
          {places.length > 3 && ` +${places.length - 3}`}
          {best?.path.includes("/") && ` · ${best.path.split("/").slice(0, -1).join("/")}`}
        </span>
      </div>
      {best && !result.folder && (
        <FileState host={best.host} file={{ path: best.path, name: result.name, root: result.root }} />
      )}
    </li>
  );
}
