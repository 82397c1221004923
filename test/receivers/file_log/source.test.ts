import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { GzipSource } from "../../../src/receivers/file_log/source.ts";

test("an archive closes its own descriptor only, also when it is left in the middle or is damaged", async () => {
  const directory = await mkdtemp(join(tmpdir(), "weir-archive-"));
  const path = join(directory, "a.gz");
  const content = Buffer.from("line\n".repeat(200_000));
  await writeFile(path, gzipSync(content));
  await writeFile(join(directory, "b.gz"), gzipSync(content).subarray(0, 500));
  try {
    for (let round = 0; round < 20; round++) {
      const name = round % 2 === 0 ? path : join(directory, "b.gz");
      const source = new GzipSource(await open(name));
      const into = new Uint8Array(1 + round * 60_000);
      await source.read(into, 0).catch(() => {});
      await source.close();
      // It gets the number that is free now.
      await using other = await open(path);
      for (let i = 0; i < 10; i++) await turn();
      expect((await other.stat()).size).toBeGreaterThan(0);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
