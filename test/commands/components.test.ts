import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { runComponents } from "../../src/commands/components.ts";
import { createComponents } from "../../src/components.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { isSecret } from "../../src/config/schema-shape.ts";
import { catalog } from "../config/catalog.ts";

const cwd = join(import.meta.dirname, "../..");

test("components prints what is built in, in the Collector's form", () => {
  let text = "";
  const code = runComponents([], catalog, {
    out: (more) => {
      text += more;
    },
    err: () => {},
  });
  expect(code).toBe(0);
  const printed = parse(text);
  expect(Object.keys(printed)).toEqual([
    "buildinfo",
    "receivers",
    "processors",
    "exporters",
    "extensions",
    "providers",
  ]);
  expect(printed.processors.map((one: { readonly name: string }) => one.name)).toEqual([
    "attributes",
    "batch",
    "memory_limiter",
  ]);
  expect(printed.receivers[0]).toMatchObject({
    name: "line_protocol",
    stability: { logs: "stable" },
  });
});

test("the default configuration is right, without a warning", async () => {
  const loaded = await loadConfig({
    sources: ["otel-config.yaml"],
    sets: [],
    env: {},
    catalog: createComponents(),
    cwd,
  });
  expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([]);
  expect(loaded.warnings.map(formatProblem)).toEqual([]);
});

const all = Object.entries(createComponents()).flatMap(([section, types]) =>
  [...types.values()].map((component) => [`${section}.${component.type}`, component] as const),
);

test.each(all)("%s: its example works, and every option says what it is", (_name, component) => {
  expect(() => component.schema.parse(component.example)).not.toThrow();
  expect(component.summary).toMatch(/^\S.*\S$/);
  expect(undescribed(component.schema)).toEqual([]);
});

/** Options without a description, as paths. */
function undescribed(schema: z.ZodType): readonly string[] {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const walk = (node: z.core.JSONSchema.BaseSchema, path: string): string[] =>
    Object.entries(node.properties ?? {}).flatMap(([key, option]) => {
      if (typeof option === "boolean") return [];
      const here = `${path}${key}`;
      return [...(option.description ? [] : [here]), ...walk(option, `${here}.`)];
    });
  return walk(json, "");
}

test.each(all)("%s: options that sound secret never print", (_name, component) => {
  const json = z.toJSONSchema(component.schema, { io: "input", unrepresentable: "any" });
  const names = Object.keys(json.properties ?? {}).filter((key) =>
    /token|password|secret/.test(key),
  );
  const shape = component.schema instanceof z.ZodObject ? component.schema.shape : {};
  for (const name of names) expect([name, isSecret(shape[name])]).toEqual([name, true]);
});
