import { test } from "vitest";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";

const fuzz = fuzzRounds(1_500);

test(
  `${fuzz.rounds} connections, whole and damaged: each ends, cut into reads of any size with the same result`,
  () => fuzzInChild("fuzz-forward.ts", fuzz),
  fuzz.limitMs + 5_000,
);
