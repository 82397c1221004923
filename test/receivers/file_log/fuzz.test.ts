import { test } from "vitest";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";

const fuzz = fuzzRounds(200);

test(
  `${fuzz.rounds} files, whole and damaged: each is read to its end, grown in steps of any size with the same records`,
  () => fuzzInChild("fuzz-files.ts", fuzz),
  fuzz.limitMs + 5_000,
);
