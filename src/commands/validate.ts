import type { Catalog } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { CONFIG_FLAGS, parseArguments } from "./arguments.ts";
import type { Output } from "./output.ts";

/** Silent and 0 when the configuration is right; else every mistake on stderr, and 1. Warnings go there too, and change nothing. */
export async function runValidate(
  args: readonly string[],
  catalog: Catalog,
  { err }: Output,
): Promise<number> {
  const { list } = parseArguments(args, CONFIG_FLAGS);
  const loaded = await loadConfig({
    sources: list("config"),
    sets: list("set"),
    env: process.env,
    catalog,
    cwd: process.cwd(),
  });
  err(loaded.warnings.map((warning) => `warning: ${formatProblem(warning)}\n`).join(""));
  if (loaded.ok) return 0;
  err(loaded.problems.map((problem) => `${formatProblem(problem)}\n`).join(""));
  return 1;
}
