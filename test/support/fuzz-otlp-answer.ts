import { influxdbVerdict } from "../../src/exporters/influxdb/verdicts.ts";
import {
  readExportResponse,
  readRetryDelay,
  readStatusText,
} from "../../src/kit/client/otlp-answer.ts";
import { partialSuccessBody, statusBody } from "../../src/otlp/responses.ts";

/** Child process: answers of destinations, damaged; exits 1 when a reader throws or gives what it must not. */
const rounds = Number(process.argv[2]);
let state = Number(process.argv[3] ?? 4_711);

function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const partial = JSON.stringify({
  error: "partial write of line protocol occurred",
  data: [{ error_message: "x", line_number: 2, original_line: "m" }],
});
const seeds = (["protobuf", "json"] as const).flatMap((encoding) => [
  partialSuccessBody("logs", 3, "too old", encoding),
  statusBody({ kind: "refused", why: "busy", retryAfterMs: 1_500 }, encoding),
]);
seeds.push(Buffer.from(partial), new Uint8Array(0), new Uint8Array(64).fill(255));
const types = ["application/x-protobuf", "application/json", "text/html", undefined];
const statuses = [200, 204, 400, 404, 413, 422, 500];

for (let round = 0; round < rounds; round++) {
  const body = Buffer.from(seeds[random(seeds.length)] ?? []);
  for (let hits = random(4); hits > 0 && body.length > 0; hits--)
    body[random(body.length)] = random(256);
  const cut = body.subarray(0, random(3) === 0 ? random(body.length + 1) : body.length);
  const contentType = types[random(types.length)];
  const { rejected, message } = readExportResponse(cut, contentType);
  if (!Number.isSafeInteger(rejected) || rejected < 0 || message.length > 1_024)
    throw new Error(`round ${round}: ${rejected} ${message.length}`);
  if (readStatusText(cut, contentType).length > 1_024) throw new Error(`round ${round}: text`);
  const delay = readRetryDelay(cut);
  if (delay !== undefined && !(delay >= 0)) throw new Error(`round ${round}: a delay of ${delay}`);
  const status = statuses[random(statuses.length)] ?? 200;
  const answer = { status, body: cut, retryAfter: undefined, contentType };
  for (const api of ["v3", "v2", "v1"] as const) {
    const verdict = influxdbVerdict(api, answer, 0, 1);
    if (
      verdict.is === "rows_rejected" &&
      !verdict.rows.every((row) => Number.isInteger(row) && row >= 0)
    )
      throw new Error(`round ${round}: ${verdict.rows}`);
  }
}
process.stdout.write(`${rounds} rounds\n`);
