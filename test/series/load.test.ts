import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lineShapes } from "../../src/series/doors/line-shapes.ts";
import { loadTables, shippedTables } from "../../src/series/tables/load.ts";

const TABLE = `measurement: m
doc: d
identity: exact
columns:
  a: { kind: tag, doc: d, from: [a] }
  f: { kind: float, doc: d, from: [f] }
`;
const load = (text: string) => () => loadTables([{ name: "t.yaml", text }]);

test("the shipped tables load from any working directory", () => {
  const before = process.cwd();
  process.chdir("/");
  try {
    expect(shippedTables().map((table) => table.measurement)).toContain("function_logs");
  } finally {
    process.chdir(before);
  }
});

test("every mistake is named at once, with its place and the nearest valid word", () => {
  const text = `${TABLE.replace("exact", "exakt")}  g: { kind: flot, doc: d, from: [{ log: bdy }] }\nbody: ff\nservis: a\n`;
  let message = "";
  try {
    load(text)();
  } catch (error) {
    message = String(error);
  }
  for (const part of [
    't.yaml:3:11: identity "exakt" is unknown; did you mean "exact"?',
    't.yaml:7:14: kind "flot" is unknown; did you mean "float"?',
    't.yaml:7:42: log "bdy" is unknown; did you mean "body"?',
    't.yaml:8:7: body: there is no column "ff"; did you mean "f"?',
    't.yaml:9:1: unknown key "servis" in the file; did you mean "service"?',
  ])
    expect(message).toContain(part);
});

