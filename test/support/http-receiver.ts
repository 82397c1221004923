import { expect } from "vitest";
import type { HttpServer } from "../../src/kit/server/http-server.ts";
import type { ReceiverFactory } from "../../src/pipeline/factory.ts";
import { decodeRequest } from "./otlp.ts";
import { ReceiverRig } from "./receiver-rig.ts";

const stops: (() => Promise<void>)[] = [];

/** After each test: every receiver stops, and has given back what it leased. */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0)) await stop();
}

/** A receiver over HTTP that listens on a free port. */
export async function startReceiver<C>(
  factory: ReceiverFactory<C>,
  options: object,
  rig = new ReceiverRig(factory.type),
) {
  const config = factory.schema.parse({ endpoint: "127.0.0.1:0", ...options });
  const receiver = factory.create(config, rig.context, rig.intake) as HttpServer;
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
  headers: Readonly<Record<string, string>> = {},
  method = "POST",
) {
  const answer = await fetch(url, { method, body, headers });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

/** A log record of a request, with its attributes as objects. */
export interface StoredRecord {
  readonly body: unknown;
  readonly time: string;
  readonly severity: string | undefined;
  readonly traceId: string | undefined;
  readonly resource: Readonly<Record<string, unknown>> | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** What these requests for logs hold. */
export function recordsOf(requests: readonly Uint8Array[]): StoredRecord[] {
  return requests.flatMap((bytes) => {
    const { resourceLogs = [] } = decodeRequest("logs", bytes) as Request;
    return resourceLogs.flatMap(({ resource, scopeLogs }) =>
      scopeLogs.flatMap(({ logRecords }) =>
        logRecords.map(({ body, timeUnixNano, severityText, traceId, attributes = [] }) => ({
          body: body === undefined ? undefined : Object.values(body)[0],
          time: timeUnixNano,
          severity: severityText,
          traceId,
          resource: resource && plain(resource.attributes ?? []),
          attributes: plain(attributes),
        })),
      ),
    );
  });
}

/** All that was stored. */
export function storedIn({ batches }: ReceiverRig): StoredRecord[] {
  return recordsOf(batches.map(({ bytes, length }) => bytes.subarray(0, length)));
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

function plain(pairs: Pairs): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));
}
