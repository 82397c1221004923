import { z } from "zod";
import { duration, type Secret, secret } from "../../config/blocks.ts";
import { headerProblem } from "../client/http-client.ts";
import { auth } from "../tls/auth-block.ts";
import { tlsServer } from "../tls/tls-block.ts";
import type { HttpServerOptions } from "./http-server.ts";

/** The Collector's confighttp for servers: the options that every receiver over HTTP has beside its endpoint. */

const MIB = 1024 * 1024;

/** Also written by the server itself. */
const OWN = new Set(["content-type", "date", "retry-after", "vary", "www-authenticate"]);

const cors = z
  .strictObject({
    allowed_origins: z
      .array(
        z
          .string()
          .regex(/^[^*]*\*?[^*]*$/, 'expected an origin with at most one "*", "https://*.example"'),
      )
      .default([])
      .describe('Origins of web pages that may send here; one "*" in each. Empty: none.'),
    allowed_headers: z
      .array(z.string())
      .default([])
      .describe('Headers they may send beside Accept, Content-Type, X-Requested-With; "*": all.'),
    exposed_headers: z
      .array(z.string())
      .default([])
      .describe("Headers of answers that they may read."),
    max_age: z
      .int()
      .min(0)
      .default(0)
      .describe("Seconds for which browsers remember that they may. 0: their default."),
  })
  .optional()
  .describe("Lets web pages of other origins send here.");

const responseHeaders = z
  .record(z.string(), secret("Value of the header."))
  .default({})
  .superRefine((headers, context) => {
    for (const [name, value] of Object.entries(headers)) {
      const problem = OWN.has(name.toLowerCase())
        ? `header ${name} is written by the server itself`
        : headerProblem(name, value.reveal());
      if (problem !== undefined)
        context.addIssue({ code: "custom", path: [name], message: problem });
    }
  })
  .describe("Headers of every answer, for example Strict-Transport-Security.");

/** The option `max_request_body_size`, in bytes. */
export function bodySizeOption(mostMib: number, usualMib: number, note = "") {
  return z
    .int()
    .min(1)
    .max(mostMib * MIB)
    .default(usualMib * MIB)
    .describe(`Largest body in bytes, before and after decompression.${note}`);
}

/** Put these into the block that has `endpoint`. */
export const httpServerShape = {
  transport: z
    .enum(["tcp"])
    .default("tcp")
    .describe("Only tcp: sockets in the file system are not listened on."),
  tls: tlsServer,
  auth,
  cors,
  include_metadata: z
    .boolean()
    .default(false)
    .describe(
      "Headers of requests are there for processors (from_context: metadata.<name>); in receivers other than otlp without effect.",
    ),
  response_headers: responseHeaders,
  read_header_timeout: duration("How long the head of a request may take; 0s: no limit.", "10s"),
  read_timeout: duration("How long a whole request may take to arrive; 0s: no limit.", "60s"),
  write_timeout: duration(
    "From the head of a request to the end of its answer, then the connection is cut; 0s: no limit.",
    "0s",
  ),
  idle_timeout: duration("How long an idle connection stays open.", "120s"),
  keep_alives_enabled: z
    .boolean()
    .default(true)
    .describe("false: one request per connection. Costs senders a new connection each time."),
  max_connections: z
    .int()
    .min(1)
    .optional()
    .describe("Connections at once. Default: what fits the byte budget, at most 10,000."),
};

const shape = z.strictObject(httpServerShape);
export type HttpServerBlock = z.output<typeof shape>;

/** What of the block the server itself carries out; `tls` and `auth` need their surroundings and are given beside it. */
export function httpServerOptions(block: HttpServerBlock) {
  const { cors, max_connections: maxConnections } = block;
  return {
    headersTimeoutMs: block.read_header_timeout,
    requestTimeoutMs: block.read_timeout,
    writeTimeoutMs: block.write_timeout,
    keepAliveMs: block.idle_timeout,
    isKeptAlive: block.keep_alives_enabled,
    responseHeaders: revealed(block.response_headers),
    ...(maxConnections !== undefined && { maxConnections }),
    ...(cors !== undefined &&
      cors.allowed_origins.length > 0 && {
        cors: {
          allowedOrigins: cors.allowed_origins,
          allowedHeaders: cors.allowed_headers,
          exposedHeaders: cors.exposed_headers,
          maxAgeSeconds: cors.max_age,
        },
      }),
  } satisfies Partial<HttpServerOptions>;
}

function revealed(headers: Readonly<Record<string, Secret>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.reveal()]));
}
