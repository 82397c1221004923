import { expect, test } from "vitest";
import { nearest, suggestion } from "../../src/lib/nearest.ts";

test.each([
  ["recievers", ["receivers", "service"], "receivers"],
  ["endpont", ["endpoint", "path"], "endpoint"],
  ["x", ["receivers"], undefined],
  ["Logs", ["logs"], "logs"],
  ["itn", ["int", "text"], "int"],
])("nearest to %s of %j is %s", (word, candidates, expected) => {
  expect(nearest(word, candidates)).toBe(expected);
});

test("what is valid is listed when nothing is near, and cut after twenty", () => {
  expect(suggestion("zzz", ["alpha", "beta"])).toBe(" (valid: alpha, beta)");
  expect(suggestion("zzz", [])).toBe("");
  const many = Array.from({ length: 21 }, (_, i) => `candidate${i}`);
  expect(suggestion("zzz", many)).toMatch(/candidate19, …\)$/);
});

test("a word too long to be a name is near nothing, and is dealt with at once", () => {
  const long = "a".repeat(1 << 20);
  expect(nearest(long, ["receivers", "b".repeat(1 << 20)])).toBeUndefined();
  expect(nearest(long, ["receivers", long]) === long).toBe(true);
});
