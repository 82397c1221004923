import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config, Loaded } from "../../src/config/config.ts";
import { type LoadOptions, loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { catalog } from "./catalog.ts";

/** Loads texts as if they were files a.yaml, b.yaml, … in a directory of their own; `more` are files that only references name. */
export async function load(
  texts: readonly string[],
  options: Partial<LoadOptions> = {},
  more: Readonly<Record<string, string>> = {},
): Promise<Loaded> {
  const cwd = mkdtempSync(join(tmpdir(), "weir-config-"));
  try {
    const sources = texts.map((text, i) => {
      const name = `${String.fromCharCode(97 + i)}.yaml`;
      writeFileSync(join(cwd, name), text);
      return name;
    });
    for (const [name, text] of Object.entries(more)) writeFileSync(join(cwd, name), text);
    return await loadConfig({ sources, sets: [], env: {}, catalog, cwd, ...options });
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

export function messages(loaded: Loaded): string[] {
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

export function warnings(loaded: Loaded): string[] {
  return loaded.warnings.map(formatProblem);
}

/** The configuration, or an error with everything that is wrong in it. */
export function configOf(loaded: Loaded): Config {
  if (loaded.ok) return loaded.config;
  throw new Error(messages(loaded).join("\n"));
}

/** A whole configuration around options of the `probe` receiver. */
export function probing(options: string): string {
  return `receivers:\n  probe:\n${options
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n")}\nexporters: { debug: }
service: { pipelines: { logs: { receivers: [probe], exporters: [debug] } } }\n`;
}

/** What the options of `probe` came out as, or the messages. */
export async function probe(
  options: string,
  env: LoadOptions["env"] = {},
  more: Readonly<Record<string, string>> = {},
  sets: readonly string[] = [],
): Promise<unknown> {
  const loaded = await load([probing(options)], { env, sets }, more);
  return loaded.ok ? loaded.config.receivers.get("probe")?.options : messages(loaded);
}
