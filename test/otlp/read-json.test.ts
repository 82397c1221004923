import { expect, test } from "vitest";
import { readRequestJson } from "../../src/otlp/read-json.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";

function read(signal: Signal, json: string) {
  const bytes = new TextEncoder().encode(json);
  return readRequestJson(signal, bytes, bytes.length);
}

function accepted(signal: Signal, json: string) {
  const result = read(signal, json);
  if ("refused" in result) throw new Error(result.why);
  return { ...result, request: decodeRequest(signal, result.bytes.subarray(0, result.length)) };
}

const logs = (...logRecords: unknown[]) =>
  JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });

test("a request becomes the bytes that the oracle makes of it", () => {
  const request = {
    resourceLogs: [
      {
        resource: { attributes: [{ key: "service.name", value: { stringValue: "s" } }] },
        scopeLogs: [
          {
            scope: { name: "n", version: "1" },
            logRecords: [
              {
                timeUnixNano: "1705314600123456789",
                severityNumber: 9,
                severityText: "INFO",
                body: { stringValue: "grüße 🌍" },
                attributes: [
                  { key: "i", value: { intValue: "-9223372036854775808" } },
                  { key: "d", value: { doubleValue: 1.5 } },
                  { key: "b", value: { boolValue: false } },
                  { key: "y", value: { bytesValue: "AP8=" } },
                  {
                    key: "a",
                    value: { arrayValue: { values: [{ stringValue: "x" }, { intValue: "1" }] } },
                  },
                  {
                    key: "m",
                    value: { kvlistValue: { values: [{ key: "k", value: { stringValue: "v" } }] } },
                  },
                ],
                flags: 1,
                traceId: "0af7651916cd43dd8448eb211c80319c",
                spanId: "b7ad6b7169203331",
              },
            ],
          },
        ],
      },
    ],
  };
  const { bytes, length, rejected } = accepted("logs", JSON.stringify(request));
  expect(rejected).toBe(0);
  expect(decodeRequest("logs", bytes.subarray(0, length))).toEqual(
    decodeRequest("logs", encodeRequest("logs", request)),
  );
});

test("all metric kinds and spans with events and links agree with the oracle", () => {
  const metrics = {
    resourceMetrics: [
      {
        scopeMetrics: [
          {
            metrics: [
              {
                name: "g",
                gauge: {
                  dataPoints: [
                    { timeUnixNano: "1", asInt: "-5" },
                    { timeUnixNano: "2", asDouble: 0.5 },
                  ],
                },
              },
              {
                name: "h",
                histogram: {
                  aggregationTemporality: 2,
                  dataPoints: [
                    { count: "3", sum: 1.5, bucketCounts: ["1", "2"], explicitBounds: [0.5] },
                  ],
                },
              },
              {
                name: "e",
                exponentialHistogram: {
                  aggregationTemporality: 1,
                  dataPoints: [
                    {
                      count: "1",
                      scale: -2,
                      zeroCount: "1",
                      positive: { offset: -3, bucketCounts: ["1"] },
                    },
                  ],
                },
              },
              {
                name: "q",
                summary: {
                  dataPoints: [
                    { count: "1", sum: 2, quantileValues: [{ quantile: 0.5, value: 2 }] },
                  ],
                },
              },
            ],
          },
        ],
      },
    ],
  };
  const traces = {
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: [
              {
                traceId: "0AF7651916CD43DD8448EB211C80319C",
                spanId: "b7ad6b7169203331",
                name: "GET /",
                kind: 2,
                events: [{ name: "exception", timeUnixNano: "7" }],
                links: [
                  { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203332" },
                ],
                status: { code: 2, message: "m" },
              },
            ],
          },
        ],
      },
    ],
  };
  for (const [signal, request] of [
    ["metrics", metrics],
    ["traces", traces],
  ] as const) {
    const { bytes, length } = accepted(signal, JSON.stringify(request));
    expect(decodeRequest(signal, bytes.subarray(0, length))).toEqual(
      decodeRequest(signal, encodeRequest(signal, request)),
    );
  }
});

