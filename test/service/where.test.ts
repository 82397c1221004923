import { expect, test } from "vitest";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { itemsWith } from "../../src/service/where.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { encodeRequest } from "../support/otlp.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } });
const bytes = encodeRequest("logs", {
  resourceLogs: [
    {
      resource: { attributes: [text("faas.instance", "instance-1")] },
      scopeLogs: [
        {
          scope: { name: "s", attributes: [text("build", "scope-1")] },
          logRecords: [
            { body: { stringValue: "0" }, traceId: TRACE, spanId: SPAN },
            { attributes: [{ key: "request_id", value: { intValue: "123456" } }] },
          ],
        },
        { logRecords: [{ attributes: [text("note", TRACE), text("request_id", "-7")] }] },
      ],
    },
    {
      scopeLogs: [
        { logRecords: [{ attributes: [{ key: "n", value: { intValue: "-7" } }] }, { body: {} }] },
      ],
    },
  ],
});
const indexed = createIndexer().index("logs", withSlack(bytes), bytes.length);

test.each([
  [TRACE, [0, 2]],
  [TRACE.toUpperCase(), [0]],
  [SPAN, [0]],
  ["instance-1", [0, 1, 2]],
  ["scope-1", [0, 1]],
  ["123456", [1]],
  ["12345", []],
  ["-7", [2, 3]],
  ["instance", []],
  ["request_id", []],
  ["0", []],
])(
  "where finds %s in trace and span ids, and in attributes of records, scopes and resources",
  (id, items) => {
    expect("batch" in indexed && itemsWith(indexed.batch, id)).toEqual(items);
  },
);
