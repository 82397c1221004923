import { expect, test } from "vitest";
import { JsonReader } from "../../src/otlp/read-json.ts";
import type { Signal } from "../../src/otlp/tape.ts";
import { decodeRequest, encodeRequest } from "../support/otlp.ts";

const reader = new JsonReader();

function read(signal: Signal, json: string | Uint8Array) {
  const bytes = typeof json === "string" ? new TextEncoder().encode(json) : json;
  return reader.read(signal, bytes, bytes.length);
}

function accepted(signal: Signal, json: string) {
  const result = read(signal, json);
  if ("refused" in result) throw new Error(result.why);
  const bytes = Buffer.from(result.bytes.subarray(0, result.length));
  return { ...result, hex: bytes.toString("hex"), request: decodeRequest(signal, bytes) };
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

test.each([
  ["", "the body: must be an object, got the end"],
  ["{", "expected a name in quotes at byte 1, found the end"],
  ["[]", "the body: must be an object, got a list"],
  ["null", "the body: must be an object, got null"],
  ["7", "the body: must be an object, got 7"],
  ['{"resourceLogs":{}}', "resourceLogs: must be a list, got an object"],
  ['{"resourceLogs":[3]}', "resourceLogs[0]: must be an object, got 3"],
  ["\u0000", 'must be an object, got "\\u0000"'],
  ["{}x", 'expected the end of the body at byte 2, found "x"'],
  ["{}\n{}", "expected the end of the body at byte 3"],
  ['{"resourceLogs":[],}', 'expected a name in quotes at byte 19, found "}"'],
  ['{"resourceLogs":[{}{}]}', 'expected "," or "]" at byte 19, found "{"'],
  ['{"x":01}', "a number without a leading zero"],
  [
    '{"resourceLogs":[{},{"scopeLogs":[{"logRecords":[{},{"body":{"stringValue":"a"}',
    'resourceLogs[1].scopeLogs[0].logRecords[1]: expected "," or "}" at byte 79, found the end',
  ],
  [
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":3,"flags":]}]}]}',
    'resourceLogs[0].scopeLogs[0].logRecords[0]: expected a value at byte 67, found "]"',
  ],
  [
    '{"resourceLogs":[{"resource":{"attributes":[{"key":1}]}}]}',
    "resource.attributes[0].key: must be a text",
  ],
])("%j is malformed: %s", (json, why) => {
  const result = read("logs", json);
  if (!("refused" in result)) throw new Error("accepted");
  expect(result.why).toContain("not an OTLP/JSON logs request");
  expect(result.why).toContain(why);
});

test("five million open brackets are malformed, not a crash", () => {
  const result = read("logs", `{"x":${"[".repeat(5_000_000)}`);
  expect(result).toMatchObject({ refused: "malformed" });
});

test("an empty request has no items", () => {
  for (const json of [
    "{}",
    " \r\n{ }\t",
    "\ufeff{}",
    '{"resourceLogs":[]}',
    '{"resourceLogs":null}',
  ])
    expect(accepted("logs", json)).toMatchObject({ length: 0, rejected: 0 });
});

/** The only record of a request that is written as it stands. */
function record(json: string): unknown {
  const { request } = accepted(
    "logs",
    `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${json}]}]}]}`,
  );
  const { resourceLogs } = request as {
    resourceLogs: { scopeLogs: { logRecords: unknown[] }[] }[];
  };
  return resourceLogs[0]?.scopeLogs[0]?.logRecords[0];
}

test("of equal names the last one counts, in either spelling; null takes it back", () => {
  expect(record('{"flags":1,"severityText":"a","flags":2,"severity_text":"b"}')).toEqual({
    flags: 2,
    severityText: "b",
  });
  expect(record('{"flags":1,"severityText":"a","flags":null}')).toEqual({ severityText: "a" });
  expect(
    record('{"attributes":[{"key":"a"},{"key":"b"}],"flags":1,"attributes":[{"key":"c"}]}'),
  ).toEqual({ flags: 1, attributes: [{ key: "c" }] });
});

test("of the members of a oneof the last one that is there counts", () => {
  expect(record('{"body":{"intValue":1,"stringValue":"a"}}')).toEqual({
    body: { stringValue: "a" },
  });
  expect(record('{"body":{"stringValue":"a","intValue":1,"boolValue":null}}')).toEqual({
    body: { intValue: "1" },
  });
  expect(record('{"body":{"stringValue":"a","intValue":1,"stringValue":""}}')).toEqual({
    body: { stringValue: "" },
  });
});

test("a record with very many repeated names is put in order in time that grows with its length", () => {
  const members = (count: number) =>
    `{${'"flags":1,"severityText":"a","body":null,'.repeat(count)}"flags":7}`;
  expect(record(members(20_000))).toEqual({ severityText: "a", flags: 7 });
});

test("texts are decoded: escapes, pairs of surrogates, halves of them, and bytes that are no UTF-8", () => {
  expect(record('{"body":{"stringValue":"\\ud83d\\ude00 \\ude00 \\ud83d\\n\\/\\u00FC"}}')).toEqual({
    body: { stringValue: "😀 \ufffd \ufffd\n/ü" },
  });
  expect(record('{"\\u0062ody":{"stringValue":"x"}}')).toEqual({ body: { stringValue: "x" } });
  const bytes = Buffer.from(logs({ body: { stringValue: "ab" } }));
  bytes[bytes.indexOf("ab")] = 0xff;
  const result = read("logs", bytes);
  if ("refused" in result) throw new Error(result.why);
  const request = decodeRequest("logs", result.bytes.subarray(0, result.length));
  expect(JSON.stringify(request)).toContain('"stringValue":"\ufffdb"');
});

test("a key is written where there is none, and texts and numbers that say nothing are not", () => {
  expect(
    accepted("logs", logs({ attributes: [{}, { value: { intValue: 0 } }, { key: "" }] })).hex,
  ).toContain("32020a00" + "32060a0012021800" + "32020a00");
  expect(
    accepted(
      "logs",
      logs({ severityText: "", flags: 0, timeUnixNano: "0", severityNumber: 0, traceId: "" }),
    ).hex,
  ).toMatch(/1200$/);
});

test("the lengths of messages are minimal, whatever their sizes before", () => {
  const sizes = [0, 90, 200, 20_000, 3, 16_300, 130, 1];
  const records = sizes.map((size) => ({
    body: { arrayValue: { values: [{ stringValue: "x".repeat(size) }] } },
  }));
  const json = logs(...records);
  const { hex } = accepted("logs", json);
  expect(hex).toBe(Buffer.from(encodeRequest("logs", JSON.parse(json))).toString("hex"));
});

test("lists of small numbers may need more memory than their text", async () => {
  const bounds = Array.from({ length: 3_000 }, () => 1);
  const point = { explicitBounds: bounds, bucketCounts: bounds, sum: 1, min: 1, max: 1 };
  const request = {
    resourceMetrics: [{ scopeMetrics: [{ metrics: [{ histogram: { dataPoints: [point] } }] }] }],
  };
  const { hex, length } = accepted("metrics", JSON.stringify(request));
  expect(length).toBeGreaterThan(48_000);
  expect(hex).toBe(Buffer.from(encodeRequest("metrics", request)).toString("hex"));
  const slow = await readSlowly("metrics", JSON.stringify(request));
  expect(Buffer.from(slow.bytes.subarray(0, slow.length)).toString("hex")).toBe(hex);
});

async function readSlowly(signal: Signal, json: string, grow = (_bytes: number) => true) {
  const bytes = new TextEncoder().encode(json);
  const result = await new JsonReader().readSlowly(signal, bytes, bytes.length, { grow });
  if ("refused" in result) throw new Error(`${result.refused}: ${result.why}`);
  return result;
}

test("a large request is read in slices, and what it needs is taken from the budget", async () => {
  const one = {
    timeUnixNano: "1705314600123456789",
    body: { stringValue: "some text" },
    attributes: [{ key: "k", value: { intValue: 7 } }],
  };
  const json = JSON.stringify({
    unknown: Array.from({ length: 300_000 }, (_, i) => i),
    resourceLogs: [{ scopeLogs: [{ logRecords: Array.from({ length: 20_000 }, () => one) }] }],
  });
  let taken = 0;
  let turns = 0;
  let isDone = false;
  const slow = readSlowly("logs", json, (bytes) => {
    taken += bytes;
    return true;
  }).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    turns++;
    await new Promise(setImmediate);
  }
  const { bytes, length, rejected } = await slow;
  expect([rejected, taken >= length, taken < 2 * length, turns > 2]).toEqual([0, true, true, true]);
  const whole = accepted("logs", json);
  expect(Buffer.from(bytes.subarray(0, length)).equals(whole.bytes.subarray(0, whole.length))).toBe(
    true,
  );
  await expect(readSlowly("logs", json, () => false)).rejects.toThrow("exhausted: the memory");
});

test("bytes that are no UTF-8 are repaired in slices too", async () => {
  const text = "é".repeat(800_000);
  const bytes = Buffer.from(logs({ body: { stringValue: text } }));
  bytes[1_200_000] = 0xff;
  const slow = await new JsonReader().readSlowly("logs", bytes, bytes.length, { grow: () => true });
  const fast = new JsonReader().read("logs", bytes, bytes.length);
  if ("refused" in slow || "refused" in fast) throw new Error("refused");
  expect(slow.length).toBe(fast.length);
  expect(
    Buffer.from(slow.bytes.subarray(0, slow.length)).equals(fast.bytes.subarray(0, fast.length)),
  ).toBe(true);
});
