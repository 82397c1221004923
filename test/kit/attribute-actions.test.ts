import { expect, test } from "vitest";
import { attributeActions, compileActions } from "../../src/kit/attribute-actions.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { KEY_CAPACITY } from "../../src/otlp/key-table.ts";
import type { RequestMetadata } from "../../src/pipeline/contracts.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { cpuMs } from "../support/cpu.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";

const INPUT = {
  resourceLogs: [
    {
      resource: { attributes: [{ key: "service.name", value: { stringValue: "s" } }] },
      scopeLogs: [
        {
          logRecords: [
            {
              attributes: [
                { key: "text", value: { stringValue: "GET /api/v1?user=42" } },
                { key: "int", value: { intValue: "200" } },
                { key: "double", value: { doubleValue: 2.75 } },
                { key: "bool", value: { boolValue: true } },
                { key: "digits", value: { stringValue: "9007199254740993" } },
                { key: "secret.a", value: { stringValue: "x" } },
                { key: "secret.b", value: { stringValue: "y" } },
              ],
            },
          ],
        },
      ],
    },
  ],
};

/** SHA-256 of "x" and "y". */
const SHA_X = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
const SHA_Y = "a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa";

/** The attributes of the one record after the actions, by key. */
function after(actions: unknown[], metadata?: RequestMetadata): Record<string, unknown> {
  const indexer = createIndexer();
  const edit = compileActions(attributeActions.parse(actions), indexer.keys);
  const wire = encodeRequest("logs", INPUT);
  const indexed = indexer.index("logs", withSlack(wire), wire.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const draft = indexed.batch.draft();
  for (let more = draft.items.first(); more; more = draft.items.next()) edit(draft.items, metadata);
  const sealed = draft.seal();
  const request = decodeRequest("logs", sealed.bytes.subarray(0, sealed.length)) as typeof INPUT;
  const list = request.resourceLogs[0]?.scopeLogs[0]?.logRecords[0]?.attributes ?? [];
  return Object.fromEntries(list.map(({ key, value }) => [key, value]));
}

test("insert adds only what is missing, update changes only what is there, upsert does both", () => {
  const result = after([
    { action: "insert", key: "int", value: 1 },
    { action: "insert", key: "new", value: "v" },
    { action: "update", key: "absent", value: "v" },
    { action: "update", key: "text", value: "changed" },
    { action: "UPSERT", key: "bool", value: false },
    { action: "upsert", key: "also", value: 1.5 },
  ]);
  expect(result).toMatchObject({
    int: { intValue: "200" },
    new: { stringValue: "v" },
    text: { stringValue: "changed" },
    bool: { boolValue: false },
    also: { doubleValue: 1.5 },
  });
  expect(result).not.toHaveProperty("absent");
});

test("from_attribute copies the value with its type; a missing source does nothing", () => {
  const result = after([
    { action: "insert", key: "copy", from_attribute: "int" },
    { action: "upsert", key: "text", from_attribute: "double" },
    { action: "upsert", key: "none", from_attribute: "absent" },
  ]);
  expect(result).toMatchObject({ copy: { intValue: "200" }, text: { doubleValue: 2.75 } });
  expect(result).not.toHaveProperty("none");
});

test("delete by key and by pattern", () => {
  const result = after([
    { action: "delete", key: "int" },
    { action: "delete", pattern: "^secret\\." },
  ]);
  expect(Object.keys(result)).toEqual(["text", "double", "bool", "digits"]);
});

test("hash is SHA-256 in hex: text as UTF-8, integers as eight bytes, by key and by pattern", () => {
  const result = after([
    { action: "hash", key: "int" },
    { action: "hash", pattern: "secret" },
  ]);
  expect(result).toMatchObject({
    "secret.a": { stringValue: SHA_X },
    "secret.b": { stringValue: SHA_Y },
    int: { stringValue: expect.stringMatching(/^[0-9a-f]{64}$/) },
  });
});

test("hash by pattern takes names that came when the key table was full, and each of equal names", () => {
  const indexer = createIndexer();
  const actions = attributeActions.parse([{ action: "hash", pattern: "^secret" }]);
  const edit = compileActions(actions, indexer.keys);
  expect(() => {
    for (let i = 0; i <= KEY_CAPACITY; i++) indexer.keys.id(`filler.${i}`);
  }).toThrow(RangeError);
  const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } });
  const list = [
    attribute("secret.late", "x"),
    attribute("open", "y"),
    attribute("secret.late", "y"),
  ];
  const wire = encodeRequest("logs", {
    resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes: list }] }] }],
  });
  const indexed = indexer.index("logs", withSlack(wire), wire.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const draft = indexed.batch.draft();
  for (let more = draft.items.first(); more; more = draft.items.next()) edit(draft.items);
  const sealed = draft.seal();
  expect(decodeRequest("logs", sealed.bytes.subarray(0, sealed.length))).toEqual({
    resourceLogs: [
      {
        scopeLogs: [
          {
            logRecords: [
              {
                attributes: [
                  attribute("secret.late", SHA_X),
                  attribute("open", "y"),
                  attribute("secret.late", SHA_Y),
                ],
              },
            ],
          },
        ],
      },
    ],
  });
});