test("64-bit numbers keep every digit, also as bare numbers", () => {
  const json =
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1705314600123456789,"body":{"intValue":9007199254740993}}]}]}]}';
  expect(JSON.stringify(accepted("logs", json).request)).toContain(
    '"timeUnixNano":"1705314600123456789"',
  );
  expect(JSON.stringify(accepted("logs", json).request)).toContain('"intValue":"9007199254740993"');
});

test("unknown and null fields are ignored; the original names are known", () => {
  const { request, rejected } = accepted(
    "logs",
    logs({ severityText: "a", body: null, __proto__x: 1, event_name: "b", future: { x: [1] } }),
  );
  expect(rejected).toBe(0);
  expect(JSON.stringify(request)).toContain('"severityText":"a","eventName":"b"');
});

test.each([
  [{ traceId: "xyz" }, 'traceId: must be 32 hex digits, got "xyz"'],
  [{ spanId: "0011" }, "spanId: must be 16 hex digits"],
  [{ severityNumber: "SEVERITY_NUMBER_INFO" }, "does not use names of enum values"],
  [{ severityNumber: 2 ** 31 }, "severityNumber: must fit 32 bits with a sign"],
  [{ severityText: 3 }, "severityText: must be a text, got 3"],
  [{ timeUnixNano: "1.5" }, 'timeUnixNano: must be a whole number of at most 64 bits, got "1.5"'],
  [{ timeUnixNano: "99999999999999999999" }, "at most 64 bits"],
  [{ timeUnixNano: -1 }, "timeUnixNano: must not be negative"],
  [{ flags: 2 ** 32 }, "flags: must be from 0 to 2^32 - 1"],
  [{ body: { intValue: "9223372036854775808" } }, "intValue: must fit 64 bits with a sign"],
  [{ body: { boolValue: "true" } }, "boolValue: must be true or false"],
  [{ body: { doubleValue: "x" } }, "doubleValue: must be a number"],
  [{ body: { bytesValue: "A" } }, "bytesValue: must be base64"],
  [{ body: { bytesValue: "A*==" } }, "bytesValue: must be base64"],
  [{ body: { arrayValue: { values: [null] } } }, "values[0]: must be an object, got null"],
  [{ body: "text" }, 'body: must be an object, got "text"'],
  [{ attributes: {} }, "attributes: must be a list, got an object"],
  [
    { attributes: [{ key: "a" }, { key: "b", value: { intValue: 1 } }, { key: 7 }] },
    "logRecords[1].attributes[2].key: must be a text, got 7",
  ],
  [`not an object${"!".repeat(99)}`, `scopeLogs[0].logRecords[1]: must be an object, got "not an`],
  [["x"], "logRecords[1]: must be an object, got a list"],
])("a bad record costs itself: %j", (bad, why) => {
  const result = accepted(
    "logs",
    logs({ severityText: "before" }, bad, bad, { severityText: "after" }),
  );
  expect(result.rejected).toBe(2);
  expect(result.why).toContain(why);
  expect(result.why.length).toBeLessThan(200);
  expect(JSON.stringify(result.request)).toMatch(/before.*after/);
});

test("values nested 64 deep pass, deeper ones cost their record", () => {
  const nested = (depth: number) => {
    let value: unknown = { stringValue: "x" };
    for (let i = 1; i < depth; i++) value = { arrayValue: { values: [value] } };
    return { body: value };
  };
  expect(read("logs", logs(nested(64)))).toMatchObject({ rejected: 0 });
  expect(read("logs", logs(nested(65), {}))).toMatchObject({ rejected: 1 });
});

test.each(["", "{", "[]", "null", "7", '{"resourceLogs":{}}', '{"resourceLogs":[3]}', "\u0000"])(
  "%j is malformed",
  (json) => {
    expect(read("logs", json)).toMatchObject({ refused: "malformed" });
  },
);

test("five million open brackets are malformed, not a crash", () => {
  const result = read("logs", `{"x":${"[".repeat(5_000_000)}`);
  expect(result).toMatchObject({ refused: "malformed" });
});

test("an empty request has no items", () => {
  expect(accepted("logs", "{}")).toMatchObject({ length: 0, rejected: 0 });
});
