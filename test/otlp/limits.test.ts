import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { mixedLogs, plainLogs, plainMetrics, plainSpans } from "../../bench/payloads.ts";
import { ProtoWriter } from "../../src/otlp/build.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { createKeys, KEY_CAPACITY, type KeyTable } from "../../src/otlp/key-table.ts";
import * as TAGS from "../../src/otlp/tags.gen.ts";
import { Entry, ITEM_HEADER, Item, Kind, Log, type Signal } from "../../src/otlp/tape.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";
import { slowIndex } from "./slow-index.ts";
import { viewBatch, viewRequest } from "./views.ts";

const indexer = createIndexer();

function accepted<S extends Signal>(signal: S, bytes: Uint8Array) {
  const result = indexer.index(signal, bytes, bytes.length);
  if ("refused" in result) throw new Error(result.why);
  return result;
}

function logs(...logRecords: object[]): Uint8Array {
  return encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
}

/** A LogRecord-only request from raw field bytes of its records. */
function rawLogs(...given: (Uint8Array | Uint8Array[])[]): Uint8Array {
  const out = new ProtoWriter();
  out.open(0x0a);
  out.open(0x12);
  for (const record of given.flat()) out.data(0x12, record);
  out.close();
  out.close();
  return out.bytes.slice(0, out.length);
}

/** Content of an AnyValue in `depth` AnyValues, lists and maps by turns. */
function deep(depth: number): Buffer {
  let value = Buffer.from("0a0178", "hex");
  for (let level = 1; level < depth; level++) {
    const isMap = level % 2 === 1;
    const inner = isMap
      ? field(0x0a, Buffer.concat([Buffer.from("0a016b", "hex"), field(0x12, value)]))
      : field(0x0a, value);
    value = field(isMap ? 0x32 : 0x2a, inner);
  }
  return value;
}

function field(tag: number, payload: Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.concat([Buffer.from([tag]), sized(payload)]);
}

test("64 levels of nesting pass, the 65th costs the record and no other", () => {
  const fine = accepted("logs", rawLogs(field(0x2a, deep(64))));
  expect(fine.rejected).toBe(0);
  expect(viewBatch(fine.batch, indexer.keys)[0]).toMatchObject({
    body: ["map", [{ key: "k" }]],
  });
  const pair = Buffer.concat([Buffer.from("0a0161", "hex"), field(0x12, deep(65))]);
  const flat = Buffer.from("1a04666c6174", "hex");
  const bytes = rawLogs(field(0x2a, deep(65)), field(0x32, pair), flat);
  const { batch, rejected, why } = accepted("logs", bytes);
  expect([batch.items, rejected]).toEqual([1, 2]);
  expect(why).toContain("64");
  expect(viewBatch(batch, indexer.keys)[0]).toMatchObject({ severityText: "flat" });
});

test("400,000 levels of nesting cost one record and little time", () => {
  // Each level is longer than the one it holds, so build from the inside: 05 bytes per level.
  const levels = 200_000;
  const memory = new Uint8Array(levels * 12);
  let at = memory.length;
  const prepend = (tag: number) => {
    const size = memory.length - at;
    const head = new ProtoWriter(16);
    head.uint(tag, size);
    at -= head.length;
    memory.set(head.bytes.subarray(0, head.length), at);
  };
  for (let i = 0; i < levels; i++) {
    prepend(0x0a); // ArrayValue.values
    prepend(0x2a); // AnyValue.array_value
  }
  prepend(0x2a); // LogRecord.body
  const { batch, rejected } = accepted("logs", rawLogs(memory.subarray(at), new Uint8Array(0)));
  expect([batch.items, rejected]).toEqual([1, 1]);
});

test("nesting over the limit in a resource refuses the request", () => {
  const pair = Buffer.concat([Buffer.from("0a0161", "hex"), field(0x12, deep(65))]);
  const bytes = field(0x0a, field(0x0a, field(0x0a, pair)));
  expect(indexer.index("traces", bytes, bytes.length)).toMatchObject({ refused: "malformed" });
});

test("a tape of more than 16 MiB is refused when it is four times its request", () => {
  const empty = 300_000; // 64 bytes of tape for 2 bytes of wire
  const record = new Uint8Array(0);
  const below = rawLogs(Array(200_000).fill(record));
  expect(accepted("logs", below).batch.items).toBe(200_000);
  const over = rawLogs(Array(empty).fill(record));
  expect(indexer.index("logs", over, over.length)).toMatchObject({ refused: "too_large" });
});

