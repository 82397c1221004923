import fc from "fast-check";
import { expect, test } from "vitest";
import { LineSpans } from "../../src/series/doors/line-spans.ts";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { lineDoor } from "../support/line-door.ts";
import { batchOf, batchOfSignal, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";

const ARRIVAL_MS = 1_732_000_000_123;
const TIME = "1705314600123456789";
const tables = shippedTables();
const named = (...names: string[]) =>
  tables.filter(({ measurement }) => names.includes(measurement));
const door = lineDoor(tables, "ns");
const options = { tables, keys: indexer.keys, dialect: "v3" } as const;
const logs = compileLineWriter({ ...options, signal: "logs" });
const traces = compileLineWriter({ ...options, signal: "traces" });
const all = new LineSpans(
  tables.filter(({ match }) => match.points === undefined),
  indexer.keys,
);

const batchOfLines = (...lines: string[]) => batchOf(door(lines.join("\n"), ARRIVAL_MS));

function spansOf(spans: LineSpans, ...lines: string[]) {
  const split = spans.split(batchOfLines(...lines));
  if (split === undefined) throw new Error("no line became a span");
  return { ...split, bytes: split.bytes.subarray(0, split.length) };
}

type Request = {
  resourceSpans: { resource?: object; scopeSpans: { spans: Record<string, unknown>[] }[] }[];
};
const decoded = (bytes: Uint8Array) => decodeRequest("traces", bytes) as object as Request;
const attribute = (span: Record<string, unknown> | undefined, key: string) =>
  (Object(span)["attributes"] as { key: string; value: object }[]).find((one) => one.key === key)
    ?.value;

test("a line of a table with a duration becomes a span of kind SERVER, as long as it took", () => {
  const trace = "0af7651916cd43dd8448eb211c80319c";
  const lines = [
    `function_logs,function_id=f1,execution_id=e1,status=timeout duration_ms=1.5,message="late",trace_id="${trace}" ${TIME}`,
    `other_line v=1 ${TIME}`,
    `requests,service=shop,route=GET:/a,status_code=200 execution_time=2,span_id="b7ad6b7169203331" ${TIME}`,
  ];
  const { bytes, rest } = spansOf(
    new LineSpans(named("function_logs", "requests"), indexer.keys),
    ...lines,
  );
  const [first, second] = decoded(bytes).resourceSpans;
  const run = first?.scopeSpans[0]?.spans[0];
  expect(run).toMatchObject({
    ...{ name: "function_logs", kind: 2, traceId: trace, status: { code: 2 } },
    startTimeUnixNano: TIME,
    endTimeUnixNano: "1705314600124956789",
  });
  expect(attribute(run, "message")).toEqual({ stringValue: "late" });
  const request = second?.scopeSpans[0]?.spans[0];
  expect(request).toMatchObject({
    ...{ name: "requests", kind: 2, spanId: "b7ad6b7169203331" },
    endTimeUnixNano: "1705314602123456789",
  });
  expect(request).not.toHaveProperty("status");
  expect(second?.resource).toMatchObject({
    attributes: [{ key: "service.name", value: { stringValue: "shop" } }],
  });
  expect(rest?.items).toBe(1);
  expect(writeAll(logs, rangeOf(rest === undefined ? [] : [rest], ARRIVAL_MS)).text).toBe(
    `other_line v=1 ${TIME}\n`,
  );
});

test("ids that a line lacks are made from its content: equal ones for equal lines, others for others", () => {
  const lines = ["a", "b", "a"].map((id) => `requests,service=s request_id="${id}" ${TIME}`);
  const { bytes, rest } = spansOf(all, ...lines);
  expect(rest).toBeUndefined();
  const ids = decoded(bytes).resourceSpans[0]?.scopeSpans[0]?.spans.map(
    ({ traceId, spanId }) => `${traceId}/${spanId}`,
  );
  expect(ids?.[0]).toMatch(/^[0-9a-f]{32}\/[0-9a-f]{16}$/);
  expect(ids?.[2]).toBe(ids?.[0]);
  expect(ids?.[1]).not.toBe(ids?.[0]);
});

test.each([
  ["duration_ms=-1", 0],
  ["duration_ms=1e300", 0],
  ["duration_ms=0.000001", 1],
  ["duration_ms=7i", 7e6],
  ['duration_ms="2.5"', 2.5e6],
  ['duration_ms="long"', 0],
  ["duration_ms=t", 0],
  ["cold_start=t", 0],
])("%s is a span of %i ns", (field, nanos) => {
  const { bytes } = spansOf(all, `function_logs,execution_id=e ${field} ${TIME}`);
  const span = decoded(bytes).resourceSpans[0]?.scopeSpans[0]?.spans[0];
  expect(span?.["endTimeUnixNano"]).toBe(String(BigInt(TIME) + BigInt(nanos)));
});

test("a batch without a line of these tables is left as it is", () => {
  expect(all.split(batchOfLines(`other_line v=1 ${TIME}`))).toBeUndefined();
});

const key = fc.constantFrom(
  ...["status", "message", "duration_ms", "execution_time", "run_cost", "total_cost", "exit_code"],
  ...["trace_id", "span_id", "task_status", "origin", "crontab", "level", "region", "service"],
  ...["site_name", "k", "k_", "message_", "time", "a\\ b", "weir.x"],
);
const value = fc.constantFrom(
  ...["1.5", "12i", "7u", "t", '""', '"text"', '"a\\"b\\\\"', '"timeout"', '"3.5"', "-1"],
  ...['"0af7651916cd43dd8448eb211c80319c"', '"b7ad6b7169203331"', '"00f067aa0ba902b7"'],
);
const line = fc
  .record({
    measurement: fc.constantFrom(
      ...tables.filter(({ match }) => match.points === undefined).map((t) => t.measurement),
    ),
    tags: fc.uniqueArray(fc.tuple(key, fc.constantFrom("success", "error", "x\\ y", "12")), {
      maxLength: 4,
      selector: ([name]) => name,
    }),
    fields: fc.uniqueArray(fc.tuple(key, value), {
      ...{ minLength: 1, maxLength: 6 },
      selector: ([name]) => name,
    }),
    time: fc.constantFrom(TIME, "1705314600000000000", "-5000000000", "9223372036854775000"),
  })
  .map(({ measurement, tags, fields, time }) => {
    const tagText = tags.map(([name, text]) => `,${name}=${text}`).join("");
    return `${measurement}${tagText} ${fields.map((pair) => pair.join("=")).join()} ${time}`;
  });

/** So that there is a span at all. */
const last = `errors,last=1 v=1 ${TIME}`;

test("lines → spans → lines gives the rows that lines → log records → lines gives", () => {
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 12 }),
      fc.boolean(),
      (lines, isForeign) => {
        const wanted = writeAll(logs, rangeOf([batchOfLines(...lines)], ARRIVAL_MS));
        // A line with a tag called like its table's body stays a log record.
        const { bytes, rest } = spansOf(all, ...lines, last);
        const sent = isForeign ? encodeRequest("traces", decodeRequest("traces", bytes)) : bytes;
        const spans = batchOfSignal(
          "traces",
          withSlack(Uint8Array.from(sent)).subarray(0, sent.length),
        );
        const rows = [
          ...writeAll(traces, rangeOf([spans], ARRIVAL_MS)).text.split("\n"),
          ...(rest === undefined
            ? []
            : writeAll(logs, rangeOf([rest], ARRIVAL_MS)).text.split("\n")),
        ].filter((row) => row !== "" && !row.startsWith("errors,last=1"));
        expect(rows.sort()).toEqual(
          wanted.text
            .split("\n")
            .filter((row) => row !== "")
            .sort(),
        );
      },
    ),
    { numRuns: Number(process.env["WEIR_FUZZ"] ?? 400) },
  );
});
