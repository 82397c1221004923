import { expect } from "vitest";
import { loki } from "../../../src/receivers/loki/index.ts";
import { decodeRequest } from "../../support/otlp.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

/** A stored record, with its attributes as an object. */
export interface Stored {
  readonly line: unknown;
  readonly time: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly severity?: unknown;
  readonly traceId?: unknown;
}

type Value = Readonly<Record<string, unknown>>;
type Pairs = readonly { readonly key: string; readonly value: Value }[];
interface Request {
  readonly resourceLogs?: readonly {
    readonly resource?: { readonly attributes?: Pairs };
    readonly scopeLogs: readonly {
      readonly logRecords: readonly {
        readonly body?: Value;
        readonly timeUnixNano: string;
        readonly severityText?: string;
        readonly traceId?: string;
        readonly attributes?: Pairs;
      }[];
    }[];
  }[];
}

const stops: (() => Promise<void>)[] = [];

/** After each test: every receiver stops, and has given back what it leased. */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0)) await stop();
}

/** A receiver that listens on a free port. */
export async function start(options: object = {}, rig: ReceiverRig = new ReceiverRig("loki")) {
  const config = loki.schema.parse({ endpoint: "127.0.0.1:0", ...options });
  const receiver = loki.create(config, rig.context, rig.intake);
  await receiver.start();
  stops.push(async () => {
    await receiver.stop(AbortSignal.timeout(2_000));
    expect(rig.budget.used, "every lease is given back").toBe(0);
  });
  const address = receiver.address() ?? "";
  return { rig, address, url: `http://${address}` };
}

/** Sends a body; the answer with its text. */
export async function post(
  url: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = { "content-type": "application/json" },
) {
  const answer = await fetch(url, { method: "POST", body, headers });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

/** The records of requests. */
export function recordsOf(requests: readonly Uint8Array[]): Stored[] {
  return requests.flatMap((bytes) => {
    const { resourceLogs = [] } = decodeRequest("logs", bytes) as Request;
    return resourceLogs.flatMap(({ resource, scopeLogs }) =>
      scopeLogs.flatMap(({ logRecords }) =>
        logRecords.map(({ body, timeUnixNano, severityText, traceId, attributes = [] }) => ({
          line: Object.values(body ?? {})[0] ?? "",
          time: timeUnixNano,
          resource: plain(resource?.attributes ?? []),
          attributes: plain(attributes),
          ...(severityText !== undefined && { severity: severityText }),
          ...(traceId !== undefined && { traceId }),
        })),
      ),
    );
  });
}

/** All that was stored. */
export function stored({ batches }: ReceiverRig): Stored[] {
  return recordsOf(batches.map(({ bytes, length }) => bytes.subarray(0, length)));
}

function plain(pairs: Pairs): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));
}