test("the table that the documentation shows loads beside the shipped ones", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/series/README.md"), "utf8");
  const text = /^```yaml\n(measurement: [^`]+)^```$/m.exec(page)?.[1] ?? "";
  const [table] = loadTables([{ name: "orders.yaml", text }], shippedTables());
  expect(table?.columns.map(({ name }) => name)).toEqual([
    ...["shop", "amount", "id", "trace_id", "span_id"],
  ]);
});

test("mistakes come in the order of the file, each once", () => {
  const match = "match: { logs: { record_has_one_of_each: [a, [], [5]] } }";
  const text = `${match}\n${TABLE.replace("[f]", "[]").replace("exact", "exakt")}body: nope\n`;
  let message = "";
  try {
    load(text)();
  } catch (error) {
    message = String(error);
  }
  expect(
    [...message.matchAll(/t\.yaml:(\d+:\d+): (\S+ \S+ \S+)/g)].map((m) => `${m[1]} ${m[2]}`),
  ).toEqual([
    "1:43 record_has_one_of_each[0] must be",
    "1:46 record_has_one_of_each[1] must name",
    "1:51 record_has_one_of_each[2][0] must be",
    '4:11 identity "exakt" is',
    "8:7 body: there is",
  ]);
});

test.each([
  ["not YAML", "a: [", /t\.yaml:\d+:\d+: not valid YAML/],
  ["no map", "[]", /a table is a map/],
  ["a reserved column", TABLE.replace("  a:", "  time:"), /"time" is reserved/],
  ["a column name with a space", TABLE.replace("  a:", '  "a b":'), /cannot be a column/],
  ["only tags", TABLE.replace("float", "tag"), /at least one column that is no tag/],
  [
    "16 sources",
    TABLE.replace("[f]", `[${Array.from({ length: 16 }, (_, i) => `s${i}`).join(", ")}]`),
    /16 sources, at most 15/,
  ],
  ["a severity of 25", `${TABLE}severity: { column: a, levels: { x: 25 } }\n`, /must be 1 to 24/],
  [
    "words on a number",
    TABLE.replace("from: [f]", "from: [f], lower_case: true"),
    /for kind tag and text only/,
  ],
  ["an extra tag that is a column", `${TABLE}extra_tags: [a]\n`, /"a" is a column already/],
  [
    "an extra name in both lists",
    `${TABLE}extra_tags: [x]\nextra_fields: [x]\n`,
    /"x" is named twice/,
  ],
  ["an extra name twice", `${TABLE}extra_fields: [x, x]\n`, /"x" is named twice/],
  ["an extra field time", `${TABLE}extra_fields: [time]\n`, /"time" is reserved/],
  ["an extra field attributes", `${TABLE}extra_fields: [attributes]\n`, /"attributes" is reserved/],
  ["an end of names that is all names", `${TABLE}extra_fields: ["*"]\n`, /must be \* and the end/],
  [
    "a rule of two things",
    TABLE.replace("from: [a]", "from: [a], otherwise: [{ value: x, column: f }]"),
    /t\.yaml:5:\d+: otherwise\[0\] must have exactly one of value, column, sum, derive/,
  ],
  [
    "a rule of its own column",
    TABLE.replace("from: [a]", "from: [a], otherwise: [{ column: a }]"),
    /cannot be filled from itself/,
  ],
  [
    "a rule with a condition for lines",
    TABLE.replace("from: [a]", "from: [a], otherwise: [{ value: x, lines: true }]"),
    /lines: true is for rules of another column/,
  ],
  [
    "a sum of texts",
    TABLE.replace("from: [a]", "from: [a], otherwise: [{ sum: [f] }]"),
    /sum is for columns of kind integer only/,
  ],
  [
    "a table that is not there",
    `${TABLE}match: { spans: { also_matches: request } }\n`,
    /t\.yaml:7:33: there is no table "request"/,
  ],
  ["ids twice", `${TABLE.replace("f:", "trace_id:")}ids: true\n`, /adds column "trace_id"/],
  [
    "a word where spans is true or false",
    `${TABLE}spans: sometimes\n`,
    /t\.yaml:7:8: spans must be true or false/,
  ],
  [
    "more columns than InfluxDB 3 takes",
    TABLE + Array.from({ length: 498 }, (_, i) => `  g${i}: { kind: text, doc: d }\n`).join(""),
    /t\.yaml:5:3: 500 columns: InfluxDB 3 takes at most 499/,
  ],
  [
    "a condition of two things",
    `${TABLE}match: { spans: { and_one_of: [{ has_one_of: [a], has_none_of: [b] }] } }\n`,
    /t\.yaml:7:32: and_one_of\[0\] must be one of column with is.*make a list of them/,
  ],
  [
    "a condition that says two things of a column",
    `${TABLE}match: { spans: { and_one_of: [{ column: a, is: 1, at_least: 2 }] } }\n`,
    /and_one_of\[0\] must be one of/,
  ],
  [
    "no conditions",
    `${TABLE}match: { spans: { and_one_of: [] } }\n`,
    /and_one_of must have at least one condition/,
  ],
  [
    "an empty list of conditions",
    `${TABLE}match: { spans: { and_one_of: [[]] } }\n`,
    /and_one_of\[0\] must have at least one condition/,
  ],
  [
    "a condition that names nothing",
    `${TABLE}match: { spans: { and_one_of: [{ has_one_of: [] }] } }\n`,
    /has_one_of must name at least one/,
  ],
  [
    "a column compared with a broken number",
    `${TABLE}match: { spans: { and_one_of: [{ column: a, is: 1.5 }] } }\n`,
    /is must be a whole number/,
  ],
  [
    "a source from two things",
    TABLE.replace("from: [f]", "from: [{ attribute: f, log: body }]"),
    /t\.yaml:6:\d+: from\[0\] must be .* exactly one of attribute, record, log, span, exception_event/,
  ],
  [
    "a part of the span with the options of an attribute",
    TABLE.replace("from: [f]", "from: [{ span: duration_ms, divide_by: 1000 }]"),
    /divide_by is for attributes only/,
  ],
  [
    "a text that is divided",
    TABLE.replace("from: [a]", "from: [{ attribute: a, divide_by: 10 }]"),
    /divide_by is for columns of kind float only/,
  ],
  [
    "a division by infinity",
    TABLE.replace("from: [f]", "from: [{ attribute: f, divide_by: .inf }]"),
    /divide_by must be more than 0, and finite/,
  ],
  [
    "a form of a number",
    TABLE.replace("from: [f]", "from: [{ attribute: f, form: trace_id }]"),
    /form is for columns of kind tag and text only/,
  ],
  [
    "a word that is never met",
    TABLE.replace("from: [a]", "from: [a], lower_case: true, words: { OK: fine }"),
    /word "OK" is never met: lower_case comes first/,
  ],
  ["a severity of 9.5", `${TABLE}severity: { column: a, levels: { x: 9.5 } }\n`, /a whole number/],
  [
    "a severity from a number",
    `${TABLE}severity: { column: f, levels: { x: 9 } }\n`,
    /column "f" must have kind: tag or text/,
  ],
  [
    "a sum of nothing",
    TABLE.replace("float", "integer").replace("from: [f]", "from: [f], otherwise: [{ sum: [] }]"),
    /sum must name at least one column/,
  ],
  [
    "attributes of the resource without the field for them",
    `${TABLE}attributes: false\nresource_attributes: { prefix: r. }\n`,
    /which attributes: false leaves out/,
  ],
  ...["a\\tb", "a\\nb", "a\\\\", "#a"].map((name): [string, string, RegExp] => [
    `a measurement ${name}`,
    TABLE.replace("measurement: m", `measurement: "${name}"`),
    /t\.yaml:1:14: .* cannot be a measurement/,
  ]),
  ["an extra name with a tab", `${TABLE}extra_fields: ["a\\tb"]\n`, /no control characters/],
])("refuses %s", (_what, text, why) => {
  expect(load(text)).toThrow(why);
});

test("refuses a measurement that two files declare", () => {
  const files = ["a.yaml", "b.yaml"].map((name) => ({ name, text: TABLE }));
  expect(() => loadTables(files)).toThrow(/b\.yaml:1:14: measurement "m" is declared twice/);
});

test("a table may refer to tables that are known, and may not have their name", () => {
  const shipped = shippedTables();
  const text = `${TABLE}match: { spans: { also_matches: requests } }\n`;
  expect(loadTables([{ name: "t.yaml", text }], shipped)).toHaveLength(1);
  const twin = { name: "t.yaml", text: TABLE.replace(": m\n", ": spans\n") };
  expect(() => loadTables([twin], shipped)).toThrow(/"spans" is a table already/);
});

test("a line shape names tags, fields, body and severity", () => {
  const shape = lineShapes(shippedTables()).find((s) => s.measurement === "function_logs");
  expect(shape?.body).toBe("message");
  expect(shape?.tags.has("status")).toBe(true);
  expect(shape?.fields.has("exit_code")).toBe(true);
  expect(shape?.severity?.levels.get("timeout")).toBe(18);
  expect(shape?.spread).toBe(false);
});
