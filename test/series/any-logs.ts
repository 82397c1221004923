import fc from "fast-check";
import { ROUTE_INPUTS } from "../../src/series/request-route.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import type { Table } from "../../src/series/tables/tables.ts";

const tables = shippedTables();
/** What rules and matches look at beside sources. */
const LOOKED_AT = [
  ...ROUTE_INPUTS.flat(),
  ...tables.flatMap((table) => (table.match.spans?.oneOfEach ?? []).flat()),
  "faas.trigger",
  "some_time_iso",
  "other_cost",
];

/** Names that mean something to a table. */
const namesOf = (table: Table) =>
  table.columns.flatMap((c) => [
    c.name,
    ...c.sources.flatMap((s) => (s.of === "attribute" || s.of === "exception_event" ? s.name : [])),
  ]);
/** Names for one record: of one table and what rules and matches look at, or of all. */
const THEMES = [
  ...tables.map((table) => [...new Set([...namesOf(table), ...table.extraTags, ...LOOKED_AT])]),
  [...new Set(tables.flatMap(namesOf))],
].filter((names) => names.length > 0);
export const TABLE_NAMES = tables.map((table) => table.measurement);
export const odd = fc.string({ unit: "binary", maxLength: 12 }).filter((s) => s.isWellFormed());
export const text = fc.oneof(
  odd,
  fc.constantFrom(
    "",
    "OK",
    "Timed_Out",
    "failure",
    "true",
    "false",
    "12",
    "-3.5",
    "1e3",
    "9007199254740993",
    "9223372036854775808",
    "1e999",
    " a,b=c",
    "\\",
    "\\\\,",
    "a\\",
    "line\nline",
    '"q"',
    "\u0001\u007f",
    "time",
    "ÄÖ É",
    "𝕏😀",
    "ReadTIMEOUT",
    "404",
    "500",
    "GET",
    "GET:/x",
    "/orders/123?x=1",
    "/a//550e8400-e29b-41d4-a716-446655440000/0123456789abcdef/0123456789ABCDEG",
    "orders/{id}",
    "acme.Users/Get",
    "set__script.func",
    "a__b__c",
    "http",
    "timer",
    "deadline exceeded",
    "4BF92F3577B34DA6A3CE929D0E0E4736",
    "00f067aa0ba902b7",
    "00000000000000000000000000000000",
    "12345678901234567890",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
  ),
);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const scalar = fc.oneof(
  text.map((stringValue) => ({ stringValue })),
  fc.oneof(int64, fc.bigInt({ min: -2n, max: 300n })).map((n) => ({ intValue: String(n) })),
  fc.oneof(fc.double(), fc.integer({ min: -3, max: 3 })).map((doubleValue) => ({ doubleValue })),
  fc.boolean().map((boolValue) => ({ boolValue })),
  fc.uint8Array({ maxLength: 9 }).map((b) => ({ bytesValue: Buffer.from(b).toString("base64") })),
  fc.constant({}),
);
export const { value } = fc.letrec<{ value: object }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { arbitrary: scalar, weight: 6 },
    {
      arbitrary: fc
        .array(tie("value"), { maxLength: 3 })
        .map((values) => ({ arrayValue: { values } })),
      weight: 1,
    },
    {
      arbitrary: fc
        .array(fc.record({ key: odd, value: tie("value") }), { maxLength: 3 })
        .map((values) => ({ kvlistValue: { values } })),
      weight: 1,
    },
  ),
}));
const otherKey = fc.oneof(
  odd,
  fc.constantFrom("k", "k2", "time", "exception.x", "custom.attr.1", "custom.attr.12"),
  // Equal to others, or to each other, once they are written.
  fc.constantFrom(
    "time_",
    "k\u0001",
    "k_",
    "k\\",
    "k\n",
    "k\\n",
    "status_",
    "status\u007f",
    "trace_id_",
  ),
);
const attribute = (names: readonly string[]) =>
  fc.record({
    key: fc.oneof({ arbitrary: fc.constantFrom(...names), weight: 6 }, otherKey),
    value: fc.oneof({ arbitrary: value, weight: 1 }, { arbitrary: scalar, weight: 2 }),
  });
/** Attributes of one record. */
export const anyAttributes = (maxLength: number) =>
  fc.constantFrom(...THEMES).chain((names) => fc.array(attribute(names), { maxLength }));
export const time = fc.oneof(
  fc.constantFrom(
    "0",
    "1705314600000000000",
    "1705314600001000000",
    "1705314600000001000",
    "1705314600123456789",
    "18446744073709551615",
    "9223372036854775807",
    // A second before the last: rows that are spread stay in the range.
    "9223372035854775806",
  ),
  fc.bigInt({ min: 1705314600123456700n, max: 1705314600123456720n }).map(String),
);
const names = fc.array(
  fc.constantFrom("status", "k", "k_", "k\u0001", "trace_id", "message", "time", "level", "a b"),
  {
    maxLength: 4,
  },
);
const lineMark = fc.option(fc.record({ tags: names, uints: names }), { freq: 3 });
const record = fc
  .record({
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: fc.integer({ min: 0, max: 26 }),
    severityText: fc.oneof(fc.constantFrom("", "INFO", "Warn"), odd),
    body: value,
    attributes: anyAttributes(9),
    traceId: fc.constantFrom("", "0af7651916cd43dd8448eb211c80319c"),
    spanId: fc.constantFrom("", "b7ad6b7169203331"),
    eventName: fc.oneof(
      fc.constantFrom("", "", "function_logs", "logs", "some_line", "own0", "own1", ...TABLE_NAMES),
      odd,
    ),
    mark: lineMark,
  })
  .map(({ mark, ...rest }) => {
    if (mark === null) return rest;
    const listOf = (texts: string[]) => ({
      arrayValue: { values: texts.map((stringValue) => ({ stringValue })) },
    });
    return {
      ...rest,
      attributes: [
        { key: "weir.tags", value: listOf(mark.tags) },
        ...rest.attributes,
        { key: "weir.uint", value: listOf(mark.uints) },
      ],
    };
  });
/** Any request of logs as OTLP/JSON, with attributes that mean something to the shipped tables. */
export const anyLogs = fc.record({
  resourceLogs: fc.array(
    fc.record({
      resource: fc.record({ attributes: anyAttributes(4) }),
      scopeLogs: fc.array(
        fc.record({
          scope: fc.record({ name: fc.constantFrom("", "emp.logger") }),
          logRecords: fc.array(record, { minLength: 1, maxLength: 4 }),
        }),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 2 },
  ),
});
