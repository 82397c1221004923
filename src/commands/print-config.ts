import { stringify } from "yaml";
import type { Catalog } from "../config/config.ts";
import { loadWithTree, withTranslated } from "../config/load.ts";
import { redacted } from "../config/print.ts";
import { formatProblem } from "../config/problem.ts";
import { toPlain } from "../config/tree.ts";
import { CONFIG_FLAGS, parseArguments, UsageError } from "./arguments.ts";
import type { Output } from "./output.ts";

/** Prints the merged and expanded configuration: without secrets, unless asked for. Problems go to stderr, and 1. */
export async function runPrintConfig(
  args: readonly string[],
  catalog: Catalog,
  { out, err }: Output,
): Promise<number> {
  const { list, text } = parseArguments(args, { ...CONFIG_FLAGS, mode: "text", format: "text" });
  const mode = choice("mode", text("mode") ?? "redacted", ["redacted", "unredacted"]);
  const format = choice("format", text("format") ?? "yaml", ["yaml", "json"]);
  const { loaded, root } = await loadWithTree({
    sources: list("config"),
    sets: list("set"),
    env: process.env,
    catalog,
    cwd: process.cwd(),
  });
  if (!loaded.ok || root === undefined) {
    const problems = loaded.ok ? [] : loaded.problems;
    err(problems.map((problem) => `${formatProblem(problem)}\n`).join(""));
    return 1;
  }
  const value = mode === "redacted" ? redacted(root, withTranslated(catalog)) : toPlain(root);
  out(
    format === "json"
      ? `${JSON.stringify(value, null, 2)}\n`
      : stringify(value, { aliasDuplicateObjects: false }),
  );
  return 0;
}

function choice(flag: string, given: string, valid: readonly string[]): string {
  if (valid.includes(given)) return given;
  throw new UsageError(`--${flag} must be ${valid.join(" or ")}, got "${given}"`);
}
