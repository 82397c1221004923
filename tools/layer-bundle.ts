import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Plugin, rolldown } from "rolldown";
import { createAllLambdaComponents } from "../src/commands/lambda-all-components.ts";
import { Secret } from "../src/config/blocks.ts";
import type { Config } from "../src/config/config.ts";
import { loadConfig } from "../src/config/load.ts";
import { exampleSettings } from "../src/lambda/checked-config.ts";
import { shippedTables } from "../src/series/tables/load.ts";

/** Source that stands for another in the bundle; it must be found there, so that a change of the source is noticed. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The module that Lambda's wrapper starts, and what it loads when a configuration has to be read. */
const EXTENSION = "extension.cjs";
const WHOLE = "whole.cjs";

/**
 * The extension as two CommonJS modules by file name: one with all that the way to Loki needs and nothing that reads configurations, and
 * one with everything. Nothing is read from a package, and the tables and the configuration are made now instead of at every cold start.
 * CommonJS, because an import of a module of Node makes it read all that the module has.
 */
export async function bundleExtension(root: string): Promise<ReadonlyMap<string, string>> {
  const list = await changes(root);
  const command = join(root, "src", "commands", "lambda-extension.ts");
  const start = `import { runLambdaExtension } from ${JSON.stringify(command)};
void runLambdaExtension(process.argv.slice(2)).then((code) => { process.exitCode = code; });`;
  const whole = `export { wholeStart } from ${JSON.stringify(join(root, "src", "commands", "lambda-whole.ts"))};`;
  return new Map([
    [EXTENSION, await bundle(start, [changed(root, list), apart(root)], true)],
    [WHOLE, await bundle(whole, [changed(root, list)], false)],
  ]);
}

/** `isLean`: without what nobody asks for, and without anything that makes schemas. */
async function bundle(source: string, plugins: Plugin[], isLean: boolean): Promise<string> {
  const input = "weir:entry";
  const entry: Plugin = {
    name: "entry",
    resolveId: (id) => (id === input ? id : undefined),
    load: (id) => (id === input ? source : undefined),
  };
  const build = await rolldown({
    input,
    platform: "node",
    external: ["snappy"],
    plugins: [entry, ...plugins],
    logLevel: "warn",
    ...(isLean && { treeshake: { moduleSideEffects: false, propertyReadSideEffects: false } }),
  });
  const { output } = await build.generate({
    format: "cjs",
    minify: true,
    comments: false,
    codeSplitting: false,
    dynamicImportInCjs: false,
  });
  await build.close();
  const [part, ...more] = output;
  if (more.length > 0) throw new Error(`one file was expected, not ${output.length}`);
  return inAscii(part.code);
}

/** The same program without other characters: one of them, and V8 keeps two bytes for each. */
function inAscii(code: string): string {
  return code.replace(/[^\0-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Parts of the service that only stored queues need. */
const ABSENT = ["desk.ts", "control.ts"];

/**
 * Keeps what reads configurations out of the file: the import that loads the other one stays an import, the parts of stored queues are
 * missing, and declarations of schemas come to nothing.
 */
function apart(root: string): Plugin {
  const whole = join(root, "src", "commands", "lambda-whole.ts");
  const absent = ABSENT.map((file) => join(root, "src", "service", file));
  return {
    name: "apart",
    resolveId(id, importer = root) {
      const path = join(importer, "..", id);
      if (path === whole) return { id: `./${WHOLE}`, external: true };
      if (absent.includes(path)) return NOTHING;
      return id === "zod" ? NO_SCHEMAS : undefined;
    },
    load(id) {
      if (id === NOTHING) return "export {};";
      return id === NO_SCHEMAS ? SCHEMAS_OF_NOTHING : undefined;
    },
  };
}

const NOTHING = "weir:nothing";
const NO_SCHEMAS = "weir:no-schemas";
/** Answers to every declaration with itself, and refuses to check anything. */
const SCHEMAS_OF_NOTHING = `const refuse = () => { throw new Error("this file checks nothing: ${WHOLE} does"); };
const checks = ["parse", "safeParse", "parseAsync", "safeParseAsync"];
export const z = new Proxy(() => z, { get: (_, name) => (checks.includes(name) ? refuse : z), apply: () => z });`;

async function changes(root: string): Promise<Change[]> {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    version: string;
  };
  return [
    {
      file: "src/series/tables/load.ts",
      from: "export function shippedTables(): readonly Table[] {",
      to: `export function shippedTables(): readonly Table[] { return ${sourceOf(shippedTables())};`,
    },
    {
      file: "src/lambda/checked-config.ts",
      from: "export function checkedConfig(): Config | undefined {",
      to: `import { Secret } from "../config/blocks.ts";
export function checkedConfig(): Config | undefined { return ${sourceOf(await checkedExample())};`,
    },
    {
      file: "src/commands/version.ts",
      from: "export function version(): string {",
      to: `export function version(): string { return ${JSON.stringify(version)};`,
    },
    {
      file: "src/kit/client/http-client.ts",
      from: 'part("undici/lib/dispatcher/client.js")',
      to: "undiciClient",
    },
    {
      file: "src/kit/client/http-client.ts",
      from: 'part("undici/lib/core/connect.js")',
      to: "undiciConnect",
    },
    {
      file: "src/kit/client/http-client.ts",
      from: "const part = createRequire(import.meta.url);",
      to: `import undiciClient from "undici/lib/dispatcher/client.js";
import undiciConnect from "undici/lib/core/connect.js";`,
    },
  ];
}

/** What `checkedConfig` says in the layer. */
export async function checkedExample(): Promise<Config> {
  const { sources } = exampleSettings();
  const catalog = createAllLambdaComponents({ listens() {}, done() {} });
  const loaded = await loadConfig({ sources, sets: [], env: {}, catalog, cwd: "/" });
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
  return loaded.config;
}

function changed(root: string, list: readonly Change[]): Plugin {
  return {
    name: "changed",
    transform: (code, id) => {
      let text = code;
      for (const { file, from, to } of list) {
        if (id !== join(root, file)) continue;
        const parts = text.split(from);
        if (parts.length !== 2) throw new Error(`${file}: expected once: ${from}`);
        text = parts.join(to);
      }
      return text === code ? undefined : { code: text, moduleType: "ts" };
    },
  };
}

/** A value as the source of an expression. Throws for what has no such form. */
export function sourceOf(value: unknown): string {
  if (value === undefined) return "void 0";
  if (Array.isArray(value)) return `[${value.map(sourceOf).join()}]`;
  if (value instanceof Map) return `new Map(${sourceOf([...value])})`;
  if (value instanceof Secret) return `new Secret(${JSON.stringify(value.reveal())})`;
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) {
    const source = JSON.stringify(value);
    const isSame = typeof value !== "function" && Object.is(JSON.parse(source), value);
    if (!isSame) throw new Error(`${String(value)} has no source`);
    return source;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype)
    throw new Error(`a ${value.constructor.name} has no source`);
  const members = Object.entries(value).map(
    ([name, of]) => `${JSON.stringify(name)}:${sourceOf(of)}`,
  );
  return `({${members.join()}})`;
}
