import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { createTelemetryApi } from "../../../src/receivers/telemetry_api/index.ts";
import { decodeRequest } from "../../support/otlp.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

/** A log record or a span as tests compare it. */
export interface Item {
  readonly resource: Readonly<Record<string, unknown>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

type Pairs = readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
type Raw = Readonly<Record<string, unknown>> & { readonly attributes?: Pairs };
type Groups = readonly { readonly resource?: { readonly attributes: Pairs } }[];

const stops: (() => Promise<void>)[] = [];

export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0)) await stop();
}

/** A rig for logs and traces. */
export class LambdaRig extends ReceiverRig {
  readonly #signals: ReadonlySet<"logs" | "traces">;

  constructor(signals: readonly ("logs" | "traces")[] = ["logs", "traces"]) {
    super("telemetry_api");
    this.#signals = new Set(signals);
  }

  override get intake() {
    return { ...super.intake, signals: this.#signals };
  }

  /** What was stored, by signal; all of it in the order of the batches. */
  stored(signal: "logs" | "traces"): Item[] {
    const [groups, scopes, items] =
      signal === "logs"
        ? ["resourceLogs", "scopeLogs", "logRecords"]
        : ["resourceSpans", "scopeSpans", "spans"];
    return this.batches
      .filter((batch) => batch.signal === signal)
      .flatMap(({ bytes, length }) => {
        const request = decodeRequest(signal, bytes.subarray(0, length)) as Record<string, Groups>;
        return (request[groups] ?? []).flatMap((group) =>
          ((group as unknown as Record<string, Record<string, Raw[]>[]>)[scopes] ?? []).flatMap(
            (scope) =>
              (scope[items] ?? []).map(({ attributes = [], body, ...rest }) => ({
                ...rest,
                resource: plain(group.resource?.attributes ?? []),
                attributes: plain(attributes),
                ...(body !== undefined && { body: Object.values(body as object)[0] }),
              })),
          ),
        );
      });
  }

  rows(): Item[] {
    return this.stored("logs").filter(({ eventName }) => eventName === "function_logs");
  }

  lines(): Item[] {
    return this.stored("logs").filter(({ eventName }) => eventName !== "function_logs");
  }
}

function plain(pairs: Pairs): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));
}

/** A receiver that listens on a free port. */
export async function start(options: object = {}, rig: LambdaRig = new LambdaRig()) {
  const done: string[] = [];
  const factory = createTelemetryApi({ listens() {}, done: (id) => void done.push(id) });
  const config = factory.schema.parse({
    endpoint: "127.0.0.1:0",
    function_name: "resize",
    ...options,
  });
  const receiver = factory.create(config, rig.context, rig.intake);
  await receiver.start();
  const stop = async () => {
    await receiver.stop(AbortSignal.timeout(2_000));
    expect(rig.budget.used, "every lease is given back").toBe(0);
  };
  stops.push(stop);
  return { rig, done, stop, url: `http://${receiver.address() ?? ""}/` };
}

/** Posts a batch; the answer's status and text. */
export async function post(url: string, batch: unknown, headers: Record<string, string> = {}) {
  const body =
    typeof batch === "string" || batch instanceof Uint8Array ? batch : JSON.stringify(batch);
  const answer = await fetch(url, { method: "POST", body, headers });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

export function fixture(name: string): string {
  return readFileSync(
    join(import.meta.dirname, "..", "..", "fixtures", "seeds", "lambda", name),
    "utf8",
  );
}
