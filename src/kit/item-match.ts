import { RE2JS } from "re2js";
import { z } from "zod";
import type { AttributeValue, ItemCursor } from "../otlp/draft.ts";
import type { Keys } from "../otlp/keys.ts";
import type { Signal } from "../otlp/tape.ts";
import { linearPattern } from "./attribute-actions.ts";

/**
 * `include` and `exclude` of the Collector's `attributes` processor (filterconfig and filterlog, filterspan, filtermetric of its
 * contrib repository tell the semantics): every property that is given must match, and of a property's list one entry; of `attributes`
 * and `resources` all. Patterns are found anywhere in the text, on a linear-time engine.
 */

const SPAN_KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const texts = z.array(z.string()).min(1).optional();
const attributeList = z
  .array(
    z.strictObject({
      key: z.string().min(1).describe("Name of the attribute."),
      value: z
        .union([z.string(), z.number(), z.boolean()])
        .optional()
        .describe(
          "Its value, or with `match_type: regexp` a pattern of its text. Absent: any value.",
        ),
    }),
  )
  .min(1)
  .optional();

const properties = z.strictObject({
  match_type: z.enum(["strict", "regexp"]).describe("How texts are compared."),
  services: texts.describe("The resource's service.name."),
  resources: attributeList.describe("Attributes of the resource; all must match."),
  attributes: attributeList.describe("Attributes of the item; all must match."),
  libraries: z
    .array(
      z.strictObject({
        name: z.string().describe("Name of the instrumentation scope."),
        version: z.string().optional().describe("Its version. Absent: any."),
      }),
    )
    .min(1)
    .optional()
    .describe("Instrumentation scopes."),
  span_names: texts.describe("Traces: names of spans."),
  span_kinds: z
    .array(
      z.string().transform((text, context) => {
        const kind = text.toLowerCase().replace(/^span_kind_/, "");
        if (SPAN_KINDS.includes(kind)) return kind;
        context.addIssue({ code: "custom", message: `expected one of ${SPAN_KINDS.join(", ")}` });
        return z.NEVER;
      }),
    )
    .min(1)
    .optional()
    .describe("Traces: kinds of spans, such as server or SPAN_KIND_SERVER."),
  log_bodies: texts.describe("Logs: texts of bodies."),
  log_severity_texts: texts.describe("Logs: texts of severities."),
  log_severity_number: z
    .strictObject({
      min: z.int().min(1).max(24).describe("The lowest severity number that matches, 1 to 24."),
      match_undefined: z
        .boolean()
        .default(false)
        .describe("Whether records without a severity number match."),
    })
    .optional()
    .describe("Logs: severity numbers."),
  metric_names: texts.describe("Metrics: names of metrics."),
});

/** One of `include` and `exclude`. */
export const itemMatch = properties.superRefine((given, context) => {
  if (Object.values(given).filter((value) => value !== undefined).length < 2)
    context.addIssue({ code: "custom", message: "needs a property to match, such as services" });
  if (given.match_type !== "regexp") return;
  const lists = [given.services, given.span_names, given.log_bodies, given.log_severity_texts];
  const named = [...(given.resources ?? []), ...(given.attributes ?? [])];
  for (const text of [
    ...lists.flatMap((list) => list ?? []),
    ...(given.metric_names ?? []),
    ...named.flatMap(({ value }) => (typeof value === "string" ? [value] : [])),
    ...(given.libraries ?? []).flatMap(({ name, version }) => [name, version ?? ""]),
  ]) {
    const checked = linearPattern.safeParse(text);
    if (!checked.success)
      context.addIssue({
        code: "custom",
        message: `"${text}": ${checked.error.issues[0]?.message}`,
      });
  }
});
export type ItemMatch = z.output<typeof itemMatch>;

/** Properties that only one signal has. */
const ONLY: Readonly<Record<string, Signal>> = {
  span_names: "traces",
  span_kinds: "traces",
  log_bodies: "logs",
  log_severity_texts: "logs",
  log_severity_number: "logs",
  metric_names: "metrics",
};

