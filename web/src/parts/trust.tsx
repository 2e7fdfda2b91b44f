// The certificate of a web server that nobody vouches for: a person compares its fingerprint and has it trusted, for one
// download.

import { api } from "../api";
import { to } from "../i18n/orders";
import { downloads } from "../state/store";
import { attempt } from "../state/ui";
import { Button } from "./bits";

/** As browsers and openssl show it. */
const grouped = (hex: string): string => (hex.toUpperCase().match(/../g) ?? []).join(":");

export function TrustCertificate({ id, certificate }: { id: number; certificate: string }) {
  return (
    <section data-certificate>
      <p>{to("certificate.shown")}</p>
      <p>
        <code class="breakable">{grouped(certificate)}</code>
      </p>
      <p>
        <Button
          icon="shield"
          label={to("certificate.trust")}
          onClick={() =>
            void attempt(async () => downloads.put(await api.changeDownload(id, { certificate })))
          }
        />
      </p>
    </section>
  );
}
