// A file's digest on request, for comparing with one that was published elsewhere.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { copy, sentence } from "../state/ui";
import { Button } from "./bits";

const ALGORITHMS = ["sha-256", "sha-1", "md5"];
/** How often the server is asked while it computes, milliseconds. */
const ASK_MS = 700;

export function DigestFact({ load }: { load: (algorithm: string) => Promise<string | null> }) {
  const algorithm = useSignal("sha-256");
  const hex = useSignal<string | null>(null);
  const busy = useSignal(false);
  const error = useSignal<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>();
  useEffect(() => () => clearTimeout(timer.current), []);
  const ask = async (): Promise<void> => {
    busy.value = true;
    error.value = null;
    try {
      hex.value = await load(algorithm.value);
      if (hex.value === null) {
        timer.current = setTimeout(() => void ask(), ASK_MS);
        return;
      }
    } catch (reason) {
      error.value = sentence(reason);
    }
    busy.value = false;
  };
  return (
    <div class="digest">
      <div class="row wrap">
        <label>
          {t("digest")}
          <select
            value={algorithm.value}
            onChange={(event) => {
              algorithm.value = event.currentTarget.value;
              hex.value = null;
            }}
          >
            {ALGORITHMS.map((name) => (
              <option key={name} value={name}>
                {name.toUpperCase()}
              </option>
            ))}
          </select>
        </label>
        <Button label={t("digest.compute")} busy={busy.value} onClick={() => void ask()} />
        {hex.value && (
          <Button icon="copy" kind="quiet" iconOnly label={t("copy")} onClick={() => void copy(hex.value!)} />
        )}
      </div>
      {hex.value && <code class="breakable">{hex.value}</code>}
      {error.value && <p class="bad">{error.value}</p>}
    </div>
  );
}
