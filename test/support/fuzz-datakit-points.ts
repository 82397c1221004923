import { Problem } from "../../src/line/problems.ts";
import { LineReader } from "../../src/line/reader.ts";
import { readerOf } from "../../src/receivers/datakit/point-sources.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { anyOf, encodePoints } from "./datakit-proto.ts";
import { damagedCopy, seeded } from "./seeded.ts";

/** Damaged points, `rounds` times: whatever the bytes are, nothing is thrown and every line is one that a reader takes, or is too odd for it. */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const FIELDS = [
  { key: "s", s: 'a "b"\n' },
  { key: "i", i: "-12345678901234567" },
  { key: "u", u: "18446744073709551615" },
  { key: "f", f: 1.5e-7 },
  { key: "b", b: true },
  { key: "d", d: "aGVsbG8=" },
];
const nested = (wrap: typeof anyOf) => [
  { key: "l", a: wrap("Array", { arr: [{ i: "1" }, { s: "x" }, { f: 0.5 }] }) },
  { key: "m", a: wrap("Map", { map: { k: { b: true } } }) },
];
const points = (wrap: typeof anyOf, tag: object) =>
  Array.from({ length: 3 }, (_, i) => ({
    name: `m${i}`,
    fields: [...FIELDS, { key: "t", s: "v", ...tag }, ...nested(wrap)],
    time: "1709523668830398000",
  }));
const protobuf = encodePoints(points(anyOf, { isTag: true }));
const json = Buffer.from(
  JSON.stringify([
    ...points((_kind, content) => content, { is_tag: true }),
    { measurement: "simple", tags: { t: 1 }, fields: { v: [1, { a: null }] }, time: 5 },
  ]),
);
/** Values of JSON where others are expected. */
const WRONG = ["null", "5", '"x"', "{}", "[]", "true", "[[]]", '{"a":{}}', "1e999", '"\\ud800"'];

function wrongJson(): Uint8Array {
  const text = json.toString();
  const places = [...text.matchAll(/(?<=:)("[^"]*"|-?[\d.e-]+|true|false)/g)];
  const place = places[random(places.length)];
  if (place === undefined) return json;
  const end = place.index + place[0].length;
  return Buffer.from(text.slice(0, place.index) + WRONG[random(WRONG.length)] + text.slice(end));
}

const reader = new LineReader();
for (let round = 0; round < rounds; round++) {
  const isJson = random(2) === 0;
  const base = isJson ? (random(2) === 0 ? wrongJson() : json) : protobuf;
  const damaged = random(3) === 0 ? base : damagedCopy(base, random);
  const length = random(4) === 0 ? random(damaged.length + 1) : damaged.length;
  const body = { bytes: withSlack(Uint8Array.from(damaged)), length };
  const source = readerOf(isJson ? "json" : "protobuf", body);
  for (let isMore = true; isMore; ) {
    isMore = source.readSome(1 + random(200));
    reader.reset(source.bytes, source.view, 0, source.length);
    while (reader.next()) {
      const { problem } = reader;
      const isOdd = problem === Problem.duplicateTag || problem === Problem.range;
      if (problem !== Problem.none && !isOdd)
        throw new Error(
          `problem ${problem} in ${JSON.stringify(Buffer.from(source.bytes.subarray(reader.lineAt, source.length)).toString())}`,
        );
    }
  }
}
console.log(`${rounds} rounds`);
