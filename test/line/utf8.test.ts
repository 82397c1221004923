import { isUtf8 as isUtf8Native } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { copyReplaced, isAscii, isUtf8, REPLACED_GROWTH } from "../../src/line/utf8.ts";

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
/** Each beginning of a character of every length, and the edges of what is allowed: overlong forms, surrogates, the last code point. */
const edges = fc.constantFrom(
  ...[0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf],
  ...[0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff],
);
const anyBytes = fc.oneof(
  fc.array(edges, { maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.array(fc.constantFrom(0x20, 0x41, 0x7f), { maxLength: 70 }).map((bytes) => Buffer.from(bytes)),
);

test("what is UTF-8 and ASCII, and what it becomes, as Node has it", () => {
  fc.assert(
    fc.property(anyBytes, fc.nat(5), (text, from) => {
      const end = from + text.length;
      // What is around must not matter.
      const bytes = Uint8Array.from([
        ...new Uint8Array(from).fill(0xe2),
        ...text,
        0x82,
        0xac,
        0x80,
      ]);
      expect(isUtf8(bytes, from, end)).toBe(isUtf8Native(text));
      const view = new DataView(bytes.buffer);
      expect(isAscii(view, from, end)).toBe(text.every((c) => c < 0x80));
      const target = new Uint8Array(3 + REPLACED_GROWTH * text.length).fill(7);
      const length = copyReplaced(target, 3, bytes, from, end);
      const expected = Buffer.from(DECODER.decode(text));
      expect(Buffer.from(target.subarray(3, length))).toEqual(expected);
      expect(target.subarray(length).every((byte) => byte === 7)).toBe(true);
    }),
    { numRuns: 20_000 },
  );
});

test("every pair of bytes, and each behind the beginning of a longer character", () => {
  const target = new Uint8Array(64);
  for (let a = 0; a < 256; a++)
    for (let b = 0; b < 256; b++)
      for (const text of [
        [a, b],
        [a, b, 0x80],
        [0xf1, 0x80, a, b],
      ]) {
        const bytes = Uint8Array.from(text);
        expect(isUtf8(bytes, 0, bytes.length)).toBe(isUtf8Native(bytes));
        const length = copyReplaced(target, 0, bytes, 0, bytes.length);
        if (Buffer.compare(target.subarray(0, length), Buffer.from(DECODER.decode(bytes))) !== 0)
          expect.fail(`[${text}] became [${target.subarray(0, length)}]`);
      }
});
