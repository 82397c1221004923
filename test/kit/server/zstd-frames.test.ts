import { constants, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { zstdFrameEnd } from "../../../src/kit/server/zstd-frames.ts";
import { seeded } from "../../support/seeded.ts";

const random = seeded(7);
const noise = Uint8Array.from({ length: 300_000 }, () => random(256));
const CONTENTS = {
  nothing: Buffer.alloc(0),
  little: Buffer.from("hello"),
  "300 bytes": Buffer.alloc(300, "ab"),
  "one byte, often": Buffer.alloc(500_000, 7),
  noise,
};
const KINDS = [
  {},
  { [constants.ZSTD_c_checksumFlag]: 1 },
  { [constants.ZSTD_c_contentSizeFlag]: 0 },
];

test.each(Object.entries(CONTENTS))("the end of a frame of %s is found", (_what, content) => {
  for (const params of KINDS) {
    const frame = zstdCompressSync(content, { params });
    const bytes = Buffer.concat([Buffer.alloc(5), frame, Buffer.alloc(9, 0xff)]);
    expect(zstdFrameEnd(bytes, 5, bytes.length)).toBe(5 + frame.length);
    expect(zstdFrameEnd(bytes, 5, 5 + frame.length)).toBe(5 + frame.length);
    for (let cut = 1; cut < Math.min(frame.length, 200); cut++)
      expect(zstdFrameEnd(bytes, 5, 5 + frame.length - cut)).toBe(-1);
  }
});

test("a frame that is passed over, and what is no frame", () => {
  const skippable = Buffer.from("5a2a4d1803000000616263", "hex");
  expect(zstdFrameEnd(skippable, 0, skippable.length)).toBe(11);
  expect(zstdFrameEnd(skippable, 0, 10)).toBe(-1);
  expect(zstdFrameEnd(Buffer.alloc(20), 0, 20)).toBe(-1);
  expect(zstdFrameEnd(Buffer.from("5a2a4d18ffffffff616263", "hex"), 0, 11)).toBe(-1);
});

test("no bytes make it read outside, or without end", () => {
  for (let round = 0; round < 5_000; round++) {
    const frame = zstdCompressSync(noise.subarray(0, random(300)));
    for (let n = random(4); n >= 0; n--) frame[4 + random(frame.length - 4)] = random(256);
    const end = zstdFrameEnd(frame, 0, frame.length);
    expect(end === -1 || (end > 8 && end <= frame.length)).toBe(true);
  }
});
