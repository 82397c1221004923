import { readText } from "../../kit/tls/file-watch.ts";

/** The tokens of a file, one per line. Throws with a sentence that never repeats what is in the file. */
export function readTokens(path: string): readonly string[] {
  const lines = readText(path)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (lines.length === 0)
    throw new Error(`${JSON.stringify(path)} holds no token: write one per line`);
  const bad = lines.findIndex(isUnfit);
  if (bad >= 0) throw new Error(`token ${bad + 1} in ${JSON.stringify(path)} ${UNFIT}`);
  return lines;
}

/** What is wrong with a token that `isUnfit` finds. */
export const UNFIT =
  "holds a space, a line break or another character that HTTP headers do not allow";

export function isUnfit(token: string): boolean {
  return /[^\x21-\x7e]/.test(token);
}
