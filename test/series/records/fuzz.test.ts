import { test } from "vitest";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";

const fuzz = fuzzRounds(20_000);

test(
  `${fuzz.rounds} damaged records: taken where the usual decoders take them, and fit for the pipelines`,
  () => fuzzInChild("../series/records/fuzz-child.ts", fuzz),
  fuzz.limitMs + 5_000,
);
