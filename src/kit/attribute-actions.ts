import { createHash } from "node:crypto";
import { RE2JS } from "re2js";
import { z } from "zod";
import type { Attributes, AttributeValue } from "../otlp/draft.ts";
import type { KeyId, Keys } from "../otlp/keys.ts";
import { Kind } from "../otlp/tape.ts";
import type { RequestMetadata } from "../pipeline/contracts.ts";

/**
 * The action list of the Collector's `attributes` and `resource` processors (attraction.go of its contrib repository tells the
 * semantics), plus `rename`, which is ours. Patterns run on a linear-time engine.
 */

const ACTIONS = [
  "insert",
  "update",
  "upsert",
  "delete",
  "hash",
  "extract",
  "convert",
  "rename",
] as const;

/** A regular expression in RE2 syntax. */
export const linearPattern = z.string().transform((text, context) => {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    context.addIssue({ code: "custom", message: `not a regular expression (RE2 syntax): ${why}` });
    return z.NEVER;
  }
});

const action = z
  .strictObject({
    action: z
      .preprocess((text) => (typeof text === "string" ? text.toLowerCase() : text), z.enum(ACTIONS))
      .describe("insert, update, upsert, delete, hash, extract, convert or rename."),
    key: z.string().min(1).optional().describe("Attribute to act on."),
    value: z
      .union([z.string(), z.number(), z.boolean()])
      .optional()
      .describe("insert, update, upsert: the value; whole numbers become integers."),
    from_attribute: z
      .string()
      .min(1)
      .optional()
      .describe("insert, update, upsert: take the value of this attribute."),
    from_context: z
      .string()
      .regex(
        /^metadata\../,
        "must be metadata. and the name of a header, such as metadata.x-tenant",
      )
      .transform((source) => source.slice("metadata.".length).toLowerCase())
      .optional()
      .describe(
        "insert, update, upsert: take the value of a header of the request, metadata.<name>; the receiver needs include_metadata: true.",
      ),
    pattern: linearPattern
      .optional()
      .describe("extract: expression with named groups. delete, hash: keys that match."),
    converted_type: z
      .enum(["int", "double", "string"])
      .optional()
      .describe("convert: the wanted type."),
    new_key: z
      .string()
      .min(1)
      .optional()
      .describe("rename: the new name; an attribute that has it already is replaced."),
  })
  .superRefine((entry, context) => {
    for (const message of mistakes(entry)) context.addIssue({ code: "custom", message });
  });
type ActionConfig = z.output<typeof action>;

export const attributeActions = z.array(action).min(1);
export type AttributeActions = z.output<typeof attributeActions>;

type Entry = { readonly [K in keyof ActionConfig]?: ActionConfig[K] | undefined };

/** Which options each action needs and takes; the rest would be silently ignored, so it is a mistake. */
const TAKES: Readonly<Record<(typeof ACTIONS)[number], readonly (keyof ActionConfig)[]>> = {
  insert: ["key", "value", "from_attribute", "from_context"],
  update: ["key", "value", "from_attribute", "from_context"],
  upsert: ["key", "value", "from_attribute", "from_context"],
  delete: ["key", "pattern"],
  hash: ["key", "pattern"],
  extract: ["key", "pattern"],
  convert: ["key", "converted_type"],
  rename: ["key", "new_key"],
};

function* mistakes(entry: Entry): Generator<string> {
  const kind = entry.action;
  if (kind === undefined) return;
  const takes = TAKES[kind];
  for (const option of [
    "key",
    "value",
    "from_attribute",
    "from_context",
    "pattern",
    "converted_type",
    "new_key",
  ] as const)
    if (entry[option] !== undefined && !takes.includes(option))
      yield `action ${kind} does not use ${option}; it takes ${takes.join(", ")}`;
  const sources = [entry.value, entry.from_attribute, entry.from_context];
  if (takes.includes("value") && sources.filter((source) => source !== undefined).length !== 1)
    yield `action ${kind} needs one of value, from_attribute and from_context`;
  if (kind === "delete" || kind === "hash") {
    if (entry.key === undefined && entry.pattern === undefined)
      yield `action ${kind} needs key or pattern`;
    return;
  }
  if (entry.key === undefined) yield `action ${kind} needs key`;
  if (kind === "convert" && entry.converted_type === undefined)
    yield "action convert needs converted_type";
  if (kind === "rename" && entry.new_key === undefined) yield "action rename needs new_key";
  if (kind === "extract") {
    const groups =
      entry.pattern === undefined ? 0 : Object.keys(entry.pattern.namedGroups()).length;
    if (groups === 0) yield "action extract needs a pattern with named groups, (?P<name>…)";
    else if (entry.pattern !== undefined && groups !== entry.pattern.groupCount())
      yield "action extract needs a name for every group of its pattern; use (?:…) for the others";
  }
}

/** One compiled action: edits the attributes under the cursor. */
type Edit = (attributes: Attributes, metadata?: RequestMetadata) => void;

