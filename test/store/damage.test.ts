import {
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { StoreSupervisor } from "../../src/extensions/embedded_store/supervisor.ts";
import { SELF, startStore, type TestStore, temporaryDirectory } from "./harness.ts";

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function fresh(): { path: string; file: string; log: string } {
  const { path, remove } = temporaryDirectory();
  cleanups.push(remove);
  const file = join(path, "store.duckdb");
  return { path, file, log: `${file}.wal` };
}

async function start(path: string): Promise<TestStore> {
  const store = await startStore(path);
  cleanups.push(() => (store.child.exitCode === null ? store.kill() : undefined));
  return store;
}

/** Directories of a store with a row in its file and, where it was then killed, one more in its log: made once, copied for each test. */
const filled = { stop: temporaryDirectory(), kill: temporaryDirectory() };
beforeAll(async () => {
  const first = await startStore(filled.stop.path);
  await first.write("m a=1i 1");
  await first.stop();
  cpSync(filled.stop.path, filled.kill.path, { recursive: true });
  const second = await startStore(filled.kill.path);
  await second.write("m a=2i 2");
  await second.kill();
});
afterAll(() => {
  for (const { remove } of Object.values(filled)) remove();
});
function fill(path: string, end: "stop" | "kill"): void {
  cpSync(filled[end].path, path, { recursive: true });
}

const ALL = "SELECT a FROM m ORDER BY a";
const quarantined = (path: string) =>
  readdirSync(path)
    .filter((name) => name.includes(".quarantine-"))
    .map((name) => name.replace(/-\d{8}T\d{9}Z$/, ""))
    .sort();
const errorLines = (text: string) =>
  text.split("\n").filter((line) => line.startsWith("weir store: ERROR: "));

async function startsEmpty(path: string): Promise<void> {
  const store = await start(path);
  expect(quarantined(path)).toContain("store.duckdb.quarantine");
  await expect
    .poll(() => errorLines(store.said()))
    .toEqual([
      expect.stringMatching(
        / is damaged: moved to \S+store\.duckdb\.quarantine-.+, starting empty: /,
      ),
    ]);
  expect((await store.query(ALL)).status).not.toBe(200);
  expect((await store.write("m a=7i 7")).status).toBe(204);
  expect(await store.rows(ALL)).toEqual([{ a: 7 }]);
  await store.stop();
}

test.each([
  ["garbage", "this was a database once ".repeat(1000)],
  ["a few bytes", "x"],
  ["nothing", ""],
])("a file of %s is moved aside and the store starts empty", async (_what, content) => {
  const { path, file } = fresh();
  writeFileSync(file, content);
  await startsEmpty(path);
});

test.each([3])("a file cut after %i eighths is moved aside with what it still holds", async (n) => {
  const { path, file } = fresh();
  fill(path, "stop");
  const { length } = readFileSync(file);
  truncateSync(file, Math.floor((length * n) / 8));
  await startsEmpty(path);
  const again = await start(path);
  expect(again.said()).toBe("");
  expect(await again.rows(ALL)).toEqual([{ a: 7 }]);
  const [aside = ""] = readdirSync(path).filter((name) => name.includes(".quarantine-"));
  expect(readFileSync(join(path, aside)).length).toBe(Math.floor((length * n) / 8));
});

test("the log of a damaged file goes with it: it must not be replayed into the new one", async () => {
  const { path, file } = fresh();
  fill(path, "kill");
  writeFileSync(file, "garbage".repeat(10_000));
  await startsEmpty(path);
  expect(quarantined(path)).toEqual(["store.duckdb.quarantine", "store.duckdb.wal.quarantine"]);
});

test("a damaged log of the last writes costs those writes only", async () => {
  const { path, log } = fresh();
  fill(path, "kill");
  const bytes = readFileSync(log);
  const middle = bytes.length >> 1;
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 0xff, middle);
  writeFileSync(log, bytes);
  const store = await start(path);
  expect(quarantined(path)).toEqual(["store.duckdb.wal.quarantine"]);
  await expect
    .poll(() => errorLines(store.said()))
    .toEqual([expect.stringContaining("its last writes are missing")]);
  expect(await store.rows(ALL)).toEqual([{ a: 1 }]);
});

test("a directory that another process has is left alone, whatever is in it", async () => {
  const { path, file } = fresh();
  const store = await start(path);
  await store.write("m a=1i 1");
  // The file as it would be after a crash of the other process: the lock is asked for before the content.
  writeFileSync(file, "garbage".repeat(100), { flag: "r+" });
  await expect(startStore(path)).rejects.toThrow(
    /^exit 1: weir store: .* is in use by another process/,
  );
  expect(quarantined(path)).toEqual([]);
});

test("what is wrong outside of the file moves nothing", async () => {
  const { path, file } = fresh();
  fill(path, "stop");
  const kept = `${file}.kept`;
  copyFileSync(file, kept);
  await expect(startStore(path, ["--memory-limit", "1KB"])).rejects.toThrow(/exit 1: weir store: /);
  expect(quarantined(path)).toEqual([]);
  expect(readFileSync(file).equals(readFileSync(kept))).toBe(true);
});

test("the service logs it as one ERROR", async () => {
  const { path, file } = fresh();
  writeFileSync(file, "garbage");
  const told: string[] = [];
  const tell = (level: string) => (fields: object, text: string) =>
    void told.push(`${level} ${text} ${JSON.stringify(fields)}`);
  const supervisor = new StoreSupervisor({
    command: [...SELF, "store", "--exit-with-parent", "--directory", path],
    endpoint: "127.0.0.1:0",
    token: "",
    log: { debug: tell("debug"), info: tell("info"), warn: tell("warn"), error: tell("error") },
    onRestart: () => {},
  });
  cleanups.push(() => supervisor.stop(AbortSignal.timeout(60_000)));
  await supervisor.start();
  const said = (level: string) => told.filter((line) => line.startsWith(level));
  // It says so before it listens, on another pipe.
  await expect.poll(() => said("error")).toEqual([expect.stringMatching(/is damaged: moved to/)]);
  expect(said("warn")).toEqual([]);
});
