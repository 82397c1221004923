import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createBudget } from "../../../src/kit/budget.ts";
import {
  type Body,
  type Coding,
  codingOf,
  decompress,
  unknownCoding,
} from "../../../src/kit/server/compression.ts";
import { isRefusal } from "../../../src/otlp/status.ts";
import { SLACK } from "../../../src/wire/slack.ts";
import { fuzzInChild, fuzzRounds } from "../../support/child-fuzz.ts";
import { leastCpuMs } from "../../support/cpu.ts";

const MIB = 1024 * 1024;
const CODINGS = [
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
] as const;

async function decode(coding: Coding, bytes: Uint8Array, limit = MIB): Promise<string | Body> {
  const result = await decompress(coding, bytes, bytes.length, limit);
  return isRefusal(result) ? result.kind : result;
}

async function textOf(coding: Coding, bytes: Uint8Array, limit = MIB): Promise<string> {
  const result = await decode(coding, bytes, limit);
  if (typeof result === "string") return result;
  return Buffer.from(result.bytes.subarray(0, result.length)).toString("latin1");
}

test.each(CODINGS)("%s: any content comes back, with slack behind it", async (coding, compress) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 40_000 }), async (content) => {
      const result = (await decode(coding, compress(content))) as Body;
      expect(result.length).toBe(content.length);
      expect(Buffer.from(result.bytes.buffer, 0, result.length).equals(content)).toBe(true);
      expect(result.bytes.byteOffset).toBe(0);
      expect(result.bytes.buffer.byteLength).toBeGreaterThanOrEqual(result.length + SLACK);
    }),
    { numRuns: 50 },
  );
});

test("identity: as it is, within the limit", async () => {
  const bytes = new Uint8Array(100 + SLACK);
  expect(await decompress("identity", bytes, 100, 100)).toEqual({ bytes, length: 100 });
  expect(await decompress("identity", bytes, 100, 99)).toMatchObject({ kind: "too_large" });
});

test.each(CODINGS)(
  "%s: exactly the limit passes, one more byte does not",
  async (coding, compress) => {
    const exact = (await decode(coding, compress(Buffer.alloc(50_000, 7)), 50_000)) as Body;
    expect(exact.length).toBe(50_000);
    expect(await decode(coding, compress(Buffer.alloc(50_001, 7)), 50_000)).toBe("too_large");
  },
);

test("several gzip members are one body", async () => {
  const members = Buffer.concat([
    gzipSync("one "),
    gzipSync("x".repeat(100_000)),
    gzipSync(" end"),
  ]);
  expect(await textOf("gzip", members)).toBe(`one ${"x".repeat(100_000)} end`);
});

test("data behind the end of a deflate stream is refused: it would be lost", async () => {
  const two = Buffer.concat([deflateSync("a"), deflateSync("b")]);
  expect(await decode("deflate", two)).toBe("invalid");
});

test("several zstd frames are refused: node:zlib would silently keep the first", async () => {
  const frames = Buffer.concat([zstdCompressSync("one "), zstdCompressSync("two")]);
  expect(decompress("zstd", frames, frames.length, MIB)).toMatchObject({
    kind: "invalid",
    why: "the body is more than one frame of zstd: compress it as one",
  });
  const large = Buffer.concat([zstdCompressSync(Buffer.alloc(2 * MIB)), zstdCompressSync("two")]);
  expect(await decode("zstd", large, 4 * MIB)).toBe("invalid");
});

test("a trailer that lies about the size costs nothing but time", async () => {
  const small = gzipSync("a".repeat(70_000));
  small.writeUInt32LE(5, small.length - 4);
  expect(await decode("gzip", small)).toBe("invalid");
  const members = Buffer.concat([gzipSync("a".repeat(900_000)), gzipSync("b")]);
  expect((await textOf("gzip", members)).length).toBe(900_001);
});

test("what is large is decoded on the thread pool", async () => {
  const packed = gzipSync(Buffer.alloc(3 * MIB, 1));
  const result = decompress("gzip", packed, packed.length, 4 * MIB);
  expect(result).toBeInstanceOf(Promise);
  expect(await result).toMatchObject({ length: 3 * MIB });
  const damaged = Buffer.from(packed);
  damaged.fill(0xff, 100, 200);
  expect(await decode("gzip", damaged, 4 * MIB)).toBe("invalid");
});