test("the reason names the first bad item by its place in the request, also behind one that is cut out", () => {
  const good = { timeUnixNano: "1", asInt: "1" };
  const bad = { ...good, exemplars: [{ traceId: "00ff" }] };
  const gauge = (...dataPoints: object[]) => ({ name: "m", gauge: { dataPoints } });
  const scopes = (...metrics: object[]) => ({ scopeMetrics: [{}, { metrics }] });
  const bytes = encodeRequest("metrics", {
    resourceMetrics: [scopes(gauge(good)), scopes(gauge(), gauge(good, good, bad), gauge(bad))],
  });
  const { batch, rejected, why } = accepted("metrics", bytes);
  expect([batch.items, rejected]).toEqual([3, 2]);
  expect(why).toBe(
    "resourceMetrics[1].scopeMetrics[1].metrics[1].dataPoints[2]: traceId has 2 bytes instead of 16",
  );
});

test("ids of a wrong length cost their item; empty and zero ones are absent", () => {
  const bytes = logs(
    { severityText: "fine" },
    { traceId: "0af7651916cd43dd8448eb211c8031" },
    { spanId: "b7ad6b716920333100" },
    { traceId: "", spanId: "0000000000000000", severityText: "zero" },
  );
  const { batch, rejected, why } = accepted("logs", bytes);
  expect([batch.items, rejected]).toEqual([2, 2]);
  expect(why).toBe(
    "resourceLogs[0].scopeLogs[0].logRecords[1]: traceId has 15 bytes instead of 16",
  );
  expect(batch.tape[batch.tape.length - ITEM_HEADER + Item.trace]).toBe(-1);
  expect(batch.tape[batch.tape.length - ITEM_HEADER + Item.span]).toBe(-1);
});

test("groups that do not end, field number 0 and wire types 6 and 7 cost a record, or a request where they are outside of records", () => {
  for (const byte of [0x0b, 0x0c, 0x0e, 0x0f, 0x02, 0x00, 0x9b, 0xfe]) {
    const record = Uint8Array.of(byte, 0x01, 0x01);
    expect(accepted("logs", rawLogs(record, new Uint8Array(0))).rejected, `${byte}`).toBe(1);
    expect(indexer.index("logs", record, 3), `${byte}`).toMatchObject({ refused: "malformed" });
  }
});

/** `depth` groups in each other, the innermost with a field of every other wire type. */
function groups(depth: number, number = 19): Buffer {
  const tag = (wire: number) => {
    const out = new ProtoWriter();
    out.varint(((number << 3) | wire) >>> 0);
    return Buffer.from(out.bytes.subarray(0, out.length));
  };
  const inner = Buffer.from("0801" + "110102030405060708" + "1a03616263" + "2501020304", "hex");
  return Buffer.concat([
    ...Array.from({ length: depth }, () => tag(3)),
    inner,
    ...Array.from({ length: depth }, () => tag(4)),
  ]);
}

test("groups of unknown fields are passed over at every level, as protobufjs does, and left out", () => {
  for (const depth of [1, 2, 100]) {
    const group = groups(depth);
    const value = Buffer.concat([group, Buffer.from("0a0161", "hex")]);
    const pair = Buffer.concat([Buffer.from("0a016b12", "hex"), sized(value), group]);
    const record = Buffer.concat([group, Buffer.from([0x32]), sized(pair), group]);
    const scoped = Buffer.concat([group, Buffer.from([0x12]), sized(record)]);
    const outer = Buffer.concat([Buffer.from([0x12]), sized(scoped), group]);
    const bytes = Buffer.concat([group, Buffer.from([0x0a]), sized(outer), group]);
    const { batch, rejected } = accepted("logs", bytes);
    expect([batch.items, rejected]).toEqual([1, 0]);
    expect(viewBatch(batch, indexer.keys)[0]).toMatchObject({ attributes: [["k", "text", "a"]] });
    const canonical = Buffer.from(batch.bytes.subarray(0, batch.length));
    // protobufjs gives up a little earlier.
    if (depth < 90) expect(decodeRequest("logs", canonical)).toEqual(decodeRequest("logs", bytes));
    expect(canonical.toString("hex")).not.toContain("1a03616263");
  }
});

