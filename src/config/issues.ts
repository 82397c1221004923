import type { z } from "zod";
import { suggestion } from "../lib/nearest.ts";
import { isSecret, isWhole, keysOf, schemaAt } from "./schema-shape.ts";
import type { Path } from "./tree.ts";

/** One sentence about one place in the options of a component. */
export interface Sentence {
  readonly path: Path;
  readonly message: string;
  /** The message is about the key itself, not about what stands behind it. */
  readonly aboutKey?: boolean;
}

type Issue = z.core.$ZodIssue;

/** Given to zod as its words: what differs from it was written by us, in the schema. */
export const NO_WORDS = "\u0000";

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
  null: "nothing",
  nonoptional: "a value",
};

/** Says what zod found in plain words; `value` and `schema` are what it looked at. */
export function sentences(
  issues: readonly Issue[],
  schema: z.core.$ZodType,
  value: unknown,
): Sentence[] {
  return issues.flatMap((issue) => sentence(issue, schema, value));
}

function sentence(issue: Issue, schema: z.core.$ZodType, value: unknown): Sentence[] {
  const path = issue.path.filter((step) => typeof step !== "symbol");
  if (issue.message !== NO_WORDS && issue.message !== "" && issue.code !== "unrecognized_keys")
    return [{ path, message: issue.message }];
  if (issue.code === "unrecognized_keys") {
    const known = keysOf(schemaAt(schema, path)) ?? [];
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `unknown key "${key}"${suggestion(key, known)}`,
      aboutKey: true,
    }));
  }
  const here = valueAt(value, path);
  if (here === undefined && path.length > 0)
    return [
      { path, message: `"${path.at(-1)}" is missing${wanted(issue, schemaAt(schema, path))}` },
    ];
  if (issue.code === "invalid_union") return union(issue, path, schema, here);
  const got = show(here, isSecret(schemaAt(schema, path)) || soundsSecret(path));
  return [{ path, message: `expected ${expected(issue, schemaAt(schema, path))}, got ${got}` }];
}

function wanted(issue: Issue, schema: z.core.$ZodType | undefined): string {
  return issue.code === "invalid_type" || issue.code === "invalid_value"
    ? `: expected ${expected(issue, schema)}`
    : "";
}

/** What a single issue asked for. */
function expected(issue: Issue, schema?: z.core.$ZodType): string {
  switch (issue.code) {
    case "invalid_type":
      if (issue.expected === "number" && isWhole(schema)) return "a whole number";
      return KINDS[issue.expected] ?? `a ${issue.expected}`;
    case "invalid_value":
      return oneOf(issue.values.map(String));
    case "too_small":
      return amount(
        issue.origin,
        issue.inclusive === false ? "more than" : "at least",
        issue.minimum,
      );
    case "too_big":
      return amount(
        issue.origin,
        issue.inclusive === false ? "less than" : "at most",
        issue.maximum,
      );
    case "not_multiple_of":
      return `a multiple of ${issue.divisor}`;
    case "invalid_format":
      return format(issue);
    case "invalid_key":
      return "another key";
    default:
      return "another value";
  }
}

function amount(origin: string, how: string, limit: number | bigint): string {
  if (origin === "string")
    return limit === 1 ? "a text that is not empty" : `${how} ${limit} characters`;
  if (origin === "array" || origin === "set" || origin === "map") return `${how} ${limit} entries`;
  return `a number that is ${how} ${limit}`;
}

function format(issue: z.core.$ZodIssueInvalidStringFormat): string {
  if ("prefix" in issue) return `a text that starts with "${issue.prefix}"`;
  if (issue.format === "regex") return `a text that matches ${issue.pattern}`;
  return `a valid ${issue.format}`;
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? `${values[0]}` : `one of ${values.join(", ")}`;
}

/** Of a union, the alternative that the writer most likely meant: the one that got furthest. Else what all of them expect. */
function union(
  issue: z.core.$ZodIssueInvalidUnion,
  path: Path,
  schema: z.core.$ZodType,
  here: unknown,
): Sentence[] {
  const alternatives = issue.errors.filter((list) => list.length > 0);
  const deep = alternatives
    .filter((list) =>
      list.every((inner) => inner.path.length > 0 || inner.code === "unrecognized_keys"),
    )
    .sort((a, b) => a.length - b.length)[0];
  const inside = schemaAt(schema, path);
  if (deep && inside)
    return sentences(deep, inside, here).map((s) => ({ ...s, path: [...path, ...s.path] }));
  const wants = new Set(alternatives.flat().map((inner) => expected(inner)));
  const got = show(here, isSecret(inside) || soundsSecret(path));
  return [{ path, message: `expected ${[...wants].join(" or ") || "another value"}, got ${got}` }];
}

function valueAt(value: unknown, path: Path): unknown {
  let here = value;
  for (const step of path) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, step)) return undefined;
    here = (here as Readonly<Record<string | number, unknown>>)[step];
  }
  return here;
}

/** Names whose values are not repeated in messages, whatever the schema says. */
export function soundsSecret(path: Path): boolean {
  return path.some((step) =>
    /token|password|passwd|secret|api_?key|authorization|credential|^headers$/i.test(String(step)),
  );
}

/** A value in a message: short, and never a secret. */
export function show(value: unknown, isHidden: boolean): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (isHidden) return typeof value === "string" ? "a text" : `a ${typeof value}`;
  if (typeof value === "string" && /\/\/[^/]*@/.test(value)) return "a text with a login in it";
  if (typeof value === "string")
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return String(value);
}
