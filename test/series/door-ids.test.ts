import { describe, expect, test } from "vitest";
import { compileLineWriter } from "../../src/series/plan.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import { lineDoor } from "../support/line-door.ts";
import { batchOf, indexer, rangeOf, writeAll } from "../support/line-writing.ts";
import { decodeRequest } from "../support/otlp.ts";
import { readRows } from "../support/rows.ts";

const tables = shippedTables();
const door = lineDoor(tables, "ns");
const writer = compileLineWriter({ signal: "logs", tables, keys: indexer.keys, dialect: "v3" });
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

interface LogRecord {
  readonly traceId?: string;
  readonly spanId?: string;
  readonly attributes: readonly { readonly key: string }[];
}

/** The ids and attributes of a line's record, and its row. */
function through(line: string) {
  const bytes = door(`${line} 5`, 0);
  const request = decodeRequest("logs", bytes) as object as {
    resourceLogs: { scopeLogs: { logRecords: LogRecord[] }[] }[];
  };
  const [record] = request.resourceLogs.flatMap((r) => r.scopeLogs.flatMap((s) => s.logRecords));
  const { text } = writeAll(writer, rangeOf([batchOf(bytes)], 0));
  const names = record?.attributes.map(({ key }) => key) ?? [];
  return { ids: [record?.traceId, record?.spanId], names, row: text.trimEnd() };
}

describe("ids of a line in other forms", () => {
  test.each([
    [`traceparent="00-${TRACE}-${SPAN}-01"`, TRACE, SPAN],
    [`dd.trace_id="${TRACE.toUpperCase()}"`, TRACE, undefined],
    ["dd.trace_id=1234567890i", "000000000000000000000000499602d2", undefined],
    ["dd.trace_id=18446744073709551615u", `${"0".repeat(16)}${"f".repeat(16)}`, undefined],
    ['dd.trace_id="1234567890"', "000000000000000000000000499602d2", undefined],
    [`traceId="${TRACE}",spanId="${SPAN}"`, TRACE, SPAN],
    [`trace.id="${TRACE}",span.id="${SPAN.toUpperCase()}"`, TRACE, SPAN],
    [
      `_X_AMZN_TRACE_ID="Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"`,
      "5759e988bd862e3fe1be46a994272793",
      undefined,
    ],
    [
      `X-Amzn-Trace-Id="Root=1-5759e988-bd862e3fe1be46a994272793"`,
      "5759e988bd862e3fe1be46a994272793",
      undefined,
    ],
    [`trace_id="${TRACE.toUpperCase()}",span_id="${SPAN.toUpperCase()}"`, TRACE, SPAN],
    // The order of the specification, and traceparent gives the span only where it gave the trace.
    [
      `traceparent="00-${TRACE}-${SPAN}-01",trace_id="${"a".repeat(32)}"`,
      "a".repeat(32),
      undefined,
    ],
    [`dd.trace_id=7i,trace.id="${TRACE}"`, TRACE, undefined],
    [`trace_id="none",traceparent="00-${TRACE}-${SPAN}-01"`, TRACE, SPAN],
    [`traceparent="00-${"0".repeat(32)}-${SPAN}-01"`, undefined, undefined],
    ["traceparent=5i,spanId=t,trace.id=1.5", undefined, undefined],
  ])("as fields: %s", (fields, trace, span) => {
    expect(through(`plant v=1,${fields}`).ids).toEqual([trace, span]);
    expect(through(`function_logs v=1,${fields}`).ids).toEqual([trace, span]);
  });

  test.each([
    [`,traceparent=00-${TRACE}-${SPAN}-01`, TRACE, SPAN],
    [`,trace_id=${TRACE.toUpperCase()},span_id=${SPAN}`, TRACE, SPAN],
    [",dd.trace_id=1234567890", "000000000000000000000000499602d2", undefined],
    [",trace_id=none", undefined, undefined],
  ])("as tags: %s", (tags, trace, span) => {
    expect(through(`plant${tags} v=1`).ids).toEqual([trace, span]);
    expect(through(`requests${tags} v=1`).ids).toEqual([trace, span]);
  });

  test("the row of a table has them in its columns, and what was sent stays", () => {
    const { row } = through(`requests,service=s,traceparent=00-${TRACE}-${SPAN}-01 v=1`);
    expect(readRows(`${row}\n`)[0]).toMatchObject({
      tags: { service: "s", traceparent: `00-${TRACE}-${SPAN}-01` },
      fields: { trace_id: { text: TRACE }, span_id: { text: SPAN } },
    });
    // A tag that the table has as a column is that column, in lower case.
    expect(through(`requests,service=s,trace_id=${TRACE.toUpperCase()} v=1`).row).toBe(
      `requests,service=s trace_id="${TRACE}",v=1 5`,
    );
  });

  test.each([
    `plant,traceparent=00-${TRACE}-${SPAN}-01 v=1`,
    `plant,trace_id=${TRACE} v=1`,
    `plant,trace_id=${TRACE},span_id=x v=1,traceId="${TRACE}"`,
    `plant dd.trace_id=7u,v=1`,
  ])("of a measurement that no table declares, the row is the line: %s", (line) => {
    expect(through(line).row).toBe(`${line} 5`);
    expect(through(line).ids[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  test("marks stand before the names of the tags, and lines of known keys are no different", () => {
    const line = `plant,traceparent=00-${TRACE}-${SPAN}-01 v=1`;
    const first = through(line);
    expect(first.names).toEqual(["traceparent", "v", "weir.trace_id", "weir.span_id", "weir.tags"]);
    for (let i = 0; i < 5; i++) expect(through(line)).toEqual(first);
  });
});
