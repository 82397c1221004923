/**
 * Writes what is generated from the option schemas: the options table of every component's README, the table of components in
 * README.md, and config/schema.json for editors; from the series tables, docs/series and config/series.schema.json. `--check` writes nothing and fails when something is stale.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { z } from "zod";
import { createComponents } from "../src/components.ts";
import { service } from "../src/config/service-schema.ts";
import { translated } from "../src/config/translated.ts";
import type { Declaration } from "../src/pipeline/factory.ts";
import { shippedTables } from "../src/series/tables/load.ts";
import { seriesPages } from "./series-pages.ts";
import { seriesSchema } from "./series-schema.ts";

interface Json {
  readonly [key: string]: unknown;
  readonly type?: string | readonly string[];
  readonly pattern?: string;
  readonly format?: string;
  readonly $schema?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Json[];
  readonly properties?: Readonly<Record<string, Json>>;
  readonly required?: readonly string[];
  readonly items?: Json;
  readonly additionalProperties?: Json | boolean;
}

const ROOT = join(import.meta.dirname, "..");
const SECTIONS = ["receivers", "processors", "exporters", "extensions"] as const;
const isCheck = process.argv.includes("--check");
const components = await createComponents();
const stale: string[] = [];

for (const section of SECTIONS)
  for (const { type, schema } of components[section].values()) {
    const file = join(ROOT, "src", section, type, "README.md");
    if (existsSync(file))
      update(file, between(read(file), "options", optionsTable(toJson(schema))));
    else stale.push(`${relative(ROOT, file)} is missing`);
  }
const readme = join(ROOT, "README.md");
if (existsSync(readme)) update(readme, between(read(readme), "components", componentsTable()));
update(join(ROOT, "config/schema.json"), `${JSON.stringify(wholeSchema(), null, 2)}\n`);
update(join(ROOT, "config/series.schema.json"), `${JSON.stringify(seriesSchema(), null, 2)}\n`);
series();
tags();
for (const what of stale) console.error(what);
process.exitCode = stale.length > 0 ? 1 : 0;

function read(file: string): string {
  return readFileSync(file, "utf8");
}

function update(file: string, text: string): void {
  if (existsSync(file) && read(file) === text) return;
  if (isCheck) stale.push(`${relative(ROOT, file)} is stale: run \`npm run docs\``);
  else writeFileSync(file, text);
}

/** Replaces what stands between `<!-- name -->` and `<!-- /name -->`; a text without them stays as it is. */
function between(text: string, name: string, content: string): string {
  const open = `<!-- ${name} -->`;
  const start = text.indexOf(open);
  const end = text.indexOf(`<!-- /${name} -->`);
  if (start < 0 || end < start) return text;
  return `${text.slice(0, start + open.length)}\n${content}\n${text.slice(end)}`;
}

function toJson(schema: z.ZodType): Json {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any", target: "draft-7" });
  const { $schema: _, ...rest } = json;
  return rest as Json;
}

function optionsTable(schema: Json): string {
  const rows = optionRows(schema, "");
  if (rows.length === 0) return "No options.";
  return ["| option | type | default | |", "|---|---|---|---|", ...rows].join("\n");
}

/** One row per option; blocks are spread out, `a.b` and `list[].c`. */
function optionRows(schema: Json, prefix: string): string[] {
  return Object.entries(objectOf(schema)?.properties ?? {}).flatMap(([key, option]) => {
    const name = `${prefix}${key}`;
    const inner = objectOf(option);
    const items = option.items && objectOf(option.items);
    const isRequired = schema.required?.includes(key) ?? false;
    const spread =
      inner?.properties || items?.properties
        ? optionRows(inner ?? (items as Json), inner ? `${name}.` : `${name}[].`)
        : [];
    const shown = isRequired && option.default === undefined ? "required" : defaultOf(option);
    return [
      `| \`${name}\` | ${typeOf(option)} | ${shown} | ${cell(option.description ?? "")} |`,
      ...spread,
    ];
  });
}

/** The mapping that a schema asks for, also behind "or nothing". */
function objectOf(schema: Json): Json | undefined {
  if (schema.properties) return schema;
  return schema.anyOf?.find((one) => one.properties);
}

