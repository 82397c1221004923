import type { z } from "zod";
import { NO_WORDS, type Sentence, sentences } from "./issues.ts";
import type { Place, Problems } from "./problem.ts";
import { keyAt, type Node, nodeAt, type Path, placeAt, toPlain, withNode } from "./tree.ts";

/** Repairs that one block of options may need; each round repairs all that is visible. */
const MAX_ROUNDS = 6;

/** What a schema made of a block, or undefined after its mistakes were reported. */
export function parseOptions<T>(
  schema: z.ZodType<T>,
  written: Node,
  at: Place,
  problems: Problems,
): { readonly options: T } | undefined {
  let node = written;
  for (let round = 0; ; round++) {
    const value = toPlain(node);
    const result = attempt(schema, value, at, problems);
    if (result === undefined) return undefined;
    if (result.success) return { options: result.data };
    const found = sentences(result.error.issues, schema, value);
    const repaired = round < MAX_ROUNDS ? repair(node, result.error.issues) : node;
    if (repaired !== node) {
      node = repaired;
      continue;
    }
    for (const each of found) report(each, written, at, problems);
    return undefined;
  }
}

function attempt<T>(schema: z.ZodType<T>, value: unknown, at: Place, problems: Problems) {
  try {
    return schema.safeParse(value, { error: () => NO_WORDS });
  } catch (error) {
    problems.error(at, `cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function report({ path, message, aboutKey }: Sentence, node: Node, at: Place, problems: Problems) {
  const place = path.length === 0 ? at : aboutKey ? keyAt(node, path) : nodeAt(node, path)?.place;
  const owner = path.slice(0, -1);
  const nearby = owner.length === 0 ? at : (keyAt(node, owner) ?? placeAt(node, path));
  problems.error(place ?? nearby, message);
}

/**
 * The Collector's decoding rules that a schema does not know: a variable's text is used where a text is expected, nothing
 * (`key:`) means the default, and "a,b" is a list where one is expected.
 */
function repair(node: Node, issues: readonly z.core.$ZodIssue[]): Node {
  let repaired = node;
  for (const issue of issues) {
    const path = issue.path.filter((step) => typeof step !== "symbol");
    const here = path.length > 0 ? nodeAt(repaired, path) : undefined;
    if (here === undefined) continue;
    const wants = wantedKinds(issue);
    const isText = here.kind === "scalar" && typeof here.value === "string";
    if (here.original !== undefined && wants.has("string") && !isText)
      repaired = replace(repaired, path, here.original, here.place);
    else if (here.kind === "scalar" && here.value === null && typeof path.at(-1) === "string")
      repaired = withNode(repaired, path, undefined);
    else if (isText && wants.has("array") && here.value !== "")
      repaired = withNode(repaired, path, {
        kind: "list",
        items: String(here.value)
          .split(",")
          .map((value) => ({ kind: "scalar", value, place: here.place })),
        place: here.place,
      });
  }
  return repaired;
}

function replace(node: Node, path: Path, value: string, place: Place): Node {
  return withNode(node, path, { kind: "scalar", value, place });
}

function wantedKinds(issue: z.core.$ZodIssue): ReadonlySet<string> {
  if (issue.code === "invalid_type") return new Set([issue.expected]);
  if (issue.code === "invalid_value")
    return new Set(issue.values.some((value) => typeof value === "string") ? ["string"] : []);
  if (issue.code !== "invalid_union") return new Set();
  return new Set(
    issue.errors
      .flat()
      .filter((inner) => inner.path.length === 0)
      .flatMap((inner) => [...wantedKinds(inner)]),
  );
}
