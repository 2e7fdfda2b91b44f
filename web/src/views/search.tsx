// A search over the stored lists of all hosts; equal content is one result with several copies.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api } from "../api";
import { bytes } from "../format";
import { t } from "../i18n";
import { Button, Empty, Failed, Loading } from "../parts/bits";
import { Icon, fileIcon } from "../parts/icons";
import { byRoot, downloads, hostName, hosts, optional } from "../state/store";
import { attempt, go, href, notify, sentence } from "../state/ui";
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
  const here = result.root ? byRoot.value.get(result.root) : undefined;
  // The copy to fetch: one whose host answers, if there is one.
  const best = result.copies.find((copy) => hosts.get(copy.host)?.state === "online") ?? result.copies[0];
  const get = async (): Promise<void> => {
    const download = await api.addDownload(
      result.root ? { root: result.root } : { host: best!.host, path: best!.path },
    );
    downloads.put(download);
    notify("good", t("download.started", { name: download.name }), {
      label: t("show"),
      run: () => go("downloads", download.id),
    });
  };
  return (
    <li>
      <Icon name={fileIcon(result.name, null)} />
      <div class="result-main">
        <span class="result-name">{result.name}</span>
        <span class="muted">
          {bytes(result.size)} ·{" "}
          {result.copies.slice(0, 3).map((copy, index) => (
            <>
              {index > 0 && ", "}
              <a href={href("hosts", copy.host, ...copy.path.split("/").slice(0, -1))} title={copy.path}>
                {hostName(copy.host)}
              </a>
            </>
          ))}
          {result.copies.length > 3 && ` +${result.copies.length - 3}`}
        </span>
      </div>
      {here?.state === "done" ? (
        <span class="file-state here">
          <Icon name="check" size={16} />
          {t("file.here")}
        </span>
      ) : (
        <Button
          icon="downloads"
          kind="quiet"
          iconOnly
          label={t("download.of", { name: result.name })}
          disabled={!best}
          onClick={() => void attempt(get)}
        />
      )}
    </li>
  );
}
