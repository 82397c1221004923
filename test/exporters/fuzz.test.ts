import { test } from "vitest";
import { fuzzInChild, fuzzRounds } from "../support/child-fuzz.ts";

const much = fuzzRounds(50_000);

test(
  "damaged answers of destinations are read without a throw and within bounds",
  () => fuzzInChild("fuzz-otlp-answer.ts", much),
  much.limitMs + 5_000,
);
