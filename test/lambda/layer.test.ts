import { crc32, inflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { sourceOf } from "../../tools/layer-bundle.ts";
import { zip } from "../../tools/zip.ts";

/** The files of an archive, by its central directory (APPNOTE 6.3 §4.3.12). */
function unzip(archive: Buffer) {
  const end = archive.length - 22;
  expect(archive.readUInt32LE(end)).toBe(0x06054b50);
  let at = archive.readUInt32LE(end + 16);
  return Array.from({ length: archive.readUInt16LE(end + 10) }, () => {
    expect(archive.readUInt32LE(at)).toBe(0x02014b50);
    const nameLength = archive.readUInt16LE(at + 28);
    const local = archive.readUInt32LE(at + 42);
    expect(archive.readUInt32LE(local)).toBe(0x04034b50);
    const from = local + 30 + archive.readUInt16LE(local + 26);
    const bytes = inflateRawSync(archive.subarray(from, from + archive.readUInt32LE(at + 20)));
    expect(crc32(bytes)).toBe(archive.readUInt32LE(at + 16));
    expect(bytes.length).toBe(archive.readUInt32LE(at + 24));
    const name = archive.toString("utf8", at + 46, at + 46 + nameLength);
    const mode = archive.readUInt32LE(at + 38) >>> 16;
    at += 46 + nameLength;
    return { name, mode, bytes };
  });
}

test("the archive has its files with their permissions, and the same files make the same bytes", () => {
  const entries = [
    { name: "extensions/weir", mode: 0o755, bytes: Buffer.from("#!/bin/sh\n") },
    { name: "weir/é.mjs", mode: 0o644, bytes: Buffer.from("x".repeat(100_000)) },
    { name: "empty", mode: 0o600, bytes: Buffer.alloc(0) },
  ];
  const archive = zip(entries);
  expect(zip(entries).equals(archive)).toBe(true);
  expect(archive.length).toBeLessThan(1_000);
  expect(unzip(archive)).toEqual(
    entries.map((entry) => ({ ...entry, mode: 0o100000 | entry.mode })),
  );
});

test("values become expressions that are equal to them; what has no expression is refused", () => {
  const value = [1.5, -2, 'a\u2028"', true, null, undefined, 7n, new Map([["k", { __proto: [] }]])];
  const read: unknown = new Function(`return ${sourceOf(value)}`)();
  expect(read).toEqual(value);
  for (const odd of [Number.NaN, -0, () => 1, /x/, new Set([1])])
    expect(() => sourceOf(odd)).toThrow("has no source");
});
