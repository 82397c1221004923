import type { Signal } from "../../otlp/tape.ts";
import type { ExporterContext, Verdict } from "../delivery/backend.ts";
import { clientAuthOf } from "../tls/auth-block.ts";
import { ClientTls } from "../tls/tls-client.ts";
import { type BodyCoding, codingFor } from "./body-coding.ts";
import { HttpClient } from "./http-client.ts";
import type { HttpClientBlock } from "./http-client-block.ts";
import { type OtlpSender, partialSuccessLog } from "./otlp-sender.ts";
import { otlpHttpVerdict } from "./otlp-verdicts.ts";

export interface OtlpHttpOptions extends HttpClientBlock {
  /** Whole address, for one signal. */
  readonly address: URL;
  readonly contentType: "application/x-protobuf" | "application/json";
  readonly lanes: number;
}

/** Sends OTLP requests over HTTP as they are. */
export class OtlpHttpSender implements OtlpSender {
  readonly #client: HttpClient;
  readonly #path: string;
  readonly #headers: readonly string[];
  readonly #coding: BodyCoding | undefined;
  readonly #warn: (rejected: number, message: string) => void;
  readonly #nowMs: () => number;

  constructor(options: OtlpHttpOptions, context: ExporterContext) {
    const { address, lanes, tls } = options;
    this.#client = new HttpClient({
      origin: address.origin,
      connections: lanes,
      tls: tls && new ClientTls(tls, context),
      auth: clientAuthOf(options.auth, context),
      proxy: options.proxy_url.reveal(),
    });
    this.#path = `${address.pathname}${address.search}`;
    this.#coding = codingFor(options.compression, options.compression_params?.level);
    this.#headers = headersOf(options, this.#coding);
    this.#warn = partialSuccessLog(context);
    this.#nowMs = context.nowMs;
  }

  async post(body: Uint8Array, stop: AbortSignal): Promise<Verdict> {
    const bytes = this.#coding === undefined ? body : await this.#coding.encode(body);
    const answer = await this.#client.post(this.#path, [...this.#headers], bytes, stop);
    return otlpHttpVerdict(answer, this.#nowMs(), this.#warn);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

function headersOf(
  { headers: given, contentType }: OtlpHttpOptions,
  coding: BodyCoding | undefined,
): readonly string[] {
  const headers = ["content-type", contentType];
  if (coding !== undefined) headers.push("content-encoding", coding.name);
  for (const [name, value] of Object.entries(given)) {
    const lower = name.toLowerCase();
    if (lower !== "content-type" && lower !== "content-encoding")
      headers.push(name, value.reveal());
  }
  return headers;
}

/** `/v1/<signal>` below a base address. */
export function signalAddress(base: string, signal: Signal): URL {
  const address = new URL(base);
  address.pathname = `${address.pathname.replace(/\/+$/, "")}/v1/${signal}`;
  return address;
}