/** Why a match can never hold for a signal; undefined = it can. */
export function unsupportedMatch(match: ItemMatch | undefined, signal: Signal): string | undefined {
  for (const [property, only] of Object.entries(ONLY))
    if (match !== undefined && only !== signal && property in match)
      return `${property} matches ${only}, and this is a pipeline of ${signal}`;
  return undefined;
}

type Test = (items: ItemCursor) => boolean;

/** Compiles a match; the returned function says whether it holds for the item under the cursor. Absent: undefined. */
export function compileMatch(match: ItemMatch | undefined, keys: Keys): Test | undefined {
  if (match === undefined) return undefined;
  const textTest = match.match_type === "regexp" ? patternTest : strictTest;
  const tests: Test[] = [];
  const slotTest = (list: readonly string[] | undefined, slotOf: (items: ItemCursor) => number) => {
    if (list === undefined) return;
    const holds = list.map(textTest);
    tests.push((items) => {
      const slot = slotOf(items);
      const text = slot < 0 ? "" : items.text(slot);
      return holds.some((hold) => hold(text));
    });
  };
  const serviceName = keys.id("service.name");
  slotTest(match.services, (items) => items.resource(serviceName));
  slotTest(match.span_names, (items) => items.builtin("name"));
  slotTest(match.metric_names, (items) => items.builtin("name"));
  slotTest(match.log_bodies, (items) => items.builtin("body"));
  slotTest(match.log_severity_texts, (items) => items.builtin("severity"));
  const kinds = match.span_kinds;
  if (kinds !== undefined)
    tests.push((items) => kinds.includes(SPAN_KINDS[items.spanKind] ?? "unspecified"));
  const severity = match.log_severity_number;
  if (severity !== undefined)
    tests.push(({ severityNumber: number }) =>
      number === 0 ? severity.match_undefined : number >= severity.min,
    );
  const libraries = match.libraries?.map(({ name, version }) => ({
    name: textTest(name),
    version: version === undefined ? () => true : textTest(version),
  }));
  if (libraries !== undefined)
    tests.push((items) => {
      const name = scopeText(items, "scope_name");
      const version = scopeText(items, "scope_version");
      return libraries.some((library) => library.name(name) && library.version(version));
    });
  for (const { key, value } of match.attributes ?? [])
    tests.push(valueTest(keys, key, value, textTest, (items, id) => items.attribute(id)));
  for (const { key, value } of match.resources ?? [])
    tests.push(valueTest(keys, key, value, textTest, (items, id) => items.resource(id)));
  return (items) => tests.every((holds) => holds(items));
}

function scopeText(items: ItemCursor, field: "scope_name" | "scope_version"): string {
  const slot = items.builtin(field);
  return slot < 0 ? "" : items.text(slot);
}

function strictTest(wanted: string): (text: string) => boolean {
  return (text) => text === wanted;
}

function patternTest(pattern: string): (text: string) => boolean {
  const compiled = RE2JS.compile(pattern);
  return (text) => compiled.matcher(text).find();
}

function valueTest(
  keys: Keys,
  key: string,
  wanted: string | number | boolean | undefined,
  textTest: typeof strictTest,
  slotOf: (items: ItemCursor, id: ReturnType<Keys["id"]>) => number,
): Test {
  const id = keys.id(key);
  const holds = typeof wanted === "string" ? textTest(wanted) : undefined;
  return (items) => {
    const slot = slotOf(items, id);
    if (slot < 0) return false;
    if (wanted === undefined) return true;
    if (holds === undefined) return isSame(items.value(slot), wanted);
    // Strict texts match texts only; a pattern matches the text of any value.
    if (textTest === strictTest && typeof items.value(slot) !== "string") return false;
    return holds(items.text(slot));
  };
}

function isSame(value: AttributeValue | undefined, wanted: number | string | boolean): boolean {
  return typeof value === "bigint" && typeof wanted === "number"
    ? Number.isInteger(wanted) && value === BigInt(wanted)
    : value === wanted;
}
