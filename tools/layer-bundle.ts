import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Plugin, rolldown } from "rolldown";
import { shippedTables } from "../src/series/tables/load.ts";

/** Source that stands for another in the bundle; it must be found there, so that a change of the source is noticed. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The extension as ES modules by file name, `extension.mjs` and what it loads when it must: nothing is read from a package, and the tables are parsed now instead of at every cold start. */
export async function bundleExtension(root: string): Promise<ReadonlyMap<string, string>> {
  const input = "weir:lambda-extension";
  const bundle = await rolldown({
    input,
    platform: "node",
    external: ["snappy"],
    plugins: [entry(input, root), changed(root, changes(root))],
    logLevel: "warn",
  });
  const { output } = await bundle.generate({
    format: "esm",
    minify: true,
    comments: false,
    entryFileNames: "extension.mjs",
    chunkFileNames: "[name].mjs",
  });
  await bundle.close();
  return new Map(
    output.map((part) => {
      if (part.type !== "chunk") throw new Error(`${part.fileName} is no module`);
      return [part.fileName, part.code];
    }),
  );
}

/** The module that Lambda's wrapper starts. */
function entry(input: string, root: string): Plugin {
  const command = join(root, "src", "commands", "lambda-extension.ts");
  return {
    name: "entry",
    resolveId: (id) => (id === input ? id : undefined),
    load: (id) =>
      id === input
        ? `import { runLambdaExtension } from ${JSON.stringify(command)};
process.exitCode = await runLambdaExtension(process.argv.slice(2));`
        : undefined,
  };
}

function changes(root: string): Change[] {
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
