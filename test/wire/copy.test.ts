import fc from "fast-check";
import { expect, test } from "vitest";
import { Constants, copy } from "../../src/wire/copy.ts";
import { SLACK, withSlack } from "../../src/wire/slack.ts";

const CANARY = 0xc5;

test("a copy equals a slow one and overshoots by less than 8 bytes on either side", () => {
  fc.assert(
    fc.property(fc.nat(700), fc.nat(20), fc.nat(20), (length, from, at) => {
      const source = new Uint8Array(from + length + 8).map((_, i) => (i * 7 + 3) & 255);
      const target = new Uint8Array(at + length + 8).fill(CANARY);
      const guarded = new Uint8Array(target.length + 16).fill(CANARY);
      const view = new DataView(guarded.buffer, 8, target.length);
      expect(copy(view, at, new DataView(source.buffer), from, length)).toBe(at + length);
      const written = guarded.subarray(8 + at, 8 + at + length);
      expect(Buffer.from(written).equals(Buffer.from(source.subarray(from, from + length)))).toBe(
        true,
      );
      expect(guarded.subarray(0, 8 + at).every((byte) => byte === CANARY)).toBe(true);
      expect(guarded.subarray(8 + at + length + 7).every((byte) => byte === CANARY)).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test("memory without slack is copied into memory that has it; memory with slack is not copied", () => {
  const tight = Uint8Array.of(1, 2, 3);
  const roomy = withSlack(tight);
  expect(Array.from(roomy.subarray(0, 3))).toEqual([1, 2, 3]);
  expect(roomy.length).toBe(3 + SLACK);
  expect(withSlack(roomy, 3).buffer).toBe(roomy.buffer);
});

test("constants are copied as they were added, and a full memory says so", () => {
  const constants = new Constants(64);
  const one = constants.add(",status=");
  const target = new DataView(new ArrayBuffer(32));
  copy(target, 0, constants.view, one.at, one.length);
  expect(Buffer.from(target.buffer, 0, one.length).toString()).toBe(",status=");
  expect(() => constants.add("x".repeat(60))).toThrow(RangeError);
});
