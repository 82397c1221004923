import { z } from "zod";
import { duration, secret } from "../../config/blocks.ts";
import { auth } from "../tls/auth-block.ts";
import { tlsClient } from "../tls/tls-block.ts";
import { compression, compressionParams, levelProblem } from "./body-coding.ts";
import { checkHeaders, headers } from "./headers-block.ts";
import { headerProblem } from "./http-client.ts";

/** The Collector's confighttp for clients: the options that every exporter over HTTP has beside its endpoint. */

const CONNECTIONS = "there is one connection for each of sending_queue.num_consumers";

function ignored(why: string) {
  return z.int().min(0).optional().describe(`Accepted without effect: ${why}.`);
}

const pings = duration("Accepted without effect: requests are HTTP/1.1.", "0s").optional();

/** Put these into the block that has `endpoint`. */
export const httpClientShape = {
  headers,
  compression,
  compression_params: compressionParams,
  tls: tlsClient,
  auth,
  proxy_url: secret(
    "Proxy for all requests, http://proxy:3128; user:password@ in it goes as Proxy-Authorization. The environment names none.",
  ),
  read_buffer_size: ignored("buffers are Node's"),
  write_buffer_size: ignored("buffers are Node's"),
  max_idle_conns: ignored(CONNECTIONS),
  max_idle_conns_per_host: ignored(CONNECTIONS),
  max_conns_per_host: ignored(CONNECTIONS),
  idle_conn_timeout: duration(
    "Accepted without effect: idle connections are closed after 30 s, before most servers close them.",
    "30s",
  ).optional(),
  force_attempt_http2: z
    .boolean()
    .optional()
    .describe("Accepted without effect: requests are HTTP/1.1."),
  http2_read_idle_timeout: pings,
  http2_ping_timeout: pings,
};

export type HttpClientBlock = z.output<z.ZodObject<typeof httpClientShape>>;

/** Checks that need more than the types. */
export function checkHttpClient(block: HttpClientBlock, context: z.RefinementCtx): void {
  checkHeaders(block.headers, headerProblem, context);
  const level = levelProblem(block.compression, block.compression_params?.level);
  if (level !== undefined)
    context.addIssue({ code: "custom", path: ["compression_params", "level"], message: level });
  const proxy = block.proxy_url.reveal();
  if (proxy !== "" && !/^https?:\/\/[^/]/i.test(URL.parse(proxy)?.href ?? ""))
    context.addIssue({
      code: "custom",
      path: ["proxy_url"],
      message: 'expected a URL, for example "http://proxy:3128"',
    });
}

/** Whether a URL holds a user name or a password, which no request would carry. */
export function holdsCredentials(endpoint: string): boolean {
  const { username, password } = URL.parse(endpoint) ?? { username: "", password: "" };
  return username !== "" || password !== "";
}
