import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { createComponents } from "../src/components.ts";
import type { NamedTypes } from "../src/config/config.ts";
import { loadConfig } from "../src/config/load.ts";
import { isSecret, keysOf, schemaAt } from "../src/config/schema-shape.ts";
import type { ExporterContext } from "../src/kit/delivery/backend.ts";
import { createIndexer } from "../src/otlp/indexing.ts";
import type { Component, Intake } from "../src/pipeline/contracts.ts";
import type { ExtensionContext } from "../src/pipeline/factory.ts";
import { SELF, temporaryDirectory } from "./store/harness.ts";
import { recordingLog, recordingMeter } from "./support/export-rig.ts";

/** What every component of the registry keeps, so that the rest of the house need not know which one it is. */
type Schema = z.core.JSONSchema.BaseSchema;
const ROOT = join(import.meta.dirname, "..");
const KINDS = {
  receivers: "receiver",
  processors: "processor",
  exporters: "exporter",
  extensions: "extension",
} as const;
const registry = await createComponents();
const sections = Object.keys(KINDS) as (keyof typeof KINDS)[];
const all = sections.flatMap((section) =>
  [...registry[section]].map(([type, component]) => ({ section, type, component })),
);

describe.each(all)("$section/$type", ({ section, type, component }) => {
  const json = z.toJSONSchema(component.schema, { io: "input", unrepresentable: "any" });
  const readme = readFileSync(join(ROOT, "src", section, type, "README.md"), "utf8");

  test("is what its folder says", () => {
    expect(component.type).toBe(type);
    expect(component.kind).toBe(KINDS[section]);
    expect(component.summary).toMatch(/^\S.*\.$/);
    expect(readme).toMatch(new RegExp(`^# ${type} ${component.kind}\n`));
    const signals = Object.keys(component.stability);
    expect(signals.length > 0).toBe(section !== "extensions");
  });

  test("its example works as it stands", () => {
    expect(component.schema.safeParse(component.example).error).toBeUndefined();
  });

  test("its README has the table of all options", () => {
    const table = /<!-- options -->\n(.*?)<!-- \/options -->/s.exec(readme)?.[1] ?? "";
    const rows = table.split("\n").filter((line) => line.startsWith("| `"));
    for (const key of keysOf(component.schema) ?? [])
      expect(
        rows.some((row) => row.startsWith(`| \`${key}\` |`)),
        key,
      ).toBe(true);
  });

  test("every option says what it is", () => {
    const silent = optionsOf(json).filter(({ option }) => !option.description);
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  test("unknown keys are errors, at every depth", () => {
    expect(keysOf(component.schema)).toBeDefined();
    const open = blocksOf(json).filter(({ block }) => block.additionalProperties !== false);
    expect(open.map(({ path }) => path)).toEqual([]);
    const given = { ...(component.example as object), no_such_option: 1 };
    const { error } = component.schema.safeParse(given);
    expect(error?.issues).toMatchObject([{ code: "unrecognized_keys", keys: ["no_such_option"] }]);
  });

  test("options that sound secret never print", () => {
    for (const key of keysOf(component.schema) ?? [])
      if (/token|password|secret/.test(key))
        expect(
          isSecret(schemaAt(component.schema, [key])) ||
            isSecret(schemaAt(component.schema, [key, 0])),
          key,
        ).toBe(true);
  });
});

/** Blocks of options: mappings whose keys are known. */
function blocksOf(node: Schema, path = ""): { path: string; block: Schema }[] {
  const here = Object.keys(node.properties ?? {}).length > 0 ? [{ path, block: node }] : [];
  const inner = Object.entries(node.properties ?? {}).flatMap(([key, option]) =>
    typeof option === "boolean" ? [] : blocksOf(option, `${path}.${key}`),
  );
  const items = node.items as Schema | undefined;
  const others = [...(node.anyOf ?? []), ...(items ? [items] : [])] as Schema[];
  return [...here, ...inner, ...others.flatMap((one) => blocksOf(one, path))];
}

function optionsOf(node: Schema): { path: string; option: Schema }[] {
  return blocksOf(node).flatMap(({ path, block }) =>
    Object.entries(block.properties ?? {}).map(([key, option]) => ({
      path: `${path}.${key}`,
      option: option as Schema,
    })),
  );
}

test("what is generated from the schemas is up to date", () => {
  const { status, stderr } = spawnSync(process.execPath, ["tools/docs.ts", "--check"], {
    cwd: ROOT,
    encoding: "utf8",
    timeout: 100_000,
    killSignal: "SIGKILL",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const failures: Error[] = [];
const context = (id: string): ExtensionContext & ExporterContext<"logs"> => ({
  id,
  route: `${id}/logs`,
  signal: "logs",
  log: recordingLog(),
  meter: recordingMeter(),
  indexer: createIndexer(),
  nowMs: Date.now,
  fail: (error) => failures.push(error),
  isReady: () => true,
  self: SELF,
});
const intake: Intake = {
  signals: new Set(["logs"]),
  admit: () => ({ bytes: 0, grow: () => true, isBeyondBudget: false, [Symbol.dispose]: () => {} }),
  submit: async () => {},
  rejected: () => {},
};

/** Its example, on any free port and in a directory of its own. */
function optionsFor(component: { schema: z.ZodType; example: unknown }): unknown {
  const { path, remove } = temporaryDirectory();
  cleanups.push(remove);
  const away = (value: unknown): unknown => {
    if (typeof value === "string")
      return value.replace(/^127\.0\.0\.1:\d+$/, "127.0.0.1:0").replace(/^\.\/data/, path);
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map(away);
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, away(inner)]));
  };
  return away(component.schema.parse(component.example));
}

const parts: readonly (readonly [string, () => Component])[] = [
  ...[...registry.receivers.values()].map(
    (one) =>
      [
        `receiver ${one.type}`,
        () => one.create(optionsFor(one), context(one.type), intake),
      ] as const,
  ),
  ...[...registry.extensions.values()].map(
    (one) =>
      [`extension ${one.type}`, () => one.create(optionsFor(one), context(one.type))] as const,
  ),
  ...[...registry.exporters.values()].map(
    (one) =>
      [
        `exporter ${one.type}`,
        () => one.create(optionsFor(one) as Parameters<typeof one.create>[0], context(one.type)),
      ] as const,
  ),
];

describe.each(parts)("%s", (_name, create) => {
  test("stops without a start, and twice", async () => {
    const component = create();
    await component.stop(AbortSignal.timeout(2_000));
    await component.stop(AbortSignal.timeout(2_000));
    await component.stop(AbortSignal.abort());
    expect(failures).toEqual([]);
  });

  test("stops twice after a start, also at once and when the time is already over", async () => {
    const component = create();
    await component.start();
    await Promise.all([
      component.stop(AbortSignal.timeout(4_000)),
      component.stop(AbortSignal.abort()),
    ]);
    await component.stop(AbortSignal.timeout(2_000));
    expect(failures).toEqual([]);
  });
});

test("only what a configuration names is read; of a section with a type that nobody knows, everything", async () => {
  const text = (receiver: string) => `
receivers: { ${receiver}: { protocols: { http: } } }
processors: { batch: }
exporters: { otlphttp: { endpoint: "http://127.0.0.1:4318" } }
service: { pipelines: { logs: { receivers: [${receiver}], processors: [batch], exporters: [otlphttp] } } }`;
  const load = async (receiver: string) => {
    const read: Record<string, string[]> = {};
    const catalog = async (named: NamedTypes) => {
      const components = await createComponents(named);
      for (const section of sections) read[section] = [...components[section].keys()];
      return components;
    };
    const sources = [`yaml:${text(receiver)}`];
    const loaded = await loadConfig({ sources, sets: [], env: {}, catalog, cwd: ROOT });
    return { read, problems: loaded.ok ? [] : loaded.problems.map(({ message }) => message) };
  };
  const named = { receivers: ["otlp"], processors: [], exporters: ["otlp_http"], extensions: [] };
  expect(await load("otlp")).toEqual({ read: named, problems: [] });
  expect(await load("otpl")).toEqual({
    read: { ...named, receivers: [...registry.receivers.keys()] },
    problems: ['unknown receiver type "otpl" (did you mean "otlp"?)'],
  });
});
