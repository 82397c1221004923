/**
 * Runs in a child process of its own, so that a hang is killed and not waited for: damages OTLP/JSON and compares the reader with its slow
 * twin. Arguments: seed, rounds. Prints one JSON line.
 */
import fc from "fast-check";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { JsonReader } from "../../src/otlp/read-json.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { SLACK } from "../../src/wire/slack.ts";
import { anyForm, seeded } from "./json-forms.ts";
import { arbitraryRequest } from "./requests.ts";
import { hasRepeatedNames, isSame, slowRead } from "./slow-json.ts";

const PIECES = [
  ...[
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-",
    "1e3",
    "1.5",
    "0",
    "99999999999999999999",
  ],
  ...[
    '"x"',
    "{}",
    "[]",
    "\\u12",
    "\\ud800",
    "\u0000",
    "\t",
    "é",
    '"value":',
    '"stringValue":""',
    '"NaN"',
  ],
];
const [seed = 1, rounds = 200] = process.argv.slice(2).map(Number);
const below = seeded(seed);
/** Its windows are so small that most values do not fit. */
const reader = new JsonReader(40);
const indexer = createIndexer();
const tally = { accepted: 0, cut: 0, refused: 0, repeated: 0, repaired: 0 };
const failures: unknown[] = [];

for (const { signal, request } of fc.sample(arbitraryRequest, { seed, numRuns: rounds })) {
  const whole = Buffer.from(anyForm(signal, request, below));
  for (let i = 0; i < 15; i++) await compare(signal, damage(whole));
  if (whole.length < 500)
    for (let cut = 0; cut < whole.length; cut++) await compare(signal, whole.subarray(0, cut));
  if (failures.length > 5) break;
}
console.log(JSON.stringify({ tally, failures }));

function damage(whole: Uint8Array): Uint8Array {
  let bytes = Buffer.from(whole);
  for (let n = 1 + below(2); n > 0; n--) {
    const at = below(bytes.length + 1);
    const kind = below(6);
    const piece = Buffer.from(PIECES[below(PIECES.length)] as string);
    if (kind === 0) bytes[at] = below(256);
    else if (kind === 1) bytes.copyWithin(below(bytes.length), at, at + 1 + below(40));
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    else if (kind === 3) bytes = repeated(bytes);
    else bytes = swapped(bytes, piece);
  }
  return bytes;
}

/** Puts `piece` in the place of some value, so that the text stays JSON more often than not. */
function swapped(bytes: Buffer, piece: Buffer): Buffer<ArrayBuffer> {
  const text = bytes.toString("latin1");
  const values = [
    ...text.matchAll(/(?<=[:,[])(?:"[^"\\]*"|-?\d[\d.]*|true|false|\{\}|\[\])(?=[,}\]])/g),
  ];
  const value = values[below(values.length)];
  if (value === undefined) return Buffer.from(bytes);
  const stop = value.index + value[0].length;
  return Buffer.concat([bytes.subarray(0, value.index), piece, bytes.subarray(stop)]);
}

/** Puts a member of some object in again. */
function repeated(bytes: Buffer): Buffer<ArrayBuffer> {
  const text = bytes.toString("latin1");
  const members = [...text.matchAll(/"\w+":(?:"[^"\\]*"|-?\d[\d.]*|true|false)(?=[,}])/g)];
  const member = members[below(members.length)];
  if (member === undefined) return Buffer.from(bytes);
  return Buffer.from(
    `${text.slice(0, member.index)}${member[0]},${text.slice(member.index)}`,
    "latin1",
  );
}

async function compare(signal: Signal, content: Uint8Array): Promise<void> {
  // Behind the text: what would look like more of it to whoever reads too far.
  const memory = new Uint8Array(content.length + SLACK).fill(below(2) ? 0x22 : 0x5d);
  memory.set(content);
  const fail = (why: string) =>
    failures.push({ why, signal, text: Buffer.from(content).toString() });
  try {
    const slow = slowRead(signal, content);
    const fast = reader.read(signal, memory, content.length);
    const sliced = await reader.readSlowly(signal, memory, content.length, { grow: () => true });
    const isRepaired = !Buffer.from(Buffer.from(content).toString()).equals(content);
    if (isRepaired) tally.repaired++;
    if ("refused" in fast || "refused" in sliced) {
      tally.refused++;
      if (!("refused" in fast && "refused" in sliced)) return void fail("refused one way only");
      if (fast.why !== sliced.why) fail(`${fast.why} or ${sliced.why}`);
      if (!/ byte \d+|must /.test(fast.why)) fail(`no place: ${fast.why}`);
      if (slow !== "malformed" && !isRepeated(content)) fail(`refused: ${fast.why}`);
      return;
    }
    if (slow === "malformed") {
      if (!isRepeated(content)) fail("accepted");
      return;
    }
    const written = Buffer.from(fast.bytes.subarray(0, fast.length));
    if (!written.equals(sliced.bytes.subarray(0, sliced.length))) fail("other bytes in slices");
    const indexed = indexer.index(signal, fast.bytes, fast.length);
    if (!("batch" in indexed) || indexed.batch.bytes !== fast.bytes || indexed.rejected > 0)
      return void fail("not canonical");
    if (isRepeated(content)) return void tally.repeated++;
    tally.accepted++;
    if (fast.rejected > 0) tally.cut++;
    if (fast.rejected !== slow.rejected || !fast.why.startsWith(slow.where))
      return void fail(
        `${fast.rejected} rejected, ${fast.why}; not ${slow.rejected}, ${slow.where}`,
      );
    if (!isSame(signal, written, slow)) fail("other bytes");
  } catch (error) {
    fail(error instanceof Error ? `${error.stack}` : String(error));
  }
}

function isRepeated(content: Uint8Array): boolean {
  try {
    return hasRepeatedNames(Buffer.from(content).toString());
  } catch {
    return false;
  }
}
