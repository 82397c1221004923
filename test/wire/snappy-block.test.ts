import fc from "fast-check";
import { compressSync, uncompressSync } from "snappy";
import { expect, test } from "vitest";
import { snappyLength, unsnappy } from "../../src/kit/server/snappy.ts";
import { snappyCompressor } from "../../src/wire/snappy-block.ts";

const compress = snappyCompressor();

async function expectSame(input: Uint8Array): Promise<number> {
  const output = compress(input);
  const native = uncompressSync(Buffer.from(output), { asBuffer: true }) as Buffer;
  expect(native.equals(input)).toBe(true);
  const length = snappyLength(output);
  expect(length).toBe(input.length);
  expect(
    Buffer.from(await unsnappy(output, length))
      .subarray(0, length)
      .equals(input),
  ).toBe(true);
  return output.length;
}

/** Pieces that come again, near and far, behind bytes that do not. */
const repetitive = fc
  .array(
    fc.record({
      piece: fc.uint8Array({ maxLength: 90 }),
      times: fc.integer({ min: 1, max: 40 }),
      noise: fc.uint8Array({ maxLength: 300 }),
    }),
    { maxLength: 12 },
  )
  .map((parts) =>
    Buffer.concat(parts.flatMap(({ piece, times, noise }) => [...Array(times).fill(piece), noise])),
  );

test("what it writes is what two other programs read", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(repetitive, fc.uint8Array({ maxLength: 3_000 })), async (input) => {
      await expectSame(Uint8Array.from(input));
    }),
    { numRuns: 500 },
  );
});

test.each([0, 1, 8, 9, 59, 60, 61, 62, 255, 256, 257, 258, 65_535, 65_536, 65_537, 131_073])(
  "%i bytes, all the same and all different",
  async (length) => {
    await expectSame(new Uint8Array(length).fill(7));
    let state = 1;
    const noise = Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 24;
    });
    // Three bytes for a literal of 64 KiB, and the length.
    expect(await expectSame(noise)).toBeLessThanOrEqual(
      length + 5 + 3 * Math.ceil((length + 1) / 65_536),
    );
  },
);

test("a view of larger memory is read from where it begins", async () => {
  const memory = Buffer.from(
    `${"x".repeat(100)}${"to be, or not to be ".repeat(50)}${"y".repeat(100)}`,
  );
  await expectSame(memory.subarray(100, 1_100));
});

test("log lines become not much larger than native code makes them", async () => {
  const lines = Array.from(
    { length: 5_000 },
    (_, n) => `Info: source = lambda, function= resize,  time = ${n * 7919}, record = image ${n}\n`,
  ).join("");
  const input = Buffer.from(lines);
  expect(await expectSame(input)).toBeLessThan(1.1 * compressSync(input).length);
});
