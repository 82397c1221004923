import { ExtData, encode } from "@msgpack/msgpack";
import { expect, test } from "vitest";
import { EventEntry } from "../../../src/series/records/event-entry.ts";
import { RecordDoor } from "../../../src/series/records/record-door.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { decodeRequest } from "../../support/otlp.ts";

const EVENT_TIME = new ExtData(0, Uint8Array.of(0x6b, 1, 0x37, 0x4c, 0x21, 0xe1, 0xb9, 0xca));
const entry = new EventEntry();

function memory(value: unknown) {
  const content = encode(value, { useBigInt64: true });
  const bytes = withSlack(Uint8Array.from(content));
  return { bytes, view: new DataView(bytes.buffer), length: content.length };
}

function read(
  value: unknown,
): readonly [time: bigint, recordAt: number, metadataAt: number] | undefined {
  const { bytes, view, length } = memory(value);
  if (!entry.read(bytes, view, 0, length)) return undefined;
  const time = (BigInt(entry.high) << 32n) | BigInt(entry.low >>> 0);
  return [time, entry.recordAt, entry.metadataAt];
}

test.each([
  ["seconds", [1_705_314_600, {}], [1_705_314_600_000_000_000n, 6, -1]],
  ["seconds above 32 bits of sign", [3_000_000_000, {}], [3_000_000_000_000_000_000n, 6, -1]],
  ["seconds with a fraction", [1_705_314_600.5, {}], [1_705_314_600_500_000_000n, 10, -1]],
  ["EventTime", [EVENT_TIME, {}], [1_795_241_804_568_441_290n, 11, -1]],
  ["time and metadata", [[EVENT_TIME, { a: 1 }], {}], [1_795_241_804_568_441_290n, 16, 12]],
  ["no time", [null, {}], [0n, 2, -1]],
  ["a time that no 64 bits hold", [99_999_999_999, {}], [0n, 10, -1]],
  ["a double that no 64 bits hold", [1e300, {}], [0n, 10, -1]],
])("%s", (_, value, expected) => {
  expect(read(value)).toEqual(expected);
});

test.each([
  [[{}, {}]],
  [[1]],
  [[1, {}, {}]],
  [["1705314600", {}]],
  [[1, []]],
  [[[1], {}]],
  [[[1, []], {}]],
  [{}],
  [[new ExtData(1, new Uint8Array(8)), {}]],
])("%j is no entry", (value) => {
  expect(read(value)).toBeUndefined();
});

test("an entry that is cut off anywhere before its record's map is none", () => {
  const { bytes, view } = memory([[EVENT_TIME, { a: 1 }], { b: 2 }]);
  for (let to = 0; to < 16; to++) expect(entry.read(bytes, view, 0, to)).toBe(false);
  expect(entry.read(bytes, view, 0, 17)).toBe(true);
});

test("metadata becomes one attribute, when there is any; one that is nested too deep costs the record", () => {
  const nest = (depth: number): unknown => (depth === 0 ? 1 : [nest(depth - 1)]);
  const door = new RecordDoor();
  for (const [metadata, isGood] of [
    [{}, true],
    [{ a: { b: 1 } }, true],
    [{ a: nest(70) }, false],
  ] as const) {
    const { bytes, view, length } = memory([[1, metadata], { c: 1 }]);
    expect(entry.read(bytes, view, 0, length)).toBe(true);
    const end = door.msgpack(bytes, view, entry.recordAt, length, entry.metadataAt);
    expect(end).toBe(isGood ? length : -1);
  }
  expect(door.problem).toContain("64 deep");
  const { bytes, length } = door.finish();
  const text = JSON.stringify(decodeRequest("logs", bytes.subarray(0, length)));
  expect(text.match(/fluent.metadata/g)?.length).toBe(1);
  expect(text).toContain(JSON.stringify('{"a":{"b":1}}').slice(1, -1).replaceAll("\\", "\\"));
});
