import fc from "fast-check";
import { expect, test } from "vitest";
import { ProtoWriter } from "../../src/otlp/build.ts";
import { SLACK } from "../../src/wire/slack.ts";
import { decodeMessage, typeOf } from "../support/otlp.ts";

test("what is written is what protobufjs reads, however wrong the guessed widths are", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.double(),
      fc.integer({ min: 1, max: 4 }),
      (text, int, double, width) => {
        const out = new ProtoWriter(1);
        out.fixed64(0x09, 2n ** 64n - 1n);
        out.text(0x1a, text);
        out.open(0x2a, width);
        out.open(0x2a, width);
        for (const write of [
          () => out.text(0x0a, text),
          () => out.int64(0x18, int),
          () => out.double(0x21, double),
        ]) {
          out.open(0x0a, width);
          write();
          out.close();
        }
        out.close();
        out.close();
        out.fixed32(0x45, 2 ** 32 - 1);
        expect(out.bytes.length).toBeGreaterThanOrEqual(out.length + SLACK);
        const record = typeOf("opentelemetry.proto.logs.v1.LogRecord");
        expect(decodeMessage(record, out.bytes.subarray(0, out.length))).toEqual({
          timeUnixNano: "18446744073709551615",
          severityText: text,
          body: {
            arrayValue: {
              values: [{ stringValue: text }, { intValue: String(int) }, { doubleValue: double }],
            },
          },
          flags: 4294967295,
        });
      },
    ),
    { numRuns: 200 },
  );
});

test("rewinding forgets bytes and messages that were opened since", () => {
  const out = new ProtoWriter();
  out.open(0x0a);
  const before = out.length;
  out.open(0x12);
  out.uint(0x08, 300);
  out.rewind(before);
  out.uint(0x10, 1);
  out.close();
  expect(Array.from(out.bytes.subarray(0, out.length))).toEqual([0x0a, 2, 0x10, 1]);
  expect(() => out.close()).toThrow("no message is open");
});

test("more than 256 open messages are a programming error, said as such", () => {
  const out = new ProtoWriter();
  for (let i = 0; i < 256; i++) out.open(0x0a);
  expect(() => out.open(0x0a)).toThrow("more than 256");
});
