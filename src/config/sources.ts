import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { MAX_TEXT, parseYaml } from "./parse-yaml.ts";
import type { Place, Problems } from "./problem.ts";
import { emptyMap, merge, type Node } from "./tree.ts";

/** Files, variables and texts given with --config. */
export const MAX_SOURCES = 100;

const URI = /^([A-Za-z][A-Za-z0-9+.-]+):(.*)$/s;

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative paths start here. */
  readonly cwd: string;
}

/** Reads every source and every --set, and merges them in that order. */
export async function readSources(
  sources: readonly string[],
  sets: readonly string[],
  around: Surroundings,
  problems: Problems,
): Promise<Node | undefined> {
  const start: Place = { file: "--config", line: 1, column: 1 };
  if (sources.length === 0)
    problems.error(
      start,
      "at least one configuration is needed, for example --config otel-config.yaml",
    );
  if (sources.length > MAX_SOURCES)
    problems.error(start, `at most ${MAX_SOURCES} configurations can be merged`);
  let merged: Node | undefined;
  for (const source of sources.slice(0, MAX_SOURCES)) {
    const node = await readSource(source, around, problems);
    if (node === undefined) continue;
    if (node.kind === "map") merged = merged ? merge(merged, node) : node;
    else if (node.kind === "scalar" && node.value === null)
      problems.error(node.place, "the configuration is empty: it needs receivers, exporters, …");
    else
      problems.error(
        node.place,
        "expected a mapping with receivers, exporters, service at the top",
      );
  }
  for (const set of sets) {
    const node = readSet(set, problems);
    if (node) merged = merge(merged ?? emptyMap(node.place), node);
  }
  return merged;
}

/** What is written behind --config: a URI of a known scheme, or a path. */
async function readSource(
  source: string,
  around: Surroundings,
  problems: Problems,
): Promise<Node | undefined> {
  const [, scheme = "file", opaque = source] = URI.exec(source) ?? [];
  const at: Place = { file: source, line: 1, column: 1 };
  if (scheme === "file") return readYamlFile(opaque, around.cwd, problems, at);
  if (scheme === "yaml") {
    const node = parseYaml("yaml:", opaque, problems);
    return node && splitKeys(node);
  }
  if (scheme === "env") {
    const text = around.env[opaque];
    if (text !== undefined) return parseYaml(source, text, problems);
    problems.error(at, `the environment variable ${opaque} is not set`);
  } else problems.error(at, unknownScheme(scheme));
  return undefined;
}

/** The message for a URI of a scheme that is not built in. */
export function unknownScheme(scheme: string): string {
  return `unknown scheme "${scheme}": use file:, env: or yaml:`;
}

/** The text of a small file; undefined after an error was reported at `at`. */
export async function readText(
  path: string,
  cwd: string,
  problems: Problems,
  at: Place,
): Promise<string | undefined> {
  const file = resolve(cwd, path);
  try {
    // Devices and pipes may never end: only regular files have a size to check first.
    const { size } = await stat(file).then((found) =>
      found.isFile() ? found : Promise.reject(new Error("not a file")),
    );
    if (size <= MAX_TEXT) return await readFile(file, "utf8");
    problems.error(at, `${path} is larger than 1 MiB: split it`);
  } catch (error) {
    problems.error(at, `cannot read ${path}: ${reason(error)}`);
  }
  return undefined;
}

async function readYamlFile(
  path: string,
  cwd: string,
  problems: Problems,
  at: Place,
): Promise<Node | undefined> {
  const text = await readText(path, cwd, problems, { ...at, file: path });
  return text === undefined ? undefined : parseYaml(path, text, problems);
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "no permission";
  return code ?? message;
}

/** `a.b.c=value`; the value is YAML, its text is kept for options that are texts. */
function readSet(set: string, problems: Problems): Node | undefined {
  const equals = set.indexOf("=");
  const path = equals < 0 ? set : set.slice(0, equals);
  const at: Place = { file: `--set ${path}`, line: 1, column: 1 };
  const steps = path.split(/\.|::/);
  if (equals < 0) problems.error(at, "an equal sign is missing: --set a.b.c=value");
  else if (steps.some((step) => step === "" || step === "__proto__"))
    problems.error(at, "expected keys with dots between them: --set a.b.c=value");
  else if (steps.length > 64) problems.error(at, "more than 64 keys");
  else {
    const text = set.slice(equals + 1);
    const value = parseYaml(at.file, text, problems, at);
    return value && nest(steps, withOriginal(value, text), at);
  }
  return undefined;
}

/** Keeps what was written beside what YAML made of it. */
export function withOriginal(node: Node, original: string): Node {
  return { ...node, original };
}

function nest(steps: readonly string[], value: Node, at: Place): Node {
  return steps.reduceRight<Node>(
    (inner, step) => ({ kind: "map", entries: new Map([[step, { at, value: inner }]]), place: at }),
    value,
  );
}

/** `yaml:a::b: v` says where in the tree the value belongs. */
function splitKeys(node: Node): Node {
  if (node.kind !== "map") return node;
  let whole: Node = { ...node, entries: new Map() };
  for (const [key, { at, value }] of node.entries) {
    const steps = key.split("::").slice(0, 64);
    whole = merge(whole, nest(steps, splitKeys(value), at));
  }
  return whole;
}
