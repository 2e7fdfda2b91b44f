// The dialog that lists the keys.

import { type Key, t } from "../i18n";
import { Modal } from "./bits";

const SHORTCUTS: [keys: string[], text: Key][] = [
  [["g", "h"], "key.hosts"],
  [["g", "d"], "key.downloads"],
  [["g", "s"], "key.share"],
  [["g", "m"], "key.messages"],
  [["g", "a"], "key.activity"],
  [["g", "p"], "key.settings"],
  [["/"], "key.search"],
  [["a"], "key.add"],
  [["u"], "key.url"],
  [["↑", "↓"], "key.rows"],
  [["Space"], "key.select"],
  [["Enter"], "key.open"],
  [["Esc"], "key.close"],
  [["?"], "key.help"],
];

export function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Modal title={t("shortcuts")} onClose={onClose}>
      <dl class="shortcuts">
        {SHORTCUTS.map(([keys, text]) => (
          <div key={text}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
