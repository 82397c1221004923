import { PipelineError } from "../../../src/otlp/status.ts";
import { damagedCopy, seeded } from "../../support/seeded.ts";
import { anyPush } from "./any-push.ts";
import { encodings, NOW_MS, Reading } from "./reading.ts";

/**
 * Child process: damaged pushes, `rounds` times. Whatever the bytes are, they are taken or refused with a PipelineError, what is taken is fit
 * for the pipelines (`Reading` looks), and it is the same whether it is read at a stretch or in steps.
 */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const PARTS = [
  '"',
  "{",
  "}",
  "[",
  "]",
  "\\",
  ",",
  ":",
  "null",
  "5",
  "\\ud800",
  "\0",
  " ",
  "streams",
  "labels",
  "=",
  "`",
];
const readers = [new Reading(undefined, true), new Reading(undefined, true)] as const;

function outcome(reading: Reading, format: "json" | "protobuf", body: Uint8Array, step?: number) {
  try {
    const made = Buffer.from(reading.read(format, body, step)).toString("base64");
    return `${reading.entries.bad} ${made}`;
  } catch (reason) {
    if (!(reason instanceof PipelineError) || reason.kind !== "invalid") throw reason;
    return reason.why;
  }
}

for (let round = 0; round < rounds; round++) {
  const { protobuf, json, old } = encodings(anyPush(random, NOW_MS));
  const isJson = random(2) === 0;
  let body: Uint8Array = isJson ? (random(2) === 0 ? json : old) : protobuf;
  if (isJson && random(2) === 0) {
    let text = Buffer.from(body).toString("latin1");
    for (let i = random(3); i > 0; i--) {
      const at = random(text.length + 1);
      text = text.slice(0, at) + PARTS[random(PARTS.length)] + text.slice(at + random(6));
    }
    body = Buffer.from(text, "latin1");
  } else if (random(4) > 0) body = damagedCopy(body, random);
  body = body.subarray(0, random(4) === 0 ? random(body.length + 1) : body.length);
  const format = isJson ? "json" : "protobuf";
  const whole = outcome(readers[0], format, body);
  const inSteps = outcome(readers[1], format, body, 1 + random(100));
  if (whole !== inSteps)
    throw new Error(
      `${whole}, in steps ${inSteps}: ${format} ${Buffer.from(body).toString("base64")}`,
    );
}
process.stdout.write(`${rounds} rounds\n`);
