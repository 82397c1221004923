import type { Body } from "../../src/kit/server/compression.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { recordsOf } from "../../src/receivers/http_logs/bodies.ts";
import { realCoding } from "../../src/receivers/http_logs/coding.ts";
import { RecordDoor } from "../../src/series/records/record-door.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { anyObject, jsonOf, msgpackOf } from "../series/records/nodes.ts";
import { expectText } from "./otlp-text.ts";
import { damagedCopy, seeded } from "./seeded.ts";

/**
 * Child process: bodies of several records in every format, some damaged, `rounds` times. Each ends, in steps of any size with the same
 * result; what is taken is fit for the pipelines; without damage all is taken.
 */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const door = new RecordDoor();
const indexer = createIndexer();
const PARTS = [
  '"',
  "{",
  "}",
  "[",
  "]",
  "\n",
  ",",
  "&",
  "=",
  "%",
  "\\",
  "\u0000",
  "json=",
  "null",
  "1",
];
door.arrive(1_800_000_000_000);

type Format = (records: readonly ReturnType<typeof anyObject>[]) => Uint8Array;
const FORMATS: readonly Format[] = [
  (records) => Buffer.from(records.map(jsonOf).join("\n")),
  (records) => Buffer.from(records.map(jsonOf).join("")),
  (records) => Buffer.from(`[${records.map(jsonOf).join(",\n")}]`),
  (records) => Buffer.from(`ndjson=${encodeURIComponent(records.map(jsonOf).join("\n"))}&a=b`),
  (records) => Buffer.concat(records.map((node) => msgpackOf(node))),
  (records) =>
    Buffer.concat([
      Uint8Array.of(0x90 | records.length),
      ...records.map((node) => msgpackOf(node)),
    ]),
  (records) =>
    Buffer.concat(records.flatMap((record) => [Uint8Array.of(0x92, 7), msgpackOf(record)])),
];

function read(content: Uint8Array, step: number): readonly [items: number, bad: number] {
  const length = content.length;
  const body: Body = { bytes: withSlack(Uint8Array.from(content)), length };
  const source = recordsOf(body, { low: 0, high: 0 });
  for (let turns = 0; source.fill(door, step); turns++)
    if (turns > length + 10)
      throw new Error(`it does not end: ${Buffer.from(content).toString("base64")}`);
  const { bytes, length: size, items } = door.finish();
  expectText("logs", bytes.subarray(0, size));
  const indexed = indexer.index("logs", bytes, size);
  if ("refused" in indexed || indexed.rejected > 0 || indexed.batch.items !== items)
    throw new Error(`not fit for the pipelines: ${Buffer.from(content).toString("base64")}`);
  return [items, source.bad];
}

for (let round = 0; round < rounds; round++) {
  const format = random(FORMATS.length);
  const records = Array.from({ length: 1 + random(6) }, () => anyObject(random));
  const good = (FORMATS[format] as Format)(records);
  const [items, bad] = read(good, 1 + random(100));
  if (items !== records.length || bad !== 0)
    throw new Error(`${items} of ${records.length}, ${bad} bad: ${Buffer.from(good).toString()}`);
  let damaged = damagedCopy(good, random);
  if (format < 4) {
    const text = Buffer.from(good).toString("latin1");
    const at = random(text.length);
    damaged = Buffer.from(
      text.slice(0, at) + PARTS[random(PARTS.length)] + text.slice(at + random(3)),
      "latin1",
    );
  }
  const content = random(4) === 0 ? damaged.subarray(0, random(damaged.length + 1)) : damaged;
  const whole = read(content, Number.POSITIVE_INFINITY);
  const parts = read(content, 1 + random(20));
  if (whole.join() !== parts.join())
    throw new Error(`${whole}, not ${parts}: ${Buffer.from(content).toString("base64")}`);
  realCoding({ bytes: withSlack(Uint8Array.from(content)), length: content.length }, "br");
}
process.stdout.write(`${rounds} rounds\n`);
