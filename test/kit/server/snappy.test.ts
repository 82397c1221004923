import { expect, test } from "vitest";
import { type Body, decompress } from "../../../src/kit/server/compression.ts";
import { snappyLength, unsnappy } from "../../../src/kit/server/snappy.ts";
import { isRefusal } from "../../../src/otlp/status.ts";
import { SLACK } from "../../../src/wire/slack.ts";
import { leastCpuMs } from "../../support/cpu.ts";
import { crc32c } from "../../support/crc32c.ts";
import { snappyBlock, snappyFramed, varint } from "../../support/snappy.ts";

const MIB = 1024 * 1024;

function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

async function decode(bytes: Uint8Array, limit = MIB): Promise<string> {
  const result = await decompress("snappy", bytes, bytes.length, limit);
  return isRefusal(result)
    ? `${result.kind}: ${result.why}`
    : Buffer.from(result.bytes.subarray(0, result.length)).toString("latin1");
}

/** What Go's snappy package makes of one text: as a block, and as a stream with a flush in it. */
const TEXT = `${"a log line said: ".repeat(20)}\0\xff end ${"z".repeat(300)}`;
const BLOCK =
  "hwVAYSBsb2cgbGluZSBzYWlkOiD+EQD+EQD+EQD+EQDuEQANERwA/yBlbmQgev4BAP4BAP4BAP4BAKoBAA==";
const STREAM =
  "/wYAAHNOYVBwWQAdAAD0T6eiZEBhIGxvZyBsaW5lIHNhaWQ6IP4RAEoRAABAAABqzStKpgRAOiBhIGxvZyBsaW5lIHNhaWT+EQD+EQD+EQB6EQAcAP8gZW5kIHr+AQD+AQD+AQD+AQCqAQAIAQID";

test("what Go writes, as a block and framed", async () => {
  expect(await decode(Buffer.from(BLOCK, "base64"))).toBe(TEXT);
  expect(await decode(Buffer.from(STREAM, "base64"))).toBe(`${TEXT}\x01\x02\x03`);
});

test("the checksum of the tests is CRC-32C", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

test("whatever the encoder chose, the content comes back, with slack behind it", async () => {
  const random = seeded(99);
  for (let round = 0; round < 60; round++) {
    const content = Buffer.alloc(random(round % 10 === 0 ? 300_000 : 3_000));
    const letters = 1 + random(6);
    for (let i = 0; i < content.length; i++) content[i] = random(letters);
    for (const encode of [snappyBlock, snappyFramed]) {
      const packed = encode(content, random);
      const { bytes, length } = (await decompress("snappy", packed, packed.length, MIB)) as Body;
      expect(Buffer.compare(bytes.subarray(0, length), content)).toBe(0);
      expect(bytes.buffer.byteLength).toBeGreaterThanOrEqual(length + SLACK);
    }
  }
});

test("exactly the limit passes, one more byte does not; claims are not believed", async () => {
  const random = seeded(5);
  const packed = snappyBlock(Buffer.alloc(5_000, 1), random);
  expect((await decode(packed, 5_000)).length).toBe(5_000);
  expect(await decode(packed, 4_999)).toMatch(/^too_large/);
  expect(await decode(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]))).toContain(
    "more than it can",
  );
});

test.each([
  ["nothing", ""],
  ["a length without an end", "ffffffffff"],
  ["too little", "0500"],
  ["a text behind the end", "0208414243"],
  ["a text longer than the input", "0a1441"],
  ["a copy of nothing", "080d00"],
  ["a copy from before the start", "0800410d05"],
  ["a copy behind the end", "02004105ff"],
  ["half a copy", "0500410d"],
  ["a wrong checksum", "ff060000734e61507059010500000000000041"],
  ["a chunk of a kind that must not be skipped", "ff060000734e6150705902000000"],
  ["a chunk that is not whole", "ff060000734e61507059010900000000000041"],
  ["a head that is not whole", "ff060000734e6150705901"],
  ["a chunk without a checksum", "ff060000734e6150705901020000ffff"],
])("damaged: %s", async (_, hex) => {
  expect(await decode(Buffer.from(hex, "hex"))).toMatch(/^invalid: the body is not snappy/);
});

test("a stream of millions of empty chunks is refused at once", async () => {
  const head = Buffer.from("ff060000734e61507059", "hex");
  const empty = Buffer.concat([head, Buffer.alloc(4 * MIB, Buffer.from("fe000000", "hex"))]);
  const refuse = async () => expect(await decode(empty)).toContain("too many chunks");
  expect(await leastCpuMs(refuse)).toBeLessThan(500);
});

test("large blocks let the event loop go in between", async () => {
  const piece = Buffer.from("0123456789abcdef0123456789abcdef!");
  const copies = 600_000;
  const total = piece.length * (copies + 1);
  const copy = Buffer.from([((piece.length - 1) << 2) | 2, piece.length, 0]);
  const text = Buffer.concat([Buffer.of((piece.length - 1) << 2), piece]);
  const packed = Buffer.concat([varint(total), text, Buffer.alloc(3 * copies, copy)]);
  let turns = 0;
  const count = () => {
    turns += 1;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  const output = await unsnappy(packed, snappyLength(packed));
  clearImmediate(timer);
  expect(Buffer.compare(output.subarray(0, total), Buffer.alloc(total, piece))).toBe(0);
  expect(turns).toBeGreaterThan(5);
});
