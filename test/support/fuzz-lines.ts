import { createIndexer } from "../../src/otlp/indexing.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { lineDoor } from "./line-door.ts";
import { expectText } from "./otlp-text.ts";
import { damagedCopy, seeded } from "./seeded.ts";

/**
 * Child process: datagrams of lines or JSON points, most of them damaged, `rounds` times. What is taken is fit for the pipelines, and its strings
 * are UTF-8 whatever the sender's are.
 */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const indexer = createIndexer();
const read = lineDoor(shippedTables());
const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;

const NAMES = ["a", "é", "func_id", "status", "a\\ b", "message", "site_name", "n😀"];
const TEXTS = ["x", "grün", "漢字", "a\\,b", "ok", "é\\", "200"];
const BREAKERS = [[0x80], [0xe9], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf0, 0x9f], [0xff], [0xc2]];
const MEASUREMENTS = ["m", "function_logs", "DFF_func_call", "größe", "requests"];
const quoted = () => JSON.stringify(pick(TEXTS));
const repeat = (make: () => string) => Array.from({ length: random(4) }, make);

function line(): string {
  const tags = repeat(() => `,${pick(NAMES)}=${pick(TEXTS)}`).join("");
  const values = () => pick([quoted(), "1i", "2.5", "true", `[${quoted()},1i]`, "3u"]);
  const fields = [...repeat(() => `${pick(NAMES)}=${values()}`), `z=${values()}`];
  return `${pick(MEASUREMENTS)}${tags} ${fields.join()} ${pick(["", "1705314600", "0"])}`;
}

function point(): string {
  const members = () => repeat(() => `"${pick(NAMES).replaceAll("\\", "")}":${quoted()}`).join();
  return `{"measurement":"${pick(MEASUREMENTS)}","tags":{${members()}},"fields":{"z":1,${members()}}}`.replace(
    ",}",
    "}",
  );
}

for (let round = 0; round < rounds; round++) {
  const isJson = random(3) === 0;
  const texts = Array.from({ length: 1 + random(4) }, isJson ? point : line);
  let bytes: Uint8Array = Buffer.from(texts.join("\n"));
  if (random(3) > 0) {
    const at = random(bytes.length + 1);
    bytes = Buffer.concat([
      bytes.subarray(0, at),
      Uint8Array.from(pick(BREAKERS)),
      bytes.subarray(Math.min(bytes.length, at + random(2))),
    ]);
  }
  if (random(3) === 0) bytes = damagedCopy(bytes, random);
  const request = read(bytes, 1_800_000_000_000);
  const indexed = indexer.index("logs", Uint8Array.from(request), request.length);
  const what = Buffer.from(bytes).toString("base64");
  if ("refused" in indexed || indexed.rejected > 0)
    throw new Error(`not fit for the pipelines: ${what}`);
  expectText("logs", request);
}
process.stdout.write(`${rounds} rounds\n`);
