import { describeProblem, Problem } from "../../line/problems.ts";
import type { OnBadLine } from "../../series/doors/door.ts";

/** Bad lines that an answer lists at most. */
export const LISTED_MAX = 1_000;
/** Bytes of a line that are kept: InfluxDB 1 repeats it whole, and some have megabytes. */
const KEPT_BYTES = 256;

/** A line that could not be read. */
export interface BadLine {
  readonly problem: Problem;
  /** 1, 2, 3 … among the lines that are neither blank nor comments. */
  readonly number: number;
  /** Where it begins in the body: 0 is the first byte. */
  readonly at: number;
  /** Its beginning. */
  readonly text: string;
  /** What is wrong, and where. */
  readonly message: string;
}

/** The bad lines of one request: the first ones as they are, and how many there were. */
export class BadLines {
  readonly listed: BadLine[] = [];
  count = 0;
  #bytes: Uint8Array = new Uint8Array(0);

  /** Forgets what it knows; the next lines are in `bytes`. */
  begin(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.listed.length = 0;
    this.count = 0;
  }

  readonly add: OnBadLine = ({ problem, problemAt, lineAt, lineEnd }, number) => {
    this.count++;
    if (this.listed.length === LISTED_MAX) return;
    const line = this.#bytes.subarray(lineAt, lineEnd);
    const message = `byte ${problemAt - lineAt + 1}: ${describeProblem(problem)}`;
    this.listed.push({ problem, number, at: lineAt, text: beginningOf(line, KEPT_BYTES), message });
  };
}

/** At most `size` bytes, and no half of a character. */
function beginningOf(line: Uint8Array, size: number): string {
  let end = Math.min(line.length, size);
  while (end > 0 && end < line.length && ((line[end] ?? 0) & 0xc0) === 0x80) end--;
  return Buffer.from(line.buffer, line.byteOffset, end).toString();
}

/** At most `size` bytes of UTF-8, and no half of a character. */
export function shortened(text: string, size: number): string {
  return beginningOf(Buffer.from(text), size);
}

/** The words of InfluxDB 1 for what is wrong with a line. */
export const V1_WORDS: Readonly<Record<Problem, string>> = {
  [Problem.none]: "",
  [Problem.measurement]: "missing measurement",
  [Problem.tagKey]: "missing tag key",
  [Problem.tagValue]: "missing tag value",
  [Problem.noFields]: "missing fields",
  [Problem.fieldKey]: "missing field key",
  [Problem.fieldValue]: "invalid field format",
  [Problem.number]: "invalid number",
  [Problem.range]: "value out of range",
  [Problem.quote]: "unbalanced quotes",
  [Problem.afterField]: "invalid field format",
  [Problem.time]: "bad timestamp",
  [Problem.timeRange]: "time outside range",
  [Problem.utf8]: "invalid UTF-8",
  [Problem.duplicateTag]: "duplicate tags",
  [Problem.tooLong]: "max key length exceeded",
  [Problem.tooMany]: "too many tags and fields",
};
