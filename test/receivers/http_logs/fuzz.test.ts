import { test } from "vitest";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";

const fuzz = fuzzRounds(5_000);

test(
  `${fuzz.rounds} damaged bodies: each ends, in steps of any size with the same result`,
  () => fuzzInChild("fuzz-record-bodies.ts", fuzz),
  fuzz.limitMs + 5_000,
);
