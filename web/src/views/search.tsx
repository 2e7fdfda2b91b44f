// A search over the stored lists of all hosts; equal content is one result with several copies.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { bytes } from "../format";
import { t } from "../i18n";
import { Empty, Failed, Loading } from "../parts/bits";
import { FileState } from "../parts/filestate";
import { Icon, fileIcon } from "../parts/icons";
import { optional } from "../state/loading";
import { hostName, hosts } from "../state/store";
import { href, sentence } from "../state/ui";
import type { SearchResult } from "../types";

export function SearchResults({ query: words }: { query: string }) {
  const results = useSignal<SearchResult[] | null>(null);
  const error = useSignal<string | null>(null);
  const tries = useSignal(0);
  useEffect(() => {
    const abort = new AbortController();
    error.value = null;
    optional("search", () => api.search(words, abort.signal)).then(
      (found) => {
        if (!abort.signal.aborted) results.value = found ?? [];
      },
      (reason) => {
        if (!abort.signal.aborted) error.value = sentence(reason);
      },
    );
    return () => abort.abort();
  }, [words, tries.value]);
  if (error.value) return <Failed text={error.value} retry={() => tries.value++} />;
  if (results.value === null) return <Loading />;
  if (results.value.length === 0) {
    return (
      <Empty icon="search" title={t("search.none")}>
        {t("search.none.text")}
      </Empty>
    );
  }
  return (
    <ul class="results" aria-label={t("search.title")}>
      {results.value.map((result) => (
        <Result
          key={`${result.root ?? ""} ${result.copies[0]?.host} ${result.copies[0]?.path}`}
          result={result}
        />
      ))}
    </ul>
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
      <Icon name={fileIcon(result.name, null)} />
      <div class="result-main">
        <span class="result-name">{result.name}</span>
        <span class="muted">
          {bytes(result.size)} ·{" "}
          {places.slice(0, 3).map((copy, index) => (
            <>
              {index > 0 && ", "}
              <a href={href("hosts", copy.host, ...copy.path.split("/").slice(0, -1))} title={copy.path}>
                {hostName(copy.host)}
              </a>
            </>
          ))}
          {places.length > 3 && ` +${places.length - 3}`}
        </span>
      </div>
      {best && (
        <FileState host={best.host} file={{ path: best.path, name: result.name, root: result.root }} />
      )}
    </li>
  );
}
