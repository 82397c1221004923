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

/** Lines whose names repeat those of lines before, or nearly so. */
function knownLines(): Buffer {
  const names = ["a", "b", "ab", "abc", "abcd", "abcdefghi", "ä", "a\\ b", "v=", "x y"];
  const values = [
    "1i",
    "12345678i",
    "1234567890i",
    "-5i",
    "0u",
    "1.5",
    "t",
    '"s"',
    '"a\\"b"',
    "7",
    "i",
  ];
  const keys = (most: number, from: readonly string[]) =>
    Array.from({ length: random(most) }, () => `${pick(names)}=${pick(from)}`).join();
  const lines = Array.from({ length: 1 + random(6) }, () => {
    const tags = keys(4, ["v", "w\\,", "0123456789abcdef", "é", ""]);
    return `${pick(["m", "mm", "metric", "m=n"])}${tags && `,${tags}`} ${keys(5, values)}${pick(["", " 5", " 1705314600000000000", " 1705314600999999999", " 170531460099999999x", " 9223372036854775807", " 9223372036854775808", " 0000000000000000001", " -170531460000000000", " 4294967296000000000", " 4294967295999999999", " x"])}`;
  });
  return Buffer.from(lines.join("\n"));
}

// One that reads new input with what it knows from earlier input, and is replaced now and then.
let reader = new LineReader();
for (let i = 0; i < Number(countText); i++) {
  if (random(500) === 0) reader = new LineReader();
  const bytes = input();
  // In the middle of a larger memory: what lies around must not matter.
  const around = Buffer.concat([Buffer.from('"\\,'), bytes, Buffer.from('"=1 "\\')]);
  const fast = readPoints(around, 3, 3 + bytes.length, reader).map((line) =>
    "problem" in line ? { bad: true, line: line.line } : line,
  );
  const slow = readSlowly(bytes);
  if (isDeepStrictEqual(fast, slow)) continue;
  console.error({ i, seed: seedText, input: JSON.stringify(bytes.toString("latin1")) });
  console.dir({ fast, slow }, { depth: 6 });
  process.exit(1);
}
