import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { directoryLock } from "../../src/journal/lock.ts";
import { openDirectory } from "../../src/journal/real-io.ts";
import { ALL, delivered, frameOf, NO_LIMITS, never, testJournal, textOf } from "./fake.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "journal-"));
});
afterEach(() => rm(root, { recursive: true }));

test("a journal on a real disk comes back after a stop and after none", async () => {
  const path = join(root, "deep", "queue");
  for (const [round, text] of ["one", "two", "three"].entries()) {
    await using io = await openDirectory(path, { create: true });
    const journal = testJournal({ io, lock: directoryLock(path), reserveBytes: 4_096 });
    await journal.start();
    const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
    await journal.append(Array.from({ length: 1_200 }, () => frameOf(text, [reader.route])));
    const range = await reader.read(ALL, never);
    expect(range.items).toBe(1_200 * (round + 1));
    expect(textOf(range.frames.at(-1)!.batch)).toBe(text);
    if (round === 2) reader.settle(range, delivered(range));
    await journal.stop(round === 0 ? AbortSignal.abort() : never);
  }
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  expect((await stat(join(path, "journal.json"))).mode & 0o777).toBe(0o600);
  await expect(stat(join(path, "lock"))).rejects.toThrow("ENOENT");
});

test("a held lock is one clear line; a dead owner's lock is taken over", async () => {
  const held = await directoryLock(root).acquire();
  await expect(directoryLock(root).acquire()).rejects.toThrow(
    new RegExp(`^${root} is in use by process ${process.pid}: stop that process, or .*directory$`),
  );
  await held[Symbol.asyncDispose]();
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.on("exit", resolve));
  const owners = [
    { pid: child.pid, started: "", token: "dead" },
    { pid: process.pid, started: "another boot/1", token: "pid reused" },
  ];
  for (const owner of owners) {
    await writeFile(join(root, "lock"), JSON.stringify(owner));
    await (await directoryLock(root).acquire())[Symbol.asyncDispose]();
  }
  await writeFile(join(root, "lock"), "garbage");
  await (await directoryLock(root).acquire())[Symbol.asyncDispose]();
});

test("symbolic links, odd names and missing directories are refused", async () => {
  await expect(openDirectory(join(root, "none"), { create: false })).rejects.toThrow(
    /is missing: create it/,
  );
  await symlink(root, join(root, "link"));
  await expect(openDirectory(join(root, "link"), { create: true })).rejects.toThrow(
    /symbolic link/,
  );
  await using io = await openDirectory(root, { create: false });
  await writeFile(join(root, "target"), "x");
  await symlink(join(root, "target"), join(root, "00000001.segment"));
  await expect(io.open("00000001.segment", "append")).rejects.toThrow("ELOOP");
  await expect(io.open("../x", "append")).rejects.toThrow("not a plain file name");
  expect(await io.list()).toEqual(["target"]);
});

test("what goes into a deleted file is not acknowledged; the journal goes on in another, or waits for its directory", async () => {
  const path = join(root, "queue");
  await using io = await openDirectory(path, { create: true });
  const journal = testJournal({ io });
  await journal.start();
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  const append = (text: string) => journal.append([frameOf(text, [reader.route])]);
  await append("before");
  for (const name of await readdir(path)) await rm(join(path, name));
  await sleep(300);
  await expect(append("into a deleted file")).rejects.toThrow(/journal cannot write.*deleted/);
  await append("into a new one");
  await rm(path, { recursive: true });
  await sleep(300);
  await expect(append("without a directory")).rejects.toThrow(/journal cannot write/);
  await expect(append("still without")).rejects.toThrow(/journal cannot write.*ENOENT/);
  await mkdir(path);
  await append("with one again");
  const range = await reader.read(ALL, never);
  expect(range.frames.map(({ batch }) => textOf(batch))).toContain("with one again");
  expect(journal.stats().fsyncFailures).toBe(2);
  await journal.stop(never);
});