test("extract puts named groups into attributes, and only from text that matches", () => {
  const result = after([
    { action: "extract", key: "text", pattern: "^(?P<method>\\w+) (?P<path>[^?]*)" },
    { action: "extract", key: "int", pattern: "(?P<never>.*)" },
    { action: "extract", key: "text", pattern: "nothing (?P<no>x)" },
  ]);
  expect(result).toMatchObject({
    method: { stringValue: "GET" },
    path: { stringValue: "/api/v1" },
  });
  expect(result).not.toHaveProperty("never");
  expect(result).not.toHaveProperty("no");
});

test("convert changes what can be converted and leaves the rest", () => {
  expect(
    after([
      { action: "convert", key: "int", converted_type: "string" },
      { action: "convert", key: "double", converted_type: "int" },
      { action: "convert", key: "bool", converted_type: "int" },
      { action: "convert", key: "digits", converted_type: "int" },
      { action: "convert", key: "text", converted_type: "int" },
      { action: "convert", key: "absent", converted_type: "int" },
    ]),
  ).toMatchObject({
    int: { stringValue: "200" },
    double: { intValue: "2" },
    bool: { intValue: "1" },
    digits: { intValue: "9007199254740993" },
    text: { stringValue: "GET /api/v1?user=42" },
  });
});

test("rename keeps value and type", () => {
  const result = after([{ action: "rename", key: "double", new_key: "duration.ms" }]);
  expect(result).toMatchObject({ "duration.ms": { doubleValue: 2.75 } });
  expect(result).not.toHaveProperty("double");
});

test.each([
  [{ action: "insert", key: "k", from_context: "x-tenant" }, "must be metadata. and the name"],
  [{ action: "delete", key: "k", from_context: "metadata.x" }, "does not use from_context"],
  [
    { action: "insert", key: "k", value: 1, from_context: "metadata.x" },
    "needs one of value, from_attribute and from_context",
  ],
  [{ action: "insert", key: "k" }, "needs one of value, from_attribute and from_context"],
  [{ action: "insert", value: 1 }, "needs key"],
  [
    { action: "upsert", key: "k", value: 1, from_attribute: "x" },
    "needs one of value, from_attribute and from_context",
  ],
  [{ action: "delete" }, "needs key or pattern"],
  [{ action: "delete", key: "k", value: 1 }, "does not use value"],
  [{ action: "extract", key: "k", pattern: "x" }, "named groups"],
  [{ action: "extract", key: "k", pattern: "(?P<a>x)(y)" }, "a name for every group"],
  [{ action: "convert", key: "k" }, "needs converted_type"],
  [{ action: "rename", key: "k" }, "needs new_key"],
  [{ action: "hash", pattern: "(" }, "not a regular expression"],
])("%j is a mistake", (action, why) => {
  const { error } = attributeActions.safeParse([action]);
  expect(error?.issues.map(({ message }) => message).join("; ")).toContain(why);
});

test("a pattern that explodes elsewhere runs in linear time", async () => {
  const actions = attributeActions.parse([{ action: "delete", pattern: "^(a+)+$" }]);
  const indexer = createIndexer();
  const key = `${"a".repeat(50_000)}!`;
  const wire = encodeRequest("logs", {
    resourceLogs: [
      { scopeLogs: [{ logRecords: [{ attributes: [{ key, value: { stringValue: "v" } }] }] }] },
    ],
  });
  const indexed = indexer.index("logs", withSlack(wire), wire.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  const draft = indexed.batch.draft();
  const run = () => {
    draft.items.first();
    compileActions(actions, indexer.keys)(draft.items);
  };
  expect(await cpuMs(run)).toBeLessThan(2_000);
  expect(draft.items.count).toBe(1);
});

test("from_context takes headers of the request, whatever their case; without one, nothing is done", () => {
  const metadata = new Map([["x-tenant", "acme"]]);
  const from = (action: string, key: string, name: string) => ({
    ...{ action, key },
    from_context: `metadata.${name}`,
  });
  const actions = [
    from("insert", "tenant", "X-Tenant"),
    from("insert", "text", "x-tenant"),
    from("update", "int", "x-tenant"),
    from("upsert", "bool", "x-other"),
    from("upsert", "other", "x-other"),
  ];
  const edited = after(actions, metadata);
  const acme = { stringValue: "acme" };
  expect(edited).toMatchObject({ tenant: acme, int: acme, bool: { boolValue: true } });
  expect(edited).toMatchObject({ text: { stringValue: "GET /api/v1?user=42" } });
  expect(edited).not.toHaveProperty("other");
  expect(after(actions)).toEqual(after([{ action: "delete", key: "nothing" }]));
});