test("S2: bombs stop at the limit, quickly and within the lease", async () => {
  const layer = gzipSync(Buffer.alloc(32 * MIB));
  const bombs = [
    gzipSync(Buffer.alloc(200 * MIB)),
    Buffer.concat([layer, layer, layer, gzipSync("x")]),
    zstdCompressSync(Buffer.alloc(200 * MIB)),
  ];
  for (const [i, bomb] of bombs.entries()) {
    const coding = i === 2 ? "zstd" : "gzip";
    const stop = async () => {
      const budget = createBudget(256 * MIB);
      using lease = budget.take(bomb.length);
      const result = await decompress(coding, bomb, bomb.length, 64 * MIB, lease);
      expect(result).toMatchObject({ kind: "too_large" });
      expect(budget.used).toBeLessThanOrEqual(160 * MIB);
    };
    expect(await leastCpuMs(stop)).toBeLessThan(600);
  }
});

test("output beyond the lease is refused before its memory is taken", async () => {
  const packed = gzipSync(Buffer.alloc(500_000));
  const small = createBudget(100_000);
  using lease = small.take(packed.length);
  const result = decompress("gzip", packed, packed.length, MIB, lease);
  expect(result).toMatchObject({ kind: "too_large", retryAfterMs: 0 });
  expect(small.used).toBe(packed.length);
  const busy = createBudget(MIB);
  using other = busy.take(900_000);
  using waiting = busy.take(packed.length);
  const later = decompress("gzip", packed, packed.length, MIB, waiting);
  expect(later).toMatchObject({ kind: "refused", retryAfterMs: 1000 });
  expect(busy.used).toBe(packed.length + (other?.bytes ?? 0));
});

test.each(CODINGS)(
  "%s: cut anywhere or damaged anywhere is invalid, never a throw",
  async (coding, compress) => {
    const packed = compress(Buffer.from("the quick brown fox ".repeat(40)));
    for (let cut = 0; cut < packed.length; cut++)
      expect(await decode(coding, packed.subarray(0, cut)), `cut at ${cut}`).toBe("invalid");
    for (let at = 0; at < packed.length; at++) {
      const damaged = Buffer.from(packed);
      damaged[at] = (damaged[at] as number) ^ 0xff;
      const result = await decode(coding, damaged);
      if (typeof result === "string") expect(["invalid", "too_large"]).toContain(result);
      else expect(result.length).toBeLessThanOrEqual(MIB);
    }
  },
);

test("deflate and zlib data under the name gzip are invalid", async () => {
  expect(await decode("gzip", deflateSync("x"))).toBe("invalid");
  expect(await decode("gzip", new Uint8Array(0))).toBe("invalid");
  expect(await decode("zstd", gzipSync("x"))).toBe("invalid");
});

test("zstd windows above 8 MiB are not taken (RFC 9659)", async () => {
  // Magic, descriptor without content size, window descriptor: exponent 17 → 2^27 = 128 MiB; then an empty last raw block.
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00]);
  expect(await decode("zstd", frame)).toBe("invalid");
});

test("encodings are read tolerantly, and only one at a time", () => {
  expect([undefined, "", "identity", " GZIP ", "x-gzip", "zstd"].map(codingOf)).toEqual([
    "identity",
    "identity",
    "identity",
    "gzip",
    "gzip",
    "zstd",
  ]);
  expect(["deflate", "zlib", "snappy", "x-snappy-framed"].map(codingOf)).toEqual([
    "deflate",
    "deflate",
    "snappy",
    "snappy",
  ]);
  for (const header of ["gzip, gzip", "br", "lz4", "gzip,", "__proto__"])
    expect(codingOf(header)).toBeUndefined();
  expect(unknownCoding("gzip, gzip")).toContain("more than once");
  expect(unknownCoding("br")).toContain('unknown encoding "br"');
});

const much = fuzzRounds(3_000);

test(
  "fuzz: mutated input in a child process that must end in time",
  () => fuzzInChild("fuzz-compression.ts", much),
  much.limitMs + 5_000,
);
