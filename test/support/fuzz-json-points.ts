import { JsonPoints } from "../../src/kit/doors/json-points.ts";
import { Problem } from "../../src/line/problems.ts";
import { LineReader } from "../../src/line/reader.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { seeded } from "./seeded.ts";

/** Damaged JSON points, `rounds` times: every point is a line or counted as bad, whatever the bytes are. */
const rounds = Number(process.argv[2]);
const GOOD =
  '{"measurement":"m","tags":{"a":"b c","d":1},"fields":{"v":1,"w":-2.5e3,"t":"x\\"y\\u0041","l":[1,{"k":null}]},"timestamp":"2024-01-15T10:30:00.5Z"}';
const PARTS = [
  "{",
  "}",
  "[",
  "]",
  '"',
  ",",
  ":",
  "\\",
  "\n",
  "null",
  "1e999",
  "\u0000",
  '"measurement":',
  '"time":',
  "=",
  " ",
];
const random = seeded(Number(process.argv[3] ?? 1));
const json = new JsonPoints();
const reader = new LineReader();
for (let round = 0; round < rounds; round++) {
  const texts = Array.from({ length: 1 + random(4) }, () => GOOD);
  let text = random(2) === 0 ? `[${texts.join()}]` : texts.join("\n");
  for (let i = random(6); i > 0; i--) {
    const at = random(text.length);
    text = text.slice(0, at) + PARTS[random(PARTS.length)] + text.slice(at + random(4));
  }
  const bytes = Buffer.from(text);
  if (random(3) === 0) bytes[random(bytes.length)] = random(256);
  const end = random(8) === 0 ? random(bytes.length + 1) : bytes.length;
  const roomy = withSlack(Uint8Array.from(bytes));
  json.read(roomy, new DataView(roomy.buffer), 0, end);
  reader.reset(json.bytes, json.view, 0, json.length);
  let lines = 0;
  while (reader.next()) {
    lines++;
    const isFine = reader.problem === Problem.none || reader.problem === Problem.range;
    const isOdd = reader.problem === Problem.duplicateTag;
    if (!isFine && !isOdd) throw new Error(`a line that no reader takes: ${JSON.stringify(text)}`);
  }
  if (lines + json.bad !== json.points) throw new Error(`not all counted: ${JSON.stringify(text)}`);
}
console.log(`${rounds} rounds`);
