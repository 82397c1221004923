import { describe, expect, test } from "vitest";
import { compileMatch, itemMatch, unsupportedMatch } from "../../src/kit/item-match.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { attributes } from "../../src/processors/attributes/index.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { encodeRequest } from "../support/otlp.ts";

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
const resource = { attributes: [text("service.name", "cart"), text("region", "eu-1")] };
const scope = { name: "shop.orders", version: "1.2.0" };
const LOGS = {
  resourceLogs: [
    {
      resource,
      scopeLogs: [
        {
          scope,
          logRecords: [
            {
              severityNumber: 17,
              severityText: "ERROR",
              body: { stringValue: "card refused" },
              attributes: [
                text("user", "u-1"),
                { key: "tries", value: { intValue: "3" } },
                { key: "vip", value: { boolValue: true } },
              ],
            },
            { body: { stringValue: "ok" } },
          ],
        },
      ],
    },
  ],
};
const TRACES = {
  resourceSpans: [
    {
      resource,
      scopeSpans: [
        {
          scope,
          spans: [{ name: "GET /cart", kind: 2 }, { name: "query", kind: 3 }, { name: "" }],
        },
      ],
    },
  ],
};
const METRICS = {
  resourceMetrics: [
    {
      resource,
      scopeMetrics: [
        {
          scope,
          metrics: ["cpu.time", "memory"].map((name) => ({
            name,
            gauge: { dataPoints: [{ timeUnixNano: "1", asInt: "1" }] },
          })),
        },
      ],
    },
  ],
};
const REQUESTS = { logs: LOGS, traces: TRACES, metrics: METRICS };

/** Which items of the request match, by position. */
function matching(signal: Signal, match: object): number[] {
  const indexer = createIndexer();
  const holds = compileMatch(itemMatch.parse({ match_type: "strict", ...match }), indexer.keys);
  const wire = encodeRequest(signal, REQUESTS[signal]);
  const indexed = indexer.index(signal, withSlack(wire), wire.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const { items } = indexed.batch.draft();
  const found: number[] = [];
  let at = 0;
  for (let more = items.first(); more; more = items.next(), at++)
    if (holds?.(items) === true) found.push(at);
  return found;
}

const regexp = { match_type: "regexp" };
test.each<[string, Signal, object, number[]]>([
  ["services", "logs", { services: ["other", "cart"] }, [0, 1]],
  ["no such service", "logs", { services: ["car"] }, []],
  ["services by pattern, found anywhere", "logs", { ...regexp, services: ["^ca"] }, [0, 1]],
  ["resources", "logs", { resources: [{ key: "region", value: "eu-1" }] }, [0, 1]],
  ["all resources must match", "logs", { resources: [{ key: "region" }, { key: "zone" }] }, []],
  ["attribute of any value", "logs", { attributes: [{ key: "user" }] }, [0]],
  ["integer attribute", "logs", { attributes: [{ key: "tries", value: 3 }] }, [0]],
  ["an integer is no text", "logs", { attributes: [{ key: "tries", value: "3" }] }, []],
  [
    "… but has one for a pattern",
    "logs",
    { ...regexp, attributes: [{ key: "tries", value: "^3$" }] },
    [0],
  ],
  ["boolean attribute", "logs", { attributes: [{ key: "vip", value: true }] }, [0]],
  ["bodies", "logs", { ...regexp, log_bodies: ["refused"] }, [0]],
  ["severity texts", "logs", { log_severity_texts: ["ERROR"] }, [0]],
  ["severity numbers", "logs", { log_severity_number: { min: 9 } }, [0]],
  ["… above", "logs", { log_severity_number: { min: 18 } }, []],
  ["… or none", "logs", { log_severity_number: { min: 18, match_undefined: true } }, [1]],
  ["scope and version", "logs", { libraries: [{ name: "shop.orders", version: "1.2.0" }] }, [0, 1]],
  ["another version", "logs", { libraries: [{ name: "shop.orders", version: "1.2" }] }, []],
  ["span names", "traces", { span_names: ["query", "GET /cart"] }, [0, 1]],
  ["span names by pattern", "traces", { ...regexp, span_names: ["^GET "] }, [0]],
  ["span kinds", "traces", { span_kinds: ["SPAN_KIND_SERVER"] }, [0]],
  ["span kinds in words", "traces", { span_kinds: ["client", "Unspecified"] }, [1, 2]],
  ["metric names", "metrics", { metric_names: ["memory"] }, [1]],
  ["every property must match", "metrics", { metric_names: ["memory"], services: ["x"] }, []],
])("%s", (_, signal, match, expected) => {
  expect(matching(signal, match)).toEqual(expected);
});

describe("mistakes", () => {
  test.each<[object, RegExp]>([
    [{ match_type: "strict" }, /needs a property to match, such as services/],
    [{ match_type: "exact", services: ["a"] }, /expected one of "strict"\|"regexp"/],
    [{ match_type: "regexp", services: ["("] }, /"\(": not a regular expression \(RE2 syntax\)/],
    [{ match_type: "regexp", attributes: [{ key: "a", value: "(" }] }, /not a regular expression/],
    [{ match_type: "strict", span_kinds: ["servr"] }, /expected one of unspecified, internal/],
    [{ match_type: "strict", services: [] }, /Too small/],
  ])("%j", (match, message) => {
    expect(itemMatch.safeParse(match).error?.issues[0]?.message).toMatch(message);
  });

  test("a property of another signal is refused before the start", () => {
    const match = itemMatch.parse({ match_type: "strict", span_names: ["a"] });
    expect(unsupportedMatch(match, "traces")).toBeUndefined();
    expect(unsupportedMatch(match, "logs")).toBe(
      "span_names matches traces, and this is a pipeline of logs",
    );
    const options = attributes.schema.parse({
      exclude: { match_type: "strict", span_names: ["a"] },
      actions: [{ action: "delete", key: "a" }],
    });
    expect(attributes.unsupported?.(options, "metrics")).toMatch(/^span_names/);
  });
});

test("the processor edits what is included and not excluded", () => {
  const { signal, context } = { signal: "logs" as const, context: { indexer: createIndexer() } };
  const transform = attributes.create(
    attributes.schema.parse({
      include: { match_type: "strict", services: ["cart"] },
      exclude: { match_type: "strict", log_bodies: ["ok"] },
      actions: [{ action: "insert", key: "edited", value: true }],
    }),
    context as Parameters<typeof attributes.create>[1],
  );
  const wire = encodeRequest(signal, LOGS);
  const indexed = context.indexer.index(signal, withSlack(wire), wire.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const draft = indexed.batch.draft();
  transform.apply(draft);
  const edited: boolean[] = [];
  const { items } = draft;
  for (let more = items.first(); more; more = items.next())
    edited.push(items.attribute(context.indexer.keys.id("edited")) >= 0);
  expect(edited).toEqual([true, false]);
});
