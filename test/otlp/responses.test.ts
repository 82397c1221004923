import { expect, test } from "vitest";
import { partialSuccessBody, statusBody, successBody } from "../../src/otlp/responses.ts";
import { SIGNALS } from "../../src/otlp/tape.ts";
import { decodeMessage, typeOf } from "../support/otlp.ts";

const STATUS = typeOf("google.rpc.Status");
const NAMES = { logs: "Logs", metrics: "Metrics", traces: "Trace" } as const;
const REJECTED = {
  logs: "rejectedLogRecords",
  metrics: "rejectedDataPoints",
  traces: "rejectedSpans",
} as const;
const MIB = 1024 * 1024;

const textOf = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

test("O4: full success leaves partial_success unset", () => {
  expect(successBody("protobuf")).toHaveLength(0);
  expect(textOf(successBody("json"))).toBe("{}");
});

test.each(SIGNALS)("O5: partial success of %s, in both encodings", (signal) => {
  const name = NAMES[signal];
  const type = typeOf(
    `opentelemetry.proto.collector.${signal === "traces" ? "trace" : signal}.v1.Export${name}ServiceResponse`,
  );
  for (const count of [1, 127, 128, 300, 2 ** 31, 2 ** 40]) {
    const expected = {
      partialSuccess: { [REJECTED[signal]]: String(count), errorMessage: "bad é" },
    };
    expect(decodeMessage(type, partialSuccessBody(signal, count, "bad é", "protobuf"))).toEqual(
      expected,
    );
    expect(JSON.parse(textOf(partialSuccessBody(signal, count, "bad é", "json")))).toEqual(
      expected,
    );
  }
});

test("O3: however long the reason, an answer stays small and well-formed", () => {
  const why = "😀".repeat(3 * MIB);
  for (const encoding of ["protobuf", "json"] as const) {
    for (const body of [
      partialSuccessBody("logs", 10_000_000, why, encoding),
      statusBody({ kind: "invalid", why, retryAfterMs: 0 }, encoding),
    ])
      expect(body.length).toBeLessThan(64 * 1024);
  }
  const { message } = decodeMessage(
    STATUS,
    statusBody({ kind: "internal", why: `a${why}`, retryAfterMs: 0 }, "protobuf"),
  );
  expect(String(message)).toMatch(/^a(?:😀)+�?…$/u);
});

test("O6: Status with code and message; nothing else when there is nothing to add", () => {
  const body = statusBody({ kind: "too_large", why: "no", retryAfterMs: 0 }, "protobuf");
  expect(decodeMessage(STATUS, body)).toEqual({ code: 8, message: "no" });
  const json = statusBody({ kind: "too_large", why: "no", retryAfterMs: 0 }, "json");
  expect(JSON.parse(textOf(json))).toEqual({ code: 8, message: "no" });
});

test("O8, O9: details say what is bad, or when to come back", () => {
  const detailOf = (body: Uint8Array) => {
    const { details } = decodeMessage(STATUS, body);
    return (details as { type_url: string; value: string }[])[0];
  };
  const bad = detailOf(statusBody({ kind: "invalid", why: "x", retryAfterMs: 0 }, "protobuf"));
  expect(bad?.type_url).toBe("type.googleapis.com/google.rpc.BadRequest");
  // BadRequest { field_violations = 1: FieldViolation { description = 2 } }
  expect([...Buffer.from(bad?.value ?? "", "base64")]).toEqual([0x0a, 3, 0x12, 1, 0x78]);
  const full = detailOf(statusBody({ kind: "refused", why: "x", retryAfterMs: 2_500 }, "protobuf"));
  expect(full?.type_url).toBe("type.googleapis.com/google.rpc.RetryInfo");
  const info = decodeMessage(
    typeOf("google.rpc.RetryInfo"),
    Buffer.from(full?.value ?? "", "base64"),
  );
  expect(info).toEqual({ retryDelay: { seconds: "2", nanos: 500_000_000 } });
  const json = statusBody({ kind: "refused", why: "x", retryAfterMs: 2_500 }, "json");
  expect(JSON.parse(textOf(json))).toEqual({
    code: 14,
    message: "x",
    details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "2.5s" }],
  });
});
