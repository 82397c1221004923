import { expect, test } from "vitest";
import {
  FIELDS_MAX,
  type FieldEntry,
  NAMES_MAX,
  TypeRegistry,
} from "../../src/series/type-registry.ts";

test("the first type of a field wins, per table and field; what is new is noted once", () => {
  const noted: FieldEntry[] = [];
  const types = new TypeRegistry((entry) => noted.push(entry));
  expect(types.see("m", "x", "integer")).toBe("integer");
  expect(types.see("m", "x", "float")).toBe("integer");
  expect(types.see("n", "x", "float")).toBe("float");
  expect(noted).toEqual([
    { table: "m", field: "x", type: "integer", adopted: false },
    { table: "n", field: "x", type: "float", adopted: false },
  ]);
  expect([...types.entries()]).toEqual(noted);
  expect(types.version).toBe(0);
});

test("the destination's type holds from then on, and makes a version", () => {
  const types = new TypeRegistry();
  types.see("m", "x", "integer");
  expect(types.adopt("m", "x", "text")).toBe(true);
  expect(types.adopt("m", "x", "text")).toBe(false);
  expect(types.see("m", "x", "integer")).toBe("text");
  expect(types.version).toBe(1);
  expect([types.isAdopted("m"), types.isAdopted("n")]).toEqual([true, false]);
  // A first type that the destination confirms is adopted too: it is no guess any more.
  types.see("m", "y", "float");
  expect(types.adopt("m", "y", "float")).toBe(true);
});

test("a destination that changes its mind is followed four times", () => {
  const types = new TypeRegistry();
  const answers = Array.from({ length: 8 }, (_, i) =>
    types.adopt("m", "x", i % 2 === 0 ? "float" : "integer"),
  );
  expect(answers).toEqual([true, true, true, true, true, false, false, false]);
  expect(types.typeOf("m", "x")).toBe("float");
});

test("the registry is bounded in fields and in characters; what is over is not held against any type", () => {
  const many = new TypeRegistry();
  for (let i = 0; i < FIELDS_MAX; i++) many.see("m", `f${i}`, "float");
  expect(many.fields).toBe(FIELDS_MAX);
  expect(many.see("m", "one more", "float")).toBeUndefined();
  expect(many.adopt("m", "one more", "float")).toBe(false);
  expect(many.see("m", "f0", "text")).toBe("float");
  expect(many.adopt("m", "f0", "text")).toBe(true);
  const long = new TypeRegistry();
  expect(long.see("m", "x".repeat(NAMES_MAX - 1), "float")).toBe("float");
  expect(long.see("m", "y", "float")).toBeUndefined();
});

test("an earlier process's entries are taken over without being noted again", () => {
  const noted: FieldEntry[] = [];
  const types = new TypeRegistry((entry) => noted.push(entry));
  types.recall({ table: "m", field: "x", type: "integer", adopted: false });
  types.recall({ table: "m", field: "y", type: "text", adopted: true });
  expect(types.see("m", "x", "float")).toBe("integer");
  expect(types.version).toBe(1);
  expect(noted).toEqual([]);
});
