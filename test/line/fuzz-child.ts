import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { LineReader } from "../../src/line/reader.ts";
import { seeded } from "../support/seeded.ts";
import { readPoints } from "./points.ts";
import { readSlowly } from "./slow-reader.ts";

/** Compares the two readers over `count` seeded inputs; prints the first difference and ends with 1. */

const [seedText, countText, corpusFile] = process.argv.slice(2);
const random = seeded(Number(seedText));
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;

const PIECES = [
  ...' ,="\\\n\r#[]-+.eEiutf0123456789abx\t\0\x7f',
  ...[
    "ä",
    "😀",
    "\u00ff",
    "\\\\",
    '\\"',
    "\\,",
    "\\ ",
    "\\=",
    "\r\n",
    '="',
    '",',
    '" ',
    '"\n',
    '"b,',
    "=[",
  ],
  ...[
    "m,t=v f=1",
    " v=1i 10",
    ",a=b",
    "true",
    "FALSE",
    "1e400",
    "9223372036854775807i",
    "18446744073709551616u",
  ],
  ...[
    's="a\nb v=1\nc"',
    '[1i, 2.5,"x"]',
    "-9223372036854775808",
    "NaN",
    "[]",
    '["a\nb"]',
    "[1",
    '\nm s="',
  ],
];
const corpus = readFileSync(corpusFile ?? "", "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line))
  .filter(({ kind }) => kind === "decode")
  .map(({ input: { text } }) =>
    typeof text === "string" ? Buffer.from(text) : Buffer.from(text.binary, "base64"),
  );

function input(): Buffer {
  if (random(3) === 0) {
    const bytes = Buffer.from(pick(corpus).subarray(0, 400));
    for (let i = random(4); i > 0 && bytes.length > 0; i--)
      bytes[random(bytes.length)] = random(2) === 0 ? random(256) : pick(PIECES).charCodeAt(0);
    return bytes;
  }
  if (random(3) === 0) return knownLines();
  const start = random(2) === 0 ? "m,a=b v=1,s=" : "";
  return Buffer.from(start + Array.from({ length: random(25) }, () => pick(PIECES)).join(""));
}

const NAMES = ["a", "b", "ab", "abc", "abcd", "abcdefghi", "a_longer_key_name", "ä", "a\\ b", "v="];
const TAGS = [
  "v",
  "w\\,",
  "0123456789abcdef",
  "é",
  "",
  "a b",
  "x\\y",
  "x=y",
  "\x7f",
  "0-1.2/3+(4)",
];
const FIELDS = [
  ...["1i", "12345678i", "1234567890i", "-5i", "0u", "1.5", "t", "7", "i", "[1i]", "1 2", ""],
  ...['"s"', '"a\\"b"', '"a long text, = of words"', '"a\nb"', '"é"', '"x"b', '"x"y', '"open'],
];
const TIMES = [
  ...["", " ", " 5", " 5 ", " 1705314600000000000", " 1705314600000000000\r", "\r", "  7"],
  ...[" 1705314600999999999", " 170531460099999999x", " 9223372036854775807"],
  ...[" 9223372036854775808", " 0000000000000000001", " -170531460000000000"],
  ...[" 4294967296000000000", " 4294967295999999999", " x", " 17053146000000000001", " 1 2"],
];

const SEPARATORS = [",", " ", "=", ",,", "  ", ", ", '"', "\\,", "\n"];

/** Lines whose names repeat those of lines before, or nearly so: most of them are usual ones. */
function knownLines(): Buffer {
  const keys = (most: number) => {
    const names = Array.from({ length: random(most) }, () => pick(NAMES));
    return random(8) === 0 ? names : [...new Set(names)];
  };
  const shape = () => ({
    measurement: pick(["m", "mm", "metric", "measurement", "m=n"]),
    tags: keys(4),
    fields: keys(5),
  });
  const isNear = random(2) === 0;
  let { measurement, tags, fields } = shape();
  const pairs = (names: readonly string[], values: readonly string[]) =>
    names.map((name) => `${name}=${isNear ? values[0] : pick(values)}`);
  const lines = Array.from({ length: 1 + random(6) }, () => {
    if (random(3) === 0) ({ measurement, tags, fields } = shape());
    const head = [measurement, ...pairs(tags, TAGS)].join();
    const line = `${head} ${pairs(fields, FIELDS).join()}${pick(TIMES)}`;
    if (random(4) > 0) return line;
    const at = pick([...line.matchAll(/[, =]/g)]).index;
    return `${line.slice(0, at)}${pick(SEPARATORS)}${line.slice(at + 1)}`;
  });
  return Buffer.from(lines.join("\n"));
}

// One that reads new input with what it knows from earlier input, and is replaced now and then.
let reader = new LineReader();
for (let i = 0; i < Number(countText); i++) {
  if (random(8) === 0) reader = new LineReader();
  const bytes = input();
  // In the middle of a larger memory: what lies around must not matter.
  const behind = pick(['"=1 "\\', "0000000000000000000\n", "a=1,b=2 1\n", '"\nm a=1', "b"]);
  const around = Buffer.concat([Buffer.from('"\\,'), bytes, Buffer.from(behind)]);
  const fast = readPoints(around, 3, 3 + bytes.length, reader).map((line) =>
    "problem" in line ? { bad: true, line: line.line } : line,
  );
  const slow = readSlowly(bytes);
  if (isDeepStrictEqual(fast, slow)) continue;
  console.error({ i, seed: seedText, input: JSON.stringify(bytes.toString("latin1")) });
  console.dir({ fast, slow }, { depth: 6 });
  process.exit(1);
}
