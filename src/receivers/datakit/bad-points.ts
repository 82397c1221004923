import { type BadLines, shortened, V1_WORDS } from "../../kit/doors/bad-lines.ts";
import type { LinesTaken } from "../../kit/doors/line-requests.ts";
import type { HttpAnswer } from "../../kit/server/http-server.ts";
import { Problem } from "../../line/problems.ts";
import { failure } from "./answers.ts";
import type { PointFormat } from "./point-sources.ts";

/** Bad lines that an answer lists at most. */
const LISTED_MAX = 100;
/** Bytes of the body that an answer repeats: DataKit repeats it whole. */
const ORIGIN_BYTES = 1_024;

const CODES = {
  lines: ["invalidLinePoint", "invalid lineprotocol"],
  json: ["invalidJsonPoint", "invalid JSON point"],
  protobuf: ["invalidProtobufPoint", "invalid protobuf point"],
} as const;

/** The answer to points of which some could not be read: DataKit's, with all its bad lines. `body`: what was sent, decoded. */
export function badPoints(
  format: PointFormat,
  { items, bad, firstBad }: LinesTaken,
  lines: BadLines,
  body: Uint8Array,
): HttpAnswer {
  const [code, words] = CODES[format];
  const summary = `with ${items} point parse ok, ${bad} points failed.`;
  if (format !== "lines" || lines.count === 0)
    return failure(code, `${words}: ${firstBad}\n${summary}`);
  const listed = lines.listed.slice(0, LISTED_MAX);
  const reasons = listed.map(
    ({ text, at, problem }) => `unable to parse '${text}'(pos: ${at + 1}): ${wordsFor(problem)}`,
  );
  if (lines.count > listed.length) reasons.push(`and ${lines.count - listed.length} more`);
  const start = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, 2 * ORIGIN_BYTES));
  const origin = JSON.stringify(shortened(start.toString(), ORIGIN_BYTES));
  return failure(code, `${words}: ${reasons.join("\n")}\n${summary} Origin data: ${origin}`);
}

/** DataKit sees a tag's key without a value as a value that is missing. */
function wordsFor(problem: Problem): string {
  return V1_WORDS[problem === Problem.tagKey ? Problem.tagValue : problem];
}