function typeOf(schema: Json): string {
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (isDuration(schema)) return "duration";
  if (schema.anyOf) {
    const kinds = schema.anyOf.filter(({ type }) => type !== "null").map(typeOf);
    return [...new Set(kinds)].join(" or ");
  }
  if (Array.isArray(schema.type)) {
    const kinds = schema.type.filter((type) => type !== "null");
    return kinds.map((type) => typeOf({ type })).join(" or ");
  }
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.type === "object") return "mapping";
  if (schema.type === "string") return "text";
  if (schema.type === "boolean") return "true, false";
  return String(schema.type ?? "anything");
}

function isDuration({ anyOf }: Json): boolean {
  return anyOf?.length === 2 && anyOf[0]?.type === "string" && anyOf[1]?.const === 0;
}

function defaultOf({ default: value }: Json): string {
  if (value === undefined) return "";
  if (typeof value === "object" && value !== null && Object.keys(value).length === 0) return "";
  return `\`${cell(typeof value === "string" ? value || '""' : JSON.stringify(value))}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function componentsTable(): string {
  const rows = SECTIONS.flatMap((section) =>
    [...components[section].values()].map((component) => componentRow(section, component)),
  );
  return ["| component | signals | |", "|---|---|---|", ...rows].join("\n");
}

function componentRow(section: string, { type, stability, summary }: Declaration<unknown>): string {
  const signals = Object.entries(stability).map(([signal, level]) => `${signal} (${level})`);
  const kind = section.slice(0, -1);
  return `| [\`${type}\`](src/${section}/${type}/README.md) ${kind} | ${signals.join(", ") || "–"} | ${cell(summary)} |`;
}

/** JSON Schema of a whole configuration, for editors: completion, and mistakes while typing. */
function wholeSchema(): Json {
  const sections = SECTIONS.map((section) => {
    const types = [
      ...components[section].values(),
      ...(section === "processors" ? translated.values() : []),
    ];
    const patterns = types.map(({ type, schema }) => [
      `^\\s*${type}\\s*(/.+)?$`,
      { anyOf: [withReferences(toJson(schema)), { type: "null" }] },
    ]);
    const options = {
      type: ["object", "null"],
      patternProperties: Object.fromEntries(patterns),
      additionalProperties: false,
    };
    return [section, options] as const;
  });
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Weir configuration",
    type: "object",
    properties: {
      ...Object.fromEntries(sections),
      connectors: { type: ["object", "null"] },
      service: withReferences(toJson(service)),
    },
    additionalProperties: false,
  };
}

/** Anywhere that a number, a choice or a form of text is wanted, `${env:X}` may stand. */
function withReferences(schema: Json): Json {
  const { default: fallback, description, ...rest } = schema;
  const about = {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
  const isNarrow =
    schema.enum !== undefined ||
    schema.pattern !== undefined ||
    schema.format !== undefined ||
    ["number", "integer", "boolean"].includes(String(schema.type));
  if (isNarrow) return { ...about, anyOf: [rest, { type: "string", pattern: "\\$\\{" }] };
  const { properties, items, anyOf, additionalProperties: more } = schema;
  const walked = (inner: Readonly<Record<string, Json>>) =>
    Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, withReferences(one)]));
  return {
    ...about,
    ...rest,
    ...(properties && { properties: walked(properties) }),
    ...(items && { items: withReferences(items) }),
    ...(anyOf && { anyOf: anyOf.map(withReferences) }),
    ...(typeof more === "object" && { additionalProperties: withReferences(more) }),
  };
}

/** A page for each table, and no others. */
function series(): void {
  const directory = join(ROOT, "docs/series");
  const pages = seriesPages(shippedTables());
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of pages) update(join(directory, name), text);
  for (const name of readdirSync(directory)) {
    if (pages.has(name)) continue;
    if (isCheck) stale.push(`docs/series/${name} belongs to no table: run \`npm run docs\``);
    else rmSync(join(directory, name));
  }
}

function tags(): void {
  const tool = join(ROOT, "tools/gen-tags.ts");
  if (!existsSync(tool)) return;
  const { status, stderr } = spawnSync(process.execPath, [tool, ...(isCheck ? ["--check"] : [])], {
    encoding: "utf8",
  });
  if (status !== 0) stale.push(stderr.trim() || "tools/gen-tags.ts failed");
}
