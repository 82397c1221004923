import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { createBudget } from "../../src/kit/budget.ts";
import { decompress } from "../../src/kit/server/compression.ts";
import { isRefusal } from "../../src/otlp/status.ts";
import { snappyBlock, snappyFramed } from "./snappy.ts";

/** Child process of the compression fuzz: mutated gzip, zstd, deflate and snappy, seeded; exits 1 when a promise of `decompress` is broken. */
const rounds = Number(process.argv[2]);
const LIMIT = 300_000;
let state = Number(process.argv[3] ?? 12_345);

function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const CODINGS = [
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
  ["deflate", deflateSync],
  ["snappy", (content: Buffer) => snappyBlock(content, random)],
  ["snappy", (content: Buffer) => snappyFramed(content, random)],
] as const;
const budget = createBudget(64 * 1024 * 1024);
for (let round = 0; round < rounds; round++) {
  const [coding, compress] = CODINGS[random(CODINGS.length)] as (typeof CODINGS)[number];
  // The encoder of Snappy is of the tests, and slow.
  const seldom = coding === "snappy" ? 60 : 5;
  const content = Buffer.alloc(
    random(seldom) === 0 ? random(2 * LIMIT) : random(2_000),
    random(256),
  );
  const packed = compress(content);
  for (let hits = random(4); hits > 0; hits--) packed[random(packed.length)] = random(256);
  const length = random(3) === 0 ? random(packed.length + 1) : packed.length;
  {
    using lease = budget.take(length);
    const result = await decompress(coding, packed, length, LIMIT, lease);
    if (!isRefusal(result) && (result.length > LIMIT || result.bytes.length < result.length + 16))
      throw new Error(`round ${round}: ${result.length} bytes`);
  }
  if (budget.used !== 0) throw new Error(`round ${round}: ${budget.used} bytes not given back`);
}
process.stdout.write(`${rounds} rounds\n`);
