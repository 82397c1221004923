import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { isZlib, magicCoding, namedCoding } from "../../src/kit/coding-magic.ts";

const bodyOf = (bytes: Uint8Array, length = bytes.length) => ({ bytes, length });
const TEXT = Buffer.from("function_logs,a=b c=1i\n".repeat(20));

test("gzip and zstd are known by how they begin, and by nothing less", () => {
  expect(magicCoding(bodyOf(gzipSync(TEXT)))).toBe("gzip");
  expect(magicCoding(bodyOf(zstdCompressSync(TEXT)))).toBe("zstd");
  expect(magicCoding(bodyOf(gzipSync(TEXT), 1))).toBeUndefined();
  expect(magicCoding(bodyOf(zstdCompressSync(TEXT), 3))).toBeUndefined();
  for (const plain of ["", "(", '{"a":1}', "[1]", "m v=1", "\u001f"])
    expect(magicCoding(bodyOf(Buffer.from(plain)))).toBeUndefined();
});

test("zlib of every window begins as zlib, raw deflate and most texts do not", () => {
  for (const windowBits of [9, 12, 15])
    expect(isZlib(bodyOf(deflateSync(TEXT, { windowBits })))).toBe(true);
  expect(isZlib(bodyOf(deflateSync(TEXT), 1))).toBe(false);
  expect(isZlib(bodyOf(deflateRawSync(TEXT)))).toBe(false);
  for (const plain of ["", "x", "m v=1", '{"a":1}'])
    expect(isZlib(bodyOf(Buffer.from(plain)))).toBe(false);
});

test("a header names its coding in any case, with spaces around it", () => {
  expect([" BR", "gzip", "Zstd ", "deflate", "snappy"].map(namedCoding)).toEqual([
    "br",
    "gzip",
    "zstd",
    "deflate",
    "snappy",
  ]);
  expect(namedCoding(undefined)).toBe("identity");
  expect(namedCoding("compress")).toBeUndefined();
});
