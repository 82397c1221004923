import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { runComponents } from "../../src/commands/components.ts";
import { createComponents } from "../../src/components.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
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
    catalog: createComponents,
    cwd,
  });
  expect(loaded.ok ? [] : loaded.problems.map(formatProblem)).toEqual([]);
  expect(loaded.warnings.map(formatProblem)).toEqual([]);
});