test("groups nested too deep, of too many bytes, that end as another, or in the place of a known field cost their record", () => {
  const long = Buffer.concat([
    Buffer.from("9b01", "hex"),
    Buffer.alloc(1_100_000, "0801", "hex"),
    Buffer.from("9c01", "hex"),
  ]);
  const crossed = Buffer.from("9b01a301a4019c01", "hex");
  for (const [record, why] of [
    [groups(101), "nested deeper than 100"],
    [long, "a group of more than 1048576 bytes"],
    [crossed.subarray(0, 4), "does not end"],
    [Buffer.from("9b01a401", "hex"), "the end of group 20, which did not begin"],
    [Buffer.from("9b01", "hex"), "does not end"],
    [Buffer.from("2b2c", "hex"), "wire type 3 instead of 2"],
  ] as const) {
    const { rejected, why: said } = accepted("logs", rawLogs(record, new Uint8Array(0)));
    expect(rejected).toBe(1);
    expect(said).toContain(why);
  }
  expect(accepted("logs", rawLogs(crossed)).rejected).toBe(0);
});

test("unknown fields of every wire type are passed over at every level", () => {
  const field999 = Buffer.from("b83e01b93e0102030405060708ba3e03616263bd3e01020304", "hex");
  const value = Buffer.concat([Buffer.from("0a0161", "hex"), field999]); // AnyValue: dropped here
  const pair = Buffer.concat([Buffer.from("0a016b12", "hex"), sized(value), field999]);
  const record = Buffer.concat([Buffer.from([0x32]), sized(pair), field999]);
  const scoped = Buffer.concat([Buffer.from([0x12]), sized(record), field999]);
  const outer = Buffer.concat([Buffer.from([0x12]), sized(scoped), field999]);
  const bytes = Buffer.concat([Buffer.from([0x0a]), sized(outer), field999]);
  const { batch, rejected } = accepted("logs", bytes);
  expect([batch.items, rejected]).toEqual([1, 0]);
  expect(viewBatch(batch, indexer.keys)[0]).toMatchObject({ attributes: [["k", "text", "a"]] });
  // Kept everywhere but in values: five levels were given, four are left.
  const kept = Buffer.from(batch.bytes.subarray(0, batch.length)).toString("hex");
  expect(kept.split("ba3e03616263").length - 1).toBe(5);
});

function sized(bytes: Uint8Array): Buffer<ArrayBuffer> {
  const out = new ProtoWriter();
  out.varint(bytes.length);
  return Buffer.concat([out.bytes.subarray(0, out.length), bytes]);
}

test("indexes into a profile's strings count as absent", () => {
  const { batch } = accepted(
    "logs",
    logs({ body: { stringValueStrindex: 3 }, attributes: [{ key: "a", keyStrindex: 2 }] }),
  );
  expect(viewBatch(batch, indexer.keys)[0]).toMatchObject({
    body: ["none", undefined],
    attributes: [["a", "none", undefined]],
  });
});

test("text that is not UTF-8 is kept as it is, and replaced where the request is re-encoded", () => {
  const text = Buffer.from("1a03ff6180", "hex"); // LogRecord.severity_text
  const asIs = accepted("logs", rawLogs(text)).batch;
  expect(Buffer.from(asIs.bytes).includes(Buffer.from("ff6180", "hex"))).toBe(true);
  const merged = Buffer.concat([text, Buffer.from("2a030a01612a030a0162", "hex")]); // two bodies
  const { batch, rejected } = accepted("logs", rawLogs(merged));
  expect(rejected).toBe(0);
  expect(Buffer.from(batch.bytes).includes(Buffer.from("\ufffda\ufffd"))).toBe(true);
  expect(viewBatch(batch, indexer.keys)[0]).toMatchObject({ body: ["text", "b"] });
});

test("lengths beyond 2^31 and varints of 11 bytes are malformed, however they are spelled", () => {
  const lengths = ["ffffffff07", "8080808008", "ffffffff0f", "ffffffffffffffffff01"];
  for (const length of [...lengths, "80808080808080808001", "8080808080808080808001"]) {
    const bytes = Buffer.from(`0a${length}`, "hex");
    expect(indexer.index("logs", bytes, bytes.length), length).toMatchObject({
      refused: "malformed",
    });
  }
  const overlong = Buffer.from("0a8080808080808080800012", "hex").subarray(0, 11);
  expect(accepted("logs", overlong).batch.items).toBe(0);
});

