import { expect } from "vitest";
import { httpLogs } from "../../../src/receivers/http_logs/index.ts";
import { decodeRequest } from "../../support/otlp.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

/** A stored record, with its attributes as an object. */
export interface Stored {
  readonly body?: unknown;
  readonly time: string;
  readonly severity?: unknown;
  readonly traceId?: string;
  readonly service?: unknown;
  readonly attributes: Readonly<Record<string, unknown>>;
}

type Value = Readonly<Record<string, unknown>>;
type Pairs = readonly { readonly key: string; readonly value: Value }[];
interface Request {
  readonly resourceLogs?: readonly {
    readonly resource?: { readonly attributes: Pairs };
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
export async function start(options: object = {}, rig: ReceiverRig = new ReceiverRig("http_logs")) {
  const config = httpLogs.schema.parse({ endpoint: "127.0.0.1:0", ...options });
  const receiver = httpLogs.create(config, rig.context, rig.intake);
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
  headers: Record<string, string> = {},
  method = "POST",
) {
  const answer = await fetch(url, { method, body, headers });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

/** All that was stored. */
export function stored({ batches }: ReceiverRig): Stored[] {
  return batches.flatMap(({ bytes, length }) => {
    const { resourceLogs = [] } = decodeRequest("logs", bytes.subarray(0, length)) as Request;
    return resourceLogs.flatMap(({ resource, scopeLogs }) =>
      scopeLogs.flatMap(({ logRecords }) =>
        logRecords.map(({ body, timeUnixNano, severityText, traceId, attributes = [] }) => ({
          time: timeUnixNano,
          attributes: plain(attributes),
          ...(body !== undefined && { body: Object.values(body)[0] }),
          ...(severityText !== undefined && { severity: severityText }),
          ...(traceId !== undefined && { traceId }),
          ...(resource !== undefined && { service: plain(resource.attributes)["service.name"] }),
        })),
      ),
    );
  });
}

function plain(pairs: Pairs): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));
}
