import { test } from "vitest";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";

const fuzz = fuzzRounds(2_000);

test(
  `${fuzz.rounds} batches with other types and damaged bytes: each ends, what is taken is fit for the pipelines`,
  () => fuzzInChild("fuzz-lambda-batches.ts", fuzz),
  fuzz.limitMs + 5_000,
);
