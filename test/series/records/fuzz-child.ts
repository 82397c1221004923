import { Decoder } from "@msgpack/msgpack";
import { createIndexer } from "../../../src/otlp/indexing.ts";
import { RecordDoor } from "../../../src/series/records/record-door.ts";
import { MsgpackScan } from "../../../src/wire/msgpack-scan.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import { expectText } from "../../support/otlp-text.ts";
import { damagedCopy, seeded } from "../../support/seeded.ts";
import { anyObject, jsonOf, msgpackOf } from "./nodes.ts";

/**
 * Child process: damaged records, `rounds` times. What JSON.parse and @msgpack/msgpack take is taken, all else is not; what is taken is fit
 * for the pipelines; the memory of the sender stays as it was.
 */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const door = new RecordDoor();
const indexer = createIndexer();
const scan = new MsgpackScan();
const oracle = new Decoder({
  useBigInt64: true,
  rawStrings: true,
  mapKeyConverter: () => random(1_000_000_000),
});
const PARTS = [
  '"',
  "{",
  "}",
  "[",
  "\\",
  "\\ud800",
  "\u0000",
  ",",
  ":",
  "1e999",
  "\n",
  "-",
  "null",
  "\xff",
];
door.arrive(1_800_000_000_000);

function isObject(text: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(
      Buffer.from(text)
        .toString("utf8")
        .replace(/^\ufeff/, "x"),
    );
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function isMap(content: Uint8Array): boolean {
  if ((content[0] ?? 0) >>> 4 !== 8 && (content[0] ?? 0) >>> 1 !== 0x6f) return false;
  try {
    oracle.decode(content);
    return true;
  } catch (error) {
    // The oracle's own limits are not ours.
    return /key "__proto__"|The key/.test(String(error));
  }
}

for (let round = 0; round < rounds; round++) {
  const node = anyObject(random);
  let text = jsonOf(node);
  for (let i = random(3); i > 0; i--) {
    const at = random(text.length + 1);
    text = text.slice(0, at) + PARTS[random(PARTS.length)] + text.slice(at + random(3));
  }
  const isJson = random(2) === 0;
  const good = isJson ? Buffer.from(text) : msgpackOf(node);
  const content = random(3) === 0 ? damagedCopy(good, random) : good;
  const length = random(5) === 0 ? random(content.length + 1) : content.length;
  const roomy = withSlack(Uint8Array.from(content));
  const before = Buffer.from(roomy);
  const view = new DataView(roomy.buffer);
  const end = isJson ? door.json(roomy, view, 0, length) : door.msgpack(roomy, view, 0, length);
  const said = `${isJson ? "JSON" : "MessagePack"} ${before.subarray(0, length).toString("base64")}`;
  if (!before.equals(roomy)) throw new Error(`the memory was changed: ${said}`);
  if (end > length) throw new Error(`read behind the end: ${said}`);
  const isWhole = end >= 0 && before.subarray(end, length).toString("latin1").trim() === "";
  const part = content.subarray(0, length);
  const isGood = isJson ? isObject(part) : isMap(part);
  if (isGood !== (isJson ? isWhole : end === length))
    throw new Error(`${end} where the oracle says ${isGood}: ${said} ${door.problem}`);
  const { bytes, length: size, items } = door.finish();
  if (items !== (end < 0 ? 0 : 1)) throw new Error(`${items} items: ${said}`);
  expectText("logs", bytes.subarray(0, size));
  const indexed = indexer.index("logs", bytes, size);
  if ("refused" in indexed || indexed.rejected > 0 || indexed.batch.items !== items)
    throw new Error(`not fit for the pipelines: ${said}`);
  inParts(roomy, view, length);
}
process.stdout.write(`${rounds} rounds\n`);

/** A value that arrives in parts ends where it ends when it is all there. */
function inParts(bytes: Uint8Array, view: DataView, length: number): void {
  scan.begin(bytes, view, length);
  const whole = scan.skip(0);
  let p = 0;
  scan.missing = 1;
  for (let end = 0; end <= length && p >= 0 && scan.missing > 0; end += 1 + random(20)) {
    scan.begin(bytes, view, Math.min(end, length));
    p = scan.skipSome(p);
  }
  scan.begin(bytes, view, length);
  if (p >= 0) p = scan.skipSome(p);
  if ((p >= 0 && scan.missing === 0 ? p : -1) !== whole) throw new Error(`${p}, not ${whole}`);
}
