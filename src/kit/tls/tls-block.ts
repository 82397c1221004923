import { z } from "zod";
import { duration, secret } from "../../config/blocks.ts";
import { CIPHERS, CURVES } from "./tls-names.ts";
import { clientTlsProblems, serverTlsProblems, type TlsProblem } from "./tls-options.ts";

/** The Collector's `tls:` blocks (configtls), for every server and every client. Files are read while the configuration is checked. */

const path = (what: string) => z.string().min(1).optional().describe(what);

/** A version is written as text, but YAML reads 1.2 without quotes as a number. */
const version = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((text) => text === "1.2" || text === "1.3", {
    error: 'expected "1.2" or "1.3": older versions are unsafe (RFC 8996)',
  });

const shared = {
  cert_file: path("Our certificate, PEM, with intermediate ones behind it."),
  cert_pem: path("The same as text, instead of cert_file."),
  key_file: path("The certificate's private key, PEM."),
  key_pem: secret("The same as text, instead of key_file."),
  min_version: version.prefault("1.2").describe('Oldest TLS version: "1.2" or "1.3".'),
  max_version: version.optional().describe('Newest TLS version: "1.2" or "1.3". Default: newest.'),
  cipher_suites: z
    .array(z.enum(Object.keys(CIPHERS)))
    .default([])
    .describe("Suites for TLS 1.2, by their IANA names. Default: Node's safe ones."),
  curve_preferences: z
    .array(z.enum(Object.keys(CURVES)))
    .default([])
    .describe("Curves of the key exchange, most wanted first: X25519, P256, P384, P521, …"),
  reload_interval: duration(
    "How often the files are looked at; changed ones hold for new connections. 0s: never, the Collector's default.",
    "1m",
  ),
};

/** `tls:` of a server. Present: TLS; with client_ca_file, clients must show a certificate (mTLS). */
export const tlsServer = z
  .strictObject({
    ...shared,
    client_ca_file: path("Clients must show a certificate that one of these signed (mTLS)."),
    client_ca_file_reload: z
      .boolean()
      .default(false)
      .describe("Accepted: reload_interval holds for client_ca_file too."),
    ca_file: path("Accepted without effect on a server: clients are checked by client_ca_file."),
    ca_pem: path("Accepted without effect on a server, as ca_file."),
    include_system_ca_certs_pool: z
      .boolean()
      .default(false)
      .describe("Accepted without effect on a server, as in the Collector."),
  })
  .superRefine((tls, context) => report(serverTlsProblems(tls), context))
  .optional()
  .describe("TLS for this listener. Absent: plain text.");

/** `tls:` of a client; `insecure`: what that option does for it, `what`: when there is TLS. */
export function tlsClientOf(insecure: string, what: string) {
  return z
    .strictObject({
      ...shared,
      insecure: z.boolean().default(false).describe(insecure),
      insecure_skip_verify: z
        .boolean()
        .default(false)
        .describe("Take any certificate: whoever is in between can read and change everything."),
      ca_file: path(
        "The server's certificate must be signed by one of these. Default: public ones.",
      ),
      ca_pem: path("The same as text, instead of ca_file."),
      include_system_ca_certs_pool: z
        .boolean()
        .default(false)
        .describe("Trust what this machine trusts, beside ca_file."),
      server_name_override: path("Name to ask for and to expect in the server's certificate."),
    })
    .superRefine((tls, context) => report(clientTlsProblems(tls), context))
    .optional()
    .describe(what);
}

/** `tls:` of a client over HTTP. */
export const tlsClient = tlsClientOf(
  "Accepted for compatibility: the scheme of the endpoint decides.",
  "TLS options for an https endpoint.",
);

function report(problems: readonly TlsProblem[], context: z.RefinementCtx): void {
  for (const { option, why } of problems)
    context.addIssue({
      code: "custom",
      path: option === undefined ? [] : [option],
      message: why,
    });
}
