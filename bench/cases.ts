import { JsonPoints } from "../src/kit/doors/json-points.ts";
import { LineReader } from "../src/line/reader.ts";
import type { Batch } from "../src/otlp/batch.ts";
import { createIndexer } from "../src/otlp/indexing.ts";
import type { KeyId } from "../src/otlp/keys.ts";
import type { Range } from "../src/otlp/range.ts";
import type { Signal } from "../src/otlp/tape.ts";
import { LineDoor } from "../src/series/doors/door.ts";
import { lineShapes } from "../src/series/doors/line-shapes.ts";
import { compileLineWriter } from "../src/series/plan.ts";
import { shippedTables } from "../src/series/tables/load.ts";
import type { Table } from "../src/series/tables/tables.ts";
import type { Slab, Writer } from "../src/series/writer.ts";
import { SLACK, withSlack } from "../src/wire/slack.ts";
import { requestType } from "../test/support/otlp.ts";
import { mixedLogs, mixedMetrics, plainLogs, plainMetrics, plainSpans } from "./payloads.ts";
import { linesOfObjects, linesOfPoints, requestOfStrings, touchEveryByte } from "./twins.ts";

/** A job of the bench: does some records' work and says how many. */
export type Job = () => number;

export const indexer = createIndexer();
const MIXED = 64;
/** Attributes of the payloads, and what a pipeline that renames calls them. */
export const RENAMES = [
  ["function.id", "fn"],
  ["execution.id", "execution_identifier"],
  ["function.version", "version"],
  ["memory_used_mb", "memory.used"],
] as const;

export function indexOf<S extends Signal>(signal: S, bytes: Uint8Array): Batch<S> {
  const roomy = withSlack(bytes);
  const indexed = indexer.index(signal, roomy, bytes.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  return indexed.batch;
}

/** Index only. `payloads` are taken in turn. */
export function indexJob(signal: Signal, payloads: readonly Uint8Array[]): Job {
  const roomy = payloads.map((bytes) => withSlack(Uint8Array.from(bytes)));
  let turn = 0;
  return () => {
    const i = turn++ % payloads.length;
    const indexed = indexer.index(
      signal,
      roomy[i] as Uint8Array,
      (payloads[i] as Uint8Array).length,
    );
    return "batch" in indexed ? indexed.batch.items : 0;
  };
}

export function decodeJob(bytes: Uint8Array, records: number): Job {
  const type = requestType("logs");
  return () => {
    type.decode(bytes);
    return records;
  };
}

/** Wire bytes → lines: index and write, as the service does for each frame. */
export function linesJob(
  payloads: readonly Uint8Array[],
  tables: readonly string[],
  signal: Signal = "logs",
  more: readonly Table[] = [],
): Job {
  const write = lineWriting(tables, signal, more);
  const roomy = payloads.map((bytes) => withSlack(Uint8Array.from(bytes)));
  let turn = 0;
  return () => {
    const i = turn++ % payloads.length;
    return write(roomy[i] as Uint8Array, (payloads[i] as Uint8Array).length);
  };
}

/** Indexes a request and writes its lines; says how many items it had. `more` tables are there beside the shipped ones. */
export function lineWriting(
  tables: readonly string[],
  signal: Signal,
  more: readonly Table[] = [],
): (bytes: Uint8Array, length: number) => number {
  const all = [...shippedTables(), ...more];
  const chosen = all.filter(({ measurement }) => tables.includes(measurement));
  const writer = compileLineWriter({
    signal,
    tables: chosen,
    declared: all,
    keys: indexer.keys,
    dialect: "v3",
  });
  const slab = makeSlab(8 << 20);
  return (bytes, length) => {
    const indexed = indexer.index(signal, bytes, length);
    if ("refused" in indexed) throw new Error(indexed.why);
    return writeAll(writer, indexed.batch, slab);
  };
}

function writeAll<S extends Signal>(writer: Writer<S>, batch: Batch<S>, slab: Slab): number {
  const range: Range<S> = {
    first: 1,
    last: 1,
    frames: [{ seq: 1, batch, arrivalMs: 0, note: new Uint8Array(0) }],
    items: batch.items,
  };
  for (let from = 0; from < batch.items; ) {
    slab.length = 0;
    from = writer.write(range, from, batch.items, slab).to;
  }
  return batch.items;
}

export function makeSlab(bytes: number): Slab {
  const memory = new Uint8Array(bytes + SLACK);
  return { bytes: memory, view: new DataView(memory.buffer), length: 0 };
}

export function objectsJob(bytes: Uint8Array, records: number): Job {
  const type = requestType("logs");
  return () => {
    linesOfObjects(type, bytes);
    return records;
  };
}

/**
 * Bytes of batches between two collections of the young generation. In the service the objects of node:http bring one every 10 MB at
 * 100 records a request, every 16 MB at 1000 (`--trace-gc`), and full ones are rare. A loop that makes nothing but batches brings none:
 * V8 would let 64 MB of them die, and then mark the whole heap on other threads, whose time is counted here too: 65 ns a record.
 */
const YOUNG_BYTES = 16 << 20;

/** Draft, four renames on every record, seal. */
export function renameJob(bytes: Uint8Array): Job {
  let made = 0;
  const batch = indexOf("logs", bytes);
  const pairs = RENAMES.map(([from, to]) => [indexer.keys.id(from), indexer.keys.id(to)] as const);
  return () => {
    const draft = batch.draft();
    const { items } = draft;
    for (let more = items.first(); more; more = items.next())
      for (const pair of pairs) rename(items, pair);
    const sealed = draft.seal();
    made += sealed.bytes.byteLength + sealed.tape.byteLength;
    if (made > YOUNG_BYTES) {
      made = 0;
      globalThis.gc?.({ type: "minor", execution: "sync" });
    }
    return sealed.items;
  };
}

function rename(
  items: ReturnType<Batch["draft"]>["items"],
  [from, to]: readonly [KeyId, KeyId],
): void {
  const slot = items.attribute(from);
  if (slot >= 0) items.rename(slot, to);
}

export function touchJob(bytes: Uint8Array, records: number): Job {
  const copy = Uint8Array.from(bytes);
  let sum = 0;
  return () => {
    // In short calls: one call of a million turns would stay in half-optimized code.
    for (let at = 0; at < copy.length; at += 4_096)
      sum ^= touchEveryByte(copy, at, Math.min(at + 4_096, copy.length));
    return sum === -1 ? records : records;
  };
}

/** `n` lines of 264 bytes, as a function platform sends them. */
export function functionLines(n: number): string[] {
  return Array.from(
    { length: n },
    (_, i) =>
      `function_logs,function_id=550e8400-e29b-41d4-a716-446655440000,execution_id=660e8400-e29b-41d4-a716-${String(i).padStart(12, "0")},status=success,version=1 ` +
      `duration_ms=1234i,memory_used_mb=45i,exit_code=0i,cpu_time_ms=800i,message="Function executed successfully" ${1_705_314_600_000_000_000n + BigInt(i)}`,
  );
}

/** As many datagrams' worth of lines one behind the other, and where each ends. */
function datagrams(lines: readonly string[], perDatagram: number) {
  const ends: number[] = [];
  let text = "";
  for (let i = 0; i < lines.length; i += perDatagram) {
    text += lines.slice(i, i + perDatagram).join("\n");
    ends.push(text.length);
  }
  const bytes = withSlack(new TextEncoder().encode(text));
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), ends };
}