test("split resources, and a resource behind its scopes, are merged into one in front", () => {
  const resource = (key: string) =>
    Buffer.from(
      encodeRequest("logs", { resourceLogs: [{ resource: { attributes: [{ key }] } }] }),
    ).subarray(2);
  const scopes = Buffer.from(logs({ severityText: "x" })).subarray(2);
  const content = Buffer.concat([resource("a"), scopes, resource("b")]);
  const { batch } = accepted("logs", Buffer.concat([Buffer.from([0x0a]), sized(content)]));
  expect(viewBatch(batch, indexer.keys)[0]).toMatchObject({
    resource: [
      ["a", "none", undefined],
      ["b", "none", undefined],
    ],
  });
});

test("benchmark payloads are canonical: their bytes are not copied", () => {
  const payloads = [
    ["logs", plainLogs(50)],
    ["logs", mixedLogs(50, 1)],
    ["traces", plainSpans(50)],
    ["metrics", plainMetrics(50)],
  ] as const;
  for (const [signal, bytes] of payloads) {
    const memory = new Uint8Array(bytes.length + 16);
    memory.set(bytes);
    const result = indexer.index(signal, memory, bytes.length);
    if ("refused" in result) throw new Error(result.why);
    expect(result.batch.bytes).toBe(memory);
    expect(viewBatch(result.batch, indexer.keys)).toEqual(
      viewRequest(decodeRequest(signal, bytes)),
    );
    expect(slowIndex(signal, bytes)).toMatchObject({ items: 50 });
  }
});

test("an attribute entry is where the tape's comment says", () => {
  const { batch } = accepted(
    "logs",
    logs({ attributes: [{ key: "k", value: { intValue: "-1" } }] }),
  );
  const entry = batch.tape.length - 4;
  expect((batch.tape[entry] as number) & 15).toBe(Kind.int);
  const at = batch.tape[entry + Entry.valueAt] as number;
  expect((batch.tape[entry + Entry.valueEnd] as number) - at).toBe(10);
  expect(batch.tape[entry - ITEM_HEADER + Log.bodyAt]).toBe(-1);
});

test("the key table learns up to three quarters, and refuses names beyond its capacity", () => {
  const keys = createKeys();
  const find = (name: string) => {
    const bytes = Buffer.from(name);
    const memory = new Uint8Array(bytes.length + 16);
    memory.set(bytes);
    return keys.find(memory, new DataView(memory.buffer), 0, bytes.length, 0);
  };
  for (let i = 0; i < 5000; i++) {
    const id = find(`name.${i}`);
    expect(id === 0 || keys.name(id as ReturnType<KeyTable["id"]>) === `name.${i}`).toBe(true);
  }
  expect(keys.size).toBe((KEY_CAPACITY * 3) / 4);
  expect(find("k".repeat(257))).toBe(0);
  let asked = 0;
  for (; keys.size < KEY_CAPACITY; asked++)
    expect(find(keys.name(keys.id(`asked.${asked}`)))).toBeGreaterThan(0);
  expect(() => keys.id("one.more")).toThrow("already knows 4096 names");
  expect(keys.name(keys.id("asked.0"))).toBe("asked.0");
});

test("attributes whose names the table did not take are found by name", () => {
  const full = createKeys();
  const small = createIndexer(full);
  for (let i = 0; full.size < (KEY_CAPACITY * 3) / 4; i++) full.id(`filler.${i}`);
  const bytes = logs({ attributes: [{ key: "late", value: { stringValue: "here" } }] });
  const result = small.index("logs", bytes, bytes.length);
  if ("refused" in result) throw new Error(result.why);
  expect((result.batch.tape.at(-4) as number) >>> 4).toBe(0);
  const { items } = result.batch.draft();
  items.first();
  const slot = items.attribute(full.id("late"));
  expect([items.name(slot), items.text(slot)]).toEqual(["late", "here"]);
});

test("every tag that a decoder spells is the one of its field", () => {
  const folder = new URL("../../src/otlp/", import.meta.url);
  const tags = TAGS as Readonly<Record<string, Readonly<Record<string, number>>>>;
  let checked = 0;
  for (const file of readdirSync(folder).filter((name) => /^(index-|scan|values)/.test(name)))
    for (const [, tag, message, field] of readFileSync(new URL(file, folder), "utf8").matchAll(
      /0x([0-9a-f]{2})\b[^/\n]*\/\/ (\w+)\.(\w+)$/gm,
    )) {
      const known = tags[message as string]?.[field as string];
      if (known === undefined) continue;
      expect(known & 0xff, `${file}: ${message}.${field}`).toBe(Number.parseInt(tag as string, 16));
      checked++;
    }
  expect(checked).toBeGreaterThan(60);
});
