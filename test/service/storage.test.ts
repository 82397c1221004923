import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { config } from "../../src/extensions/file_storage/config.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import { openStorage } from "../../src/service/storage.ts";
import { recordingLog } from "../support/export-rig.ts";

async function opened(options: object) {
  const directory = await mkdtemp(join(tmpdir(), "weir-storage-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const log = recordingLog();
  const needs = { indexer: createIndexer(), log, nowMs: Date.now, cacheBytes: 0, took: () => {} };
  const storage = await openStorage(
    "file_storage/q",
    config.parse({ directory, ...options }),
    needs,
  );
  onTestFinished(() => storage.stop(AbortSignal.timeout(60_000)));
  return log.lines.filter(({ level }) => level !== "debug");
}

test("fsync: false is said at the start, because a power cut may then lose what was acknowledged", async () => {
  expect(await opened({ fsync: false })).toMatchObject([
    {
      level: "warn",
      text: expect.stringMatching(/fsync is off.*power cut/),
      fields: { storage: "file_storage/q" },
    },
  ]);
  expect(await opened({})).toEqual([]);
});
