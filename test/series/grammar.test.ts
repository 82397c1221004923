import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { loadTables, shippedTables } from "../../src/series/tables/load.ts";
import { seriesSchema } from "../../tools/series-schema.ts";

/** The grammar is said once: what the schema for editors refuses, the loader refuses, and the shipped tables are right for both. */
const ROOT = join(import.meta.dirname, "..", "..", "config", "series");
const FILES = readdirSync(ROOT).filter((name) => name.endsWith(".yaml"));
const textOf = (name: string) => readFileSync(join(ROOT, name), "utf8");

interface Schema {
  readonly type?: string | readonly string[];
  readonly minLength?: number;
  readonly enum?: readonly unknown[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly $ref?: string;
  readonly definitions?: Readonly<Record<string, Schema>>;
}
const { WEIR_FUZZ } = process.env;
const STEP = WEIR_FUZZ === undefined ? 7 : 1;
const schema: Schema = seriesSchema();

/** JSON Schema, as much of it as the schema uses. */
function fits(value: unknown, by: Schema): boolean {
  if (by.$ref !== undefined)
    return fits(value, schema.definitions?.[by.$ref.replace("#/definitions/", "")] ?? {});
  if (by.anyOf && !by.anyOf.some((one) => fits(value, one))) return false;
  if (by.allOf && !by.allOf.every((one) => fits(value, one))) return false;
  if (by.enum && !by.enum.includes(value)) return false;
  if (by.type !== undefined && ![by.type].flat().includes(kindOf(value))) return false;
  if (typeof value === "string") return value.length >= (by.minLength ?? 0);
  if (Array.isArray(value)) return value.every((one) => fits(one, by.items ?? {}));
  if (typeof value !== "object" || value === null) return true;
  return (
    (by.required ?? []).every((name) => name in value) &&
    Object.entries(value).every(([name, one]) => {
      const known = by.properties?.[name];
      if (known !== undefined) return fits(one, known);
      return by.additionalProperties === undefined
        ? true
        : by.additionalProperties !== false && fits(one, by.additionalProperties);
    })
  );
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value;
}

/** The value with one node changed: every node in turn. */
function* changed(value: unknown): Generator<unknown> {
  for (const other of [[], {}, "", "word", 5, true, null])
    if (kindOf(other) !== kindOf(value) || other === "") yield other;
  if (Array.isArray(value))
    for (const [i, one] of value.entries())
      for (const next of changed(one)) yield value.with(i, next);
  else if (typeof value === "object" && value !== null) {
    yield { ...value, unheard_of: 1 };
    for (const [name, one] of Object.entries(value)) {
      const { [name]: _, ...rest } = value as Record<string, unknown>;
      yield rest;
      for (const next of changed(one)) yield { ...value, [name]: next };
    }
  }
}

const known = shippedTables();
const loads = (text: string, name: string) => {
  try {
    loadTables(
      [{ name, text }],
      known.filter(({ file }) => file !== name),
    );
    return true;
  } catch {
    return false;
  }
};

test.each(FILES)("%s: right for the schema; what it refuses, the loader refuses", (name) => {
  const table: unknown = parse(textOf(name));
  expect(fits(table, schema)).toBe(true);
  expect(loads(stringify(table), name)).toBe(true);
  let refused = 0;
  for (const other of changed(table)) {
    if (fits(other, schema)) continue;
    // Loading is slow: every so many, and not the same of each file.
    if (++refused % STEP !== FILES.indexOf(name) % STEP) continue;
    if (loads(stringify(other), name)) expect.unreachable(stringify(other));
  }
  expect(refused).toBeGreaterThan(20);
});

test("every key says what it is for", () => {
  const walk = (one: Schema & { description?: string }): void => {
    for (const key of Object.values(one.properties ?? {}))
      expect((key as { description?: string }).description).toMatch(/\.$/);
  };
  walk(schema);
  for (const part of Object.values(schema.definitions ?? {})) walk(part);
  for (const table of known) {
    expect(table.example, `${table.measurement} has an example`).toBeDefined();
    for (const { name, doc } of table.columns)
      expect(doc, `${table.measurement}.${name}`).toMatch(/\.$/);
  }
});