/** Compiles the list once; the returned function applies it, in order, to the attributes under a cursor. */
export function compileActions(actions: AttributeActions, keys: Keys): Edit {
  const edits = actions.map((entry) => compile(entry, keys));
  return (attributes, metadata) => {
    for (const edit of edits) edit(attributes, metadata);
  };
}

function compile(entry: ActionConfig, keys: Keys): Edit {
  const key = keys.id(entry.key ?? "");
  switch (entry.action) {
    case "insert":
    case "update":
    case "upsert":
      return put(entry, key, keys);
    case "delete":
      return onMatching(entry, key, (attributes, slot) => attributes.delete(slot));
    case "hash":
      return onMatching(entry, key, (attributes, slot) => {
        attributes.replace(slot, sha256(attributes.value(slot)));
      });
    case "extract":
      return extract(entry, key, keys);
    case "convert":
      return (attributes) => {
        const slot = attributes.attribute(key);
        const converted = slot < 0 ? undefined : convert(attributes, slot, entry.converted_type);
        if (converted !== undefined) attributes.set(key, converted);
      };
    case "rename": {
      const to = keys.id(entry.new_key ?? "");
      return (attributes) => {
        const slot = attributes.attribute(key);
        if (slot >= 0) attributes.rename(slot, to);
      };
    }
  }
}

function put(entry: ActionConfig, key: KeyId, keys: Keys): Edit {
  const mayAdd = entry.action !== "update";
  const mayReplace = entry.action !== "insert";
  const { value, from_attribute, from_context } = entry;
  const fixed = typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
  const from = from_attribute === undefined ? undefined : keys.id(from_attribute);
  return (attributes, metadata) => {
    if (!(attributes.attribute(key) < 0 ? mayAdd : mayReplace)) return;
    if (fixed !== undefined) return attributes.set(key, fixed);
    const header = from_context === undefined ? undefined : metadata?.get(from_context);
    if (header !== undefined) return attributes.set(key, header);
    const source = from === undefined ? -1 : attributes.attribute(from);
    if (source >= 0) attributes.copy(source, key);
  };
}

/** Runs `edit` on the named attribute and on all whose key matches the pattern. */
function onMatching(
  entry: ActionConfig,
  key: KeyId,
  edit: (attributes: Attributes, slot: number) => void,
): Edit {
  const { pattern: expression } = entry;
  return (attributes) => {
    if (entry.key !== undefined) {
      const slot = attributes.attribute(key);
      if (slot >= 0) edit(attributes, slot);
    }
    if (expression === undefined) return;
    for (let i = attributes.count - 1; i >= 0; i--) {
      const slot = attributes.slotAt(i);
      if (expression.matcher(attributes.name(slot)).find()) edit(attributes, slot);
    }
  };
}

function extract(entry: ActionConfig, key: KeyId, keys: Keys): Edit {
  const { pattern: expression } = entry;
  if (expression === undefined) return () => {};
  const groups = Object.entries(expression.namedGroups()).map(([name, group]) => ({
    to: keys.id(name),
    group,
  }));
  return (attributes) => {
    const slot = attributes.attribute(key);
    if (slot < 0 || attributes.kind(slot) !== Kind.text) return;
    const match = expression.matcher(attributes.text(slot));
    if (!match.find()) return;
    for (const { to, group } of groups) attributes.set(to, match.group(group) ?? "");
  };
}

const INTEGER = /^[+-]?\d{1,19}$/;
const INT64_MAX = 2n ** 63n - 1n;

/** The value in the wanted type; undefined leaves it as it is. */
function convert(
  attributes: Attributes,
  slot: number,
  to: ActionConfig["converted_type"],
): AttributeValue | undefined {
  if (to === "string") return attributes.text(slot);
  const value = attributes.value(slot);
  if (to === "double") {
    if (typeof value === "string")
      return value.trim() === "" || Number.isNaN(Number(value)) ? undefined : Number(value);
    return typeof value === "bigint" || typeof value === "boolean" ? Number(value) : undefined;
  }
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (typeof value === "number")
    return Number.isFinite(value) ? BigInt(Math.trunc(value)) : undefined;
  if (typeof value !== "string" || !INTEGER.test(value)) return undefined;
  const integer = BigInt(value);
  return integer <= INT64_MAX && integer >= -INT64_MAX - 1n ? integer : undefined;
}

/** Lower-case hex SHA-256 of text as UTF-8, numbers as 8 bytes little endian, booleans as one byte; empty for the rest. */
function sha256(value: AttributeValue | undefined): string {
  const bytes = bytesOf(value);
  return bytes.length === 0 ? "" : createHash("sha256").update(bytes).digest("hex");
}

function bytesOf(value: AttributeValue | undefined): Uint8Array {
  if (typeof value === "string") return new TextEncoder().encode(value);
  if (value instanceof Uint8Array) return value;
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  const view = new DataView(new ArrayBuffer(8));
  if (typeof value === "bigint") view.setBigInt64(0, value, true);
  else if (typeof value === "number") view.setFloat64(0, value, true);
  else return new Uint8Array(0);
  return new Uint8Array(view.buffer);
}
