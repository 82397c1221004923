import { type LokiLimits, LokiWriter } from "../../../src/series/loki/writer.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { batchOf, indexer, rangeOf, slabOf } from "../../support/line-writing.ts";
import { encodeRequest } from "../../support/otlp.ts";

export const NOW_MS = 1_732_167_300_123;
export const LIMITS: LokiLimits = {
  lineBytes: 1 << 18,
  bytes: 1 << 16,
  pairs: 128,
  maxAgeMs: 0,
  maxAheadMs: 0,
};
export const tables = shippedTables();

export interface WriteOptions {
  readonly limits?: Partial<LokiLimits>;
  readonly labels?: readonly string[];
  readonly slab?: number;
  readonly arrivalMs?: number;
}

/** A writer, and what it said beside its output. */
export function lokiWriter({ limits, labels = [] }: WriteOptions = {}) {
  const leftOut: Record<string, number> = {};
  const told = { leftOut, splits: 0 };
  const writer = new LokiWriter({
    tables,
    keys: indexer.keys,
    labels,
    limits: { ...LIMITS, ...limits },
    nowMs: () => NOW_MS,
    onLeftOut: (reason, n) => {
      leftOut[reason] = (leftOut[reason] ?? 0) + n;
    },
    onSplit: (n) => {
      told.splits += n;
    },
  });
  return { writer, told };
}

/** Bodies of the pushes that the requests become, each as full as the slab allows. */
export function pushes(requests: readonly Uint8Array[], options: WriteOptions = {}) {
  const { writer, told } = lokiWriter(options);
  const range = rangeOf(requests.map(batchOf), options.arrivalMs ?? NOW_MS);
  const bodies: Buffer[] = [];
  const dropped: Record<string, number> = {};
  let rows = 0;
  for (let from = 0; from < range.items; ) {
    const slab = slabOf(options.slab ?? 1 << 22);
    const written = writer.write(range, from, range.items, slab);
    if (written.to === from) throw new Error(`item ${from} does not fit`);
    from = written.to;
    rows += written.rows;
    for (const [reason, n] of written.dropped) dropped[reason] = (dropped[reason] ?? 0) + n;
    bodies.push(Buffer.from(slab.bytes.subarray(0, slab.length)));
  }
  return { bodies, rows, dropped, ...told };
}

/** Requests of OTLP/JSON log records under one resource. */
export function logsOf(
  records: readonly object[],
  resource: object = {},
  scope: object = {},
): Uint8Array {
  return encodeRequest("logs", {
    resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: records }] }],
  });
}

export const attributes = (from: Readonly<Record<string, object | string | number | boolean>>) =>
  Object.entries(from).map(([key, value]) => ({
    key,
    value:
      typeof value === "string"
        ? { stringValue: value }
        : typeof value === "number"
          ? { intValue: String(value) }
          : typeof value === "boolean"
            ? { boolValue: value }
            : value,
  }));
