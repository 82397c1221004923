import { describe, expect, test } from "vitest";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { batchOfSignal, indexer, rangeOf, slabOf, writeAll } from "../support/line-writing.ts";
import { encodeRequest } from "../support/otlp.ts";
import { slowLines } from "./slow-writer.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const tables = shippedTables().filter(({ measurement }) => measurement === "spans");

function requestOf(names: readonly string[]): Uint8Array {
  const attributes = names.map((key, i) => ({ key, value: { stringValue: `v${i}` } }));
  const spans = [{ name: "n", kind: 2, startTimeUnixNano: "1705314600123456789", attributes }];
  return encodeRequest("traces", { resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

function writerOf() {
  const { keys } = indexer;
  return compileLineWriter({ signal: "traces", tables, declared: tables, keys, dialect: "v3" });
}

/** Writes each request twice by one writer: with names that it meets, then with those that it kept. */
function expectTwins(requests: readonly Uint8Array[]): void {
  const writer = writerOf();
  for (const turn of [1, 2])
    for (const bytes of requests) {
      const written = writeAll(writer, rangeOf([batchOfSignal("traces", bytes)], ARRIVAL_MS));
      expect(written, `turn ${turn}`).toEqual(slowLines(bytes, tables, "v3", ARRIVAL_MS, "traces"));
    }
}

describe("names as members of attributes", () => {
  test("are the same when they were kept, at every length", () => {
    expectTwins([requestOf(Array.from({ length: 200 }, (_, i) => "n".repeat(i)))]);
  });

  test("keep their escapes", () => {
    expectTwins([requestOf(['a"b', "a\\b", "a\nb", "\u0001", "ключ", '"'.repeat(20)])]);
  });

  test("are written all the same when they are more than are kept", () => {
    const names = (from: number) =>
      Array.from({ length: 500 }, (_, i) => `${"kept.".repeat(15)}${from + i}`);
    expectTwins([
      requestOf(names(0)),
      requestOf(names(500)),
      requestOf(names(1000)),
      requestOf(names(1500)),
    ]);
  });

  test("a short name is written within the bytes of a slab that is just large enough", () => {
    const bytes = requestOf(["a"]);
    const range = rangeOf([batchOfSignal("traces", bytes)], ARRIVAL_MS);
    const writer = writerOf();
    const { text } = writeAll(writer, range);
    const slab = slabOf(Buffer.byteLength(text));
    slab.bytes.fill(0xee);
    expect(writer.write(range, 0, 1, slab).rows).toBe(1);
    expect(Buffer.from(slab.bytes.subarray(0, slab.length)).toString()).toBe(text);
    expect(slab.bytes.subarray(slab.length).every((byte) => byte === 0xee)).toBe(true);
  });
});
