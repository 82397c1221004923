import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { type Point, readPoints } from "../line/points.ts";
import { lineDoor } from "../support/line-door.ts";
import { batchOf, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";

/**
 * Lines → OTLP → lines gives equal points for undeclared measurements with legal names under `identity: exact`. The OTLP request is taken
 * as it is, and as another program writes it after it has decoded it, as a Collector between two Weirs does.
 */
const ARRIVAL_MS = 1_732_000_000_123;
const tables = shippedTables();
const declared = new Set(tables.map(({ measurement }) => measurement));
// The reader's own dialect: it reads `\\` in names as two characters.
const throughDoor = lineDoor(tables, "ns");
const writer = compileLineWriter({ signal: "logs", tables, keys: indexer.keys, dialect: "v2" });

function hop(text: string | Uint8Array, isForeign: boolean): Point[] {
  const bytes = throughDoor(text, ARRIVAL_MS);
  const sent = isForeign ? encodeRequest("logs", decodeRequest("logs", bytes)) : bytes;
  const { text: lines } = writeAll(writer, rangeOf([batchOf(sent)], ARRIVAL_MS));
  return goodOf(Buffer.from(lines));
}

const goodOf = (bytes: Uint8Array) =>
  readPoints(bytes).filter((line): line is Point => !("problem" in line));

/** What the property is not about: declared tables, names that no server keeps, names twice, lists (they become JSON text). */
function isPlain({ measurement, tags, fields }: Point): boolean {
  const names = [...tags, ...fields].map(([name]) => name);
  const texts = [...names, ...tags.map(([, value]) => value)];
  return (
    !declared.has(measurement) &&
    !/[\p{Cc}]|^#|\\$/u.test(measurement) &&
    new Set(names).size === names.length &&
    !names.some((name) =>
      ["time", "weir.tags", "weir.uint", "trace_id", "span_id"].includes(name),
    ) &&
    !texts.some((text) => /\p{Cc}|\\$/u.test(text)) &&
    !fields.some(([, value]) => "list" in value)
  );
}

const timed = ({ time, ...rest }: Point) => ({
  ...rest,
  time: time === undefined || time === 0n ? BigInt(ARRIVAL_MS) * 1_000_000n : time,
});

test.each([
  ["as it is", false],
  ["decoded and encoded by another program", true],
])("every point of the Go corpus comes back equal, %s", (_name, isForeign) => {
  const texts = readFileSync(
    new URL("../fixtures/line-protocol/corpus.jsonl", import.meta.url),
    "utf8",
  )
    .trimEnd()
    .split("\n")
    .map(
      (line) => (JSON.parse(line) as { input: { text?: string | { binary: string } } }).input.text,
    )
    .filter((text) => text !== undefined)
    .map((text) =>
      typeof text === "string" ? Buffer.from(text) : Buffer.from(text.binary, "base64"),
    );
  let points = 0;
  for (const text of texts) {
    const wanted = goodOf(text);
    if (!wanted.every(isPlain) || /^\s*[{[]/.test(text.toString())) continue;
    points += wanted.length;
    expect(hop(text, isForeign)).toEqual(wanted.map(timed));
  }
  console.log(`points of the Go corpus that come back equal, ${_name}: ${points}`);
  expect(points).toBeGreaterThan(250);
});

const name = fc
  .array(fc.constantFrom(..."abcxyz_.-ä😀#{", "\\ ", "\\,", "\\=", "\\x"), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => `n${parts.join("")}`);
const literal = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => `${n}i`),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => `${n}u`),
  fc.constantFrom("t", "FALSE", '""'),
  fc
    .string({ unit: "binary", maxLength: 40 })
    .map((s) => `"${s.toWellFormed().replaceAll(/["\\]/g, "\\$&")}"`),
);
const line = fc
  .tuple(
    name,
    fc.uniqueArray(fc.tuple(name, name, fc.constant(true)), {
      maxLength: 4,
      selector: ([key]) => key,
    }),
    fc.uniqueArray(fc.tuple(name, literal), {
      minLength: 1,
      maxLength: 6,
      selector: ([key]) => key,
    }),
    fc.bigInt({ min: -(2n ** 63n) + 2n, max: 2n ** 63n - 2n }).filter((t) => t !== 0n),
  )
  .map(([measurement, tags, fields, time]) => {
    const tagTexts = tags.map(([key, value]) => `,${key}=${value}`).join("");
    return `${measurement}${tagTexts} ${fields.map(([key, value]) => `f${key}=${value}`).join()} ${time}`;
  });

test("generated points come back equal", () => {
  const lines = fc
    .array(line, { minLength: 1, maxLength: 6 })
    .chain((all) => fc.array(fc.constantFrom(...all), { minLength: 1, maxLength: 12 }));
  fc.assert(
    fc.property(lines, fc.boolean(), (all, isForeign) => {
      const text = Buffer.from(all.join("\n"));
      expect(hop(text, isForeign)).toEqual(goodOf(text));
      expect(goodOf(text)).toHaveLength(all.length);
    }),
    { numRuns: Number(process.env["WEIR_FUZZ"] ?? 400) },
  );
});
