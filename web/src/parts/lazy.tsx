// A component that is fetched when it is first shown.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../i18n";
import { Failed, Loading } from "./bits";

export function Lazy<P extends object>({
  load,
  props,
  quiet = false,
}: {
  load: () => Promise<ComponentType<P>>;
  props: P;
  /** Nothing stands in its place until it is there. */
  quiet?: boolean;
}) {
  const [found, setFound] = useState<{ component: ComponentType<P> } | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let gone = false;
    load().then(
      (component) => !gone && setFound({ component }),
      () => !gone && setFailed(true),
    );
    return () => {
      gone = true;
    };
  }, []);
  // A part of the page that cannot be fetched any more: the server was updated or is away.
  if (quiet && !found) return null;
  if (failed) return <Failed text={t("failed.part")} retry={() => location.reload()} />;
  if (!found) return <Loading />;
  const Component = found.component;
  return <Component {...props} />;
}