/** Lines of 264 bytes through the reader. */
export function readLinesJob(lines: number): Job {
  const { bytes, view, ends } = datagrams(functionLines(lines), lines);
  const reader = new LineReader();
  return () => {
    reader.reset(bytes, view, 0, ends[0] as number);
    let n = 0;
    while (reader.next()) n++;
    return n;
  };
}

/** The same in datagrams, to an OTLP request, as the receiver does it. */
export function doorJob(lines: number, perDatagram: number): Job {
  const { append, door } = doorOf(lines, perDatagram);
  return () => {
    append();
    return door.finish().items;
  };
}

/** The same by way of strings and objects. */
export function lineStringsJob(lines: number): Job {
  const type = requestType("logs");
  const text = functionLines(lines).join("\n");
  return () => {
    requestOfStrings(type, text);
    return lines;
  };
}

/** The same, then all that follows until it is lines again. */
export function linesToLinesJob(lines: number, perDatagram: number): Job {
  const all = shippedTables();
  const { append, door } = doorOf(lines, perDatagram);
  const writer = compileLineWriter({
    signal: "logs",
    tables: all.filter(({ measurement }) => measurement === "function_logs"),
    declared: all,
    keys: indexer.keys,
    dialect: "v3",
  });
  const slab = makeSlab(8 << 20);
  return () => {
    append();
    const { bytes, length } = door.finish();
    const indexed = indexer.index("logs", bytes, length);
    if ("refused" in indexed) throw new Error(indexed.why);
    return writeAll(writer, indexed.batch, slab);
  };
}

/** JSON points of 290 bytes. */
function jsonPointTexts(points: number): string {
  const point = (i: number) => ({
    measurement: "function_logs",
    tags: {
      function_id: "550e8400",
      execution_id: `660e8400-${i}`,
      status: "success",
      version: "1",
    },
    fields: { duration_ms: 1234, memory_used_mb: 45, exit_code: 0, message: "Function executed" },
    timestamp: "2024-01-15T10:30:00.000Z",
  });
  return JSON.stringify(Array.from({ length: points }, (_, i) => point(i)));
}

/** JSON points, to the lines that the door then reads. */
export function jsonPointsJob(points: number): Job {
  const text = jsonPointTexts(points);
  const bytes = withSlack(new TextEncoder().encode(text));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const json = new JsonPoints();
  return () => {
    json.read(bytes, view, 0, text.length);
    return json.points - json.bad;
  };
}

/** The same by way of JSON.parse and strings. */
export function jsonPointStringsJob(points: number): Job {
  const bytes = Buffer.from(jsonPointTexts(points));
  return () => Buffer.from(linesOfPoints(bytes.toString())).length && points;
}

function doorOf(lines: number, perDatagram: number) {
  const { bytes, view, ends } = datagrams(functionLines(lines), perDatagram);
  const door = new LineDoor(lineShapes(shippedTables()), { precision: "auto" });
  const append = () => {
    let from = 0;
    for (const end of ends) {
      door.append(bytes, view, from, end, 1_705_314_600_123);
      from = end;
    }
  };
  return { append, door };
}

export const payloads = {
  plain: (n: number) => [plainLogs(n)],
  mixed: (n: number) => Array.from({ length: MIXED }, (_, seed) => mixedLogs(n, seed)),
  spans: (n: number) => [plainSpans(n)],
  metrics: (n: number) => [plainMetrics(n)],
  mixedMetrics: (n: number) => Array.from({ length: MIXED }, (_, seed) => mixedMetrics(n, seed)),
};
