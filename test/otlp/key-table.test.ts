import fc from "fast-check";
import { expect, test } from "vitest";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { createKeys, KeyTable, SHORT_NAME } from "../../src/otlp/key-table.ts";
import type { KeyId } from "../../src/otlp/keys.ts";

/** A KeyValue with a text, a small int, a bool or a double. */
function attribute(key: Uint8Array, kind: number): Buffer {
  const values = ["0a0176", "1805", "18ac02", "1001", "21000000000000f03f"];
  const value = Buffer.from(values[kind % values.length] as string, "hex");
  return sized(0x32, Buffer.concat([sized(0x0a, key), sized(0x12, value)]));
}

function sized(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
  return Buffer.concat([Uint8Array.from([tag, ...size]), content]);
}

/** The keys that the tape names, or where it names none, those at the entries' positions. */
function keysOf(bytes: Uint8Array, indexer: ReturnType<typeof createIndexer>): Buffer[] {
  const indexed = indexer.index("logs", bytes, bytes.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const { tape, bytes: memory } = indexed.batch;
  const found: Buffer[] = [];
  let at = tape.length - 4;
  // One record: its entries are the last nodes of the tape.
  for (; at > 18 + 15; at -= 4) {
    const id = (tape[at] as number) >>> 4;
    const from = (tape[at + 1] as number) + 2;
    const length = memory[from - 1] as number;
    const own = Buffer.from(memory.subarray(from, from + length));
    found.unshift(id === 0 ? own : Buffer.from(indexer.keys.name(id as KeyId)));
    if (id !== 0) expect(indexer.keys.name(id as KeyId)).toBe(own.toString());
  }
  return found;
}

function request(keys: readonly Uint8Array[]): Buffer {
  const record = Buffer.concat(keys.map((key, i) => attribute(key, i)));
  return sized(0x0a, sized(0x12, sized(0x12, record)));
}

test("names that differ in one byte, in any place and at any length, are told apart wherever they are expected", () => {
  for (let length = 1; length <= SHORT_NAME + 8; length++)
    for (const other of [0x00, 0x80, 0x62, 0x7f]) {
      const indexer = createIndexer();
      const usual = Buffer.alloc(length, 0x61);
      for (let round = 0; round < 3; round++) keysOf(request([usual, usual]), indexer);
      for (let at = 0; at < length; at++) {
        const key = Buffer.from(usual);
        key[at] = other;
        const isText = other !== 0x80;
        const [first, second] = keysOf(request([usual, isText ? key : usual]), indexer);
        expect([first, second]).toEqual([usual, isText ? key : usual]);
      }
    }
});

test("keys in any order and with any bytes are found, with a table of any age", () => {
  const name = fc.oneof(
    fc.string({ unit: "binary", maxLength: 30 }),
    fc.constantFrom("", "a", "\0\0\0\0\0\0\0\0", "\0\0\0\0\0\0\0\u0080", "status", "url.path"),
    fc.string({ unit: fc.constantFrom("\0", "a"), minLength: 5, maxLength: 40 }),
  );
  const indexer = createIndexer();
  fc.assert(
    fc.property(fc.array(name, { maxLength: 3 }), (names) => {
      const keys = names.map((text) => Buffer.from(text)).filter(({ length }) => length < 60);
      const bytes = request(keys);
      for (let round = 0; round < 2; round++)
        expect(keysOf(bytes, indexer).map(String)).toEqual(keys.map(String));
    }),
    { numRuns: 1_000, seed: 5 },
  );
});

test("an order that was seen once does not displace the usual one; two equal surprises do", () => {
  const keys = createKeys();
  const [a, b, c] = ["first.key", "second.key", "third.key"].map((name) => keys.id(name)) as [
    KeyId,
    KeyId,
    KeyId,
  ];
  const find = (name: string, before: KeyId) => {
    const memory = Buffer.concat([Buffer.from(name), Buffer.alloc(16)]);
    const bytes = Uint8Array.from(memory);
    return keys.find(bytes, new DataView(bytes.buffer), 0, name.length, before);
  };
  const expected = () => keys.rows.getInt32(a * 64, true);
  expect(find("second.key", a)).toBe(b);
  expect(expected()).toBe(b);
  find("third.key", a);
  expect(expected()).toBe(b);
  find("third.key", a);
  expect(expected()).toBe(c);
});

test("names that collide cost look-ups a bounded number of steps, and are not taken when there is no room near", () => {
  const keys = new KeyTable(1);
  let refused = 0;
  for (let i = 0; i < 3_000; i++) {
    // Differences of the highest bits cancel in pairs of words.
    const text = `aaa${i & 1 ? "\u00e1" : "b"}${i}`;
    const memory = new Uint8Array(text.length + 40);
    const { written } = new TextEncoder().encodeInto(text, memory);
    const id = keys.find(memory, new DataView(memory.buffer), 0, written, 0);
    if (id === 0) refused++;
    else expect(keys.name(id as KeyId)).toBe(text);
  }
  expect(refused).toBeLessThan(30);
});

test("words that are equal as numbers, but not in their bytes, are not equal names", () => {
  const indexer = createIndexer();
  const name = (last: number) =>
    Buffer.concat([
      Buffer.from("abcdef"),
      Buffer.alloc(7),
      Buffer.of(last),
      Buffer.from("x".repeat(12)),
    ]);
  for (let round = 0; round < 3; round++) keysOf(request([name(0), name(0)]), indexer);
  const bytes = request([name(0), name(0x80)]);
  const indexed = indexer.index("logs", bytes, bytes.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const { tape } = indexed.batch;
  expect((tape.at(-4) as number) >>> 4).not.toBe((tape.at(-8) as number) >>> 4);
});

test("a name that is only sought cannot occur until it is met on the wire, or somebody else asks for it", () => {
  const indexer = createIndexer();
  const keys = indexer.keys;
  const [met, asked, never] = ["met.key", "asked.key", "never.key"].map((name) => keys.seek(name));
  for (const id of [met, asked, never]) expect(keys.mayOccur(id as KeyId)).toBe(false);
  keysOf(request([Buffer.from("some.key"), Buffer.from("met.key")]), indexer);
  expect(keys.id("asked.key")).toBe(asked);
  expect(keys.mayOccur(met as KeyId)).toBe(true);
  expect(keys.mayOccur(asked as KeyId)).toBe(true);
  expect(keys.mayOccur(never as KeyId)).toBe(false);
  expect(keys.seek("met.key")).toBe(met);
  expect(keys.mayOccur(met as KeyId)).toBe(true);
});
