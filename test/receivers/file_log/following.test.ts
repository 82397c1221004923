import { spawnSync } from "node:child_process";
import {
  appendFile,
  chmod,
  copyFile,
  link,
  mkdir,
  open,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { FileRig, lines } from "./rig.ts";

const LONG = "x".repeat(100);
/** More than a fingerprint. */
const manyLines = (name: string, from = 0) =>
  Array.from({ length: 20 }, (_, i) => `${name} ${from + i} ${LONG}`);
const textOf = (texts: string[]) => texts.map((text) => `${text}\n`).join("");

test("lines of a file as they come, and those of files that come later", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), "one\ntwo\n");
  await rig.start();
  await rig.expectBodies("one", "two");
  await appendFile(rig.path("a.log"), "three\n");
  await rig.expectBodies("one", "two", "three");
  await writeFile(rig.path("b.log"), "four\n");
  await rig.expectBodies("one", "two", "three", "four");
});

test("start_at: end leaves out what is there at the first start, and nothing else", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), "old\n");
  await writeFile(rig.path("empty.log"), "");
  await rig.start({ start_at: "end" });
  await appendFile(rig.path("a.log"), "one\n");
  await appendFile(rig.path("empty.log"), "two\n");
  await rig.expectCount(2);
  await writeFile(rig.path("b.log"), "three\n");
  await rig.expectCount(3);
  await rig.stop();
  await appendFile(rig.path("a.log"), "four\n");
  await writeFile(rig.path("c.log"), "five\n");
  await rig.start({ start_at: "end" });
  await rig.expectCount(5);
  expect(rig.bodies.toSorted()).toEqual(["five", "four", "one", "three", "two"]);
});

test("a restart repeats nothing and loses nothing, also of files that were renamed meanwhile", async () => {
  await using rig = await FileRig.make();
  const a = manyLines("a");
  await writeFile(rig.path("a.log"), textOf(a));
  await writeFile(rig.path("short.log"), "same\n");
  await rig.start();
  await rig.expectCount(21);
  await rig.stop();
  await rename(rig.path("a.log"), rig.path("a.log.1"));
  await appendFile(rig.path("a.log.1"), "the last one\n");
  await writeFile(rig.path("a.log"), "the next file\n");
  await appendFile(rig.path("short.log"), "grown\n");
  await rig.start();
  await rig.expectCount(24);
  expect(rig.bodies.slice(21).toSorted()).toEqual(["grown", "the last one", "the next file"]);
});

test("rotation by rename and create: the old file is read to its end", async () => {
  await using rig = await FileRig.make();
  await rig.start({ include: [rig.path("*.log")] });
  await writeFile(rig.path("a.log"), "one\n");
  await rig.expectBodies("one");
  const old = await open(rig.path("a.log"), "a");
  await rename(rig.path("a.log"), rig.path("a.log.1"));
  await writeFile(rig.path("a.log"), "three\n");
  await old.write("two\n");
  await old.close();
  await rig.expectCount(3);
  expect(rig.bodies.toSorted()).toEqual(["one", "three", "two"]);
});

test("copytruncate: the copy is not read again, nor what comes after the truncation lost", async () => {
  await using rig = await FileRig.make();
  const a = manyLines("a");
  await writeFile(rig.path("a.log"), textOf(a));
  await rig.start();
  await rig.expectCount(20);
  await copyFile(rig.path("a.log"), rig.path("a.log.1"));
  await truncate(rig.path("a.log"));
  await appendFile(rig.path("a.log"), "after\n");
  await rig.expectBodies(...a, "after");
});

test("copytruncate of a file that grew past its old size is seen by the bytes before the position", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), "one\n");
  await rig.start({ include: [rig.path("a.log")], watch: false, poll_interval: "300ms" });
  await rig.expectBodies("one");
  await truncate(rig.path("a.log"));
  await appendFile(rig.path("a.log"), "two, which is longer\n");
  await rig.expectBodies("one", "two, which is longer");
});

test("a short file that is copied and emptied while nobody looks", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), "one\n");
  await rig.start();
  await rig.expectBodies("one");
  await copyFile(rig.path("a.log"), rig.path("a.log.1"));
  await truncate(rig.path("a.log"));
  await rig.restart();
  await appendFile(rig.path("a.log"), "two\n");
  await rig.expectBodies("one", "two");
});

test("lines between the last look and the copy are read from the copy", async () => {
  await using rig = await FileRig.make();
  const a = manyLines("a");
  await writeFile(rig.path("a.log"), textOf(a));
  await rig.start();
  await rig.expectCount(20);
  await rig.stop();
  await appendFile(rig.path("a.log"), "late\n");
  await copyFile(rig.path("a.log"), rig.path("a.log.1"));
  await truncate(rig.path("a.log"));
  await appendFile(rig.path("a.log"), "next\n");
  await rig.start();
  await rig.expectCount(22);
  expect(rig.bodies.slice(20).toSorted()).toEqual(["late", "next"]);
});

test("archives are read once: one whose content was read before it was packed not at all", async () => {
  await using rig = await FileRig.make();
  const a = manyLines("a");
  await writeFile(rig.path("a.log"), textOf(a));
  await writeFile(
    rig.path("old.log.gz"),
    Buffer.concat([gzipSync("first member\n"), gzipSync("second\nno newline")]),
  );
  await rig.start();
  await rig.expectCount(23);
  await appendFile(rig.path("a.log"), "unread\n");
  await rig.expectCount(24);
  await writeFile(rig.path("a.log.1.gz"), gzipSync(`${textOf(a)}unread\nmore\n`));
  await unlink(rig.path("a.log"));
  await rig.expectCount(25);
  await rig.restart();
  await rig.expectCount(25);
  expect(rig.bodies.filter((body) => body === "more")).toHaveLength(1);
});

test("what nobody had read when a large file was packed is read from the archive, also after a restart", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), lines("a", 0, 30_000));
  await rig.start();
  await rig.expectCount(30_000);
  await rig.stop();
  await writeFile(rig.path("a.log.1.gz"), gzipSync(lines("a", 0, 30_500)));
  await unlink(rig.path("a.log"));
  await rig.start();
  await rig.expectCount(30_500);
  expect(new Set(rig.bodies).size).toBe(30_500);
});

test("short files are known in their archives, too", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), "one\ntwo\n");
  await rig.start();
  await rig.expectCount(2);
  await rename(rig.path("a.log"), rig.path("a.log.1"));
  await writeFile(rig.path("a.log.2.gz"), gzipSync("one\ntwo\n"));
  await unlink(rig.path("a.log.1"));
  await writeFile(rig.path("a.log"), "one\nthree\n");
  await rig.expectCount(4);
  expect(rig.bodies.slice(2)).toEqual(["one", "three"]);
});

test("an archive that is cut off is said, and read when it is whole", async () => {
  await using rig = await FileRig.make();
  const whole = gzipSync(lines("z", 0, 500));
  await writeFile(rig.path("z.log.gz"), whole.subarray(0, whole.length / 2));
  await rig.start();
  await sleep(200);
  expect(rig.rig.items).toBe(0);
  await writeFile(rig.path("z.log.gz"), whole);
  await rig.expectCount(500);
});

test("what is refused is read again later: nothing is lost, nothing comes twice", async () => {
  await using rig = await FileRig.make();
  rig.refusals.push("refused", "unavailable", "refused");
  rig.rig.refusals.push({ kind: "refused", retryAfterMs: 1, why: "full" });
  await writeFile(rig.path("a.log"), lines("a", 0, 100));
  await rig.start();
  await rig.expectCount(100);
  expect(rig.bodies).toEqual(lines("a", 0, 100).trim().split("\n"));
});

test("a queue that is smaller than a stretch of a file takes it in parts", async () => {
  await using rig = await FileRig.make();
  rig.queueBytes = 20_000;
  await writeFile(rig.path("a.log"), lines("a", 0, 3_000));
  await rig.start();
  await rig.expectCount(3_000);
});

test("a file that is deleted while it is written is read to its end", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), "one\n");
  const file = await open(rig.path("a.log"), "a");
  await rig.start();
  await rig.expectBodies("one");
  await unlink(rig.path("a.log"));
  await file.write("two\n");
  await rig.expectBodies("one", "two");
  await file.close();
});

test("directories, pipes, broken links and what may not be read are no reason to stop", async () => {
  await using rig = await FileRig.make();
  await mkdir(rig.path("directory.log"));
  spawnSync("bash", ["-c", `mkfifo "${rig.path("pipe.log")}"`]);
  await symlink(rig.path("nowhere"), rig.path("broken.log"));
  await symlink(rig.path("loop.log"), rig.path("loop.log"));
  await writeFile(rig.path("secret.log"), "secret\n");
  await chmod(rig.path("secret.log"), 0);
  await writeFile(rig.path("a.log"), "one\n");
  await symlink(rig.path("a.log"), rig.path("b.log"));
  await link(rig.path("a.log"), rig.path("c.log"));
  await rig.start({ exclude: [rig.path("secret*")] });
  await rig.expectBodies("one");
  expect(rig.rig.said.join()).toContain("loop.log");
});

test("exclude, exclude_older_than and directories that come later", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("no.log"), "no\n");
  await writeFile(rig.path("old.log"), "old\n");
  spawnSync("touch", ["-d", "2020-01-01", rig.path("old.log")]);
  await rig.start({
    include: [rig.path("**/*.log")],
    exclude: [rig.path("no*")],
    exclude_older_than: "24h",
  });
  await mkdir(rig.path("deep/er"), { recursive: true });
  await writeFile(rig.path("deep/er/a.log"), "one\n");
  await rig.expectBodies("one");
  await rm(rig.path("deep"), { recursive: true });
  await mkdir(rig.path("deep"));
  await writeFile(rig.path("deep/b.log"), "two\n");
  await rig.expectBodies("one", "two");
});

test("more files than may be open, all of them followed", async () => {
  await using rig = await FileRig.make();
  const names = Array.from({ length: 60 }, (_, i) => `${i}.log`);
  for (const name of names) await writeFile(rig.path(name), lines(name, 0, 2));
  await rig.start({ max_concurrent_files: 5 });
  await rig.expectCount(120);
  for (const name of names) await appendFile(rig.path(name), lines(name, 2, 3));
  await rig.expectCount(180);
  expect(new Set(rig.bodies).size).toBe(180);
});

test("files that begin alike are different files", async () => {
  await using rig = await FileRig.make();
  await rig.start();
  await writeFile(rig.path("a.log"), "starting\n");
  await rig.expectCount(1);
  for (const name of ["b.log", "c.log"]) await writeFile(rig.path(name), "starting\n");
  await rig.expectCount(1);
  await sleep(3_200);
  await rig.expectCount(3);
  for (const name of ["a.log", "b.log", "c.log"]) await appendFile(rig.path(name), `${name}\n`);
  await rig.expectCount(6);
  await rig.restart();
  await appendFile(rig.path("b.log"), "more\n");
  await rig.expectCount(7);
});

test("a file that comes in the place of a deleted one and begins alike is read whole", async () => {
  await using rig = await FileRig.make();
  await writeFile(rig.path("a.log"), "starting\n");
  await rig.start();
  await rig.expectBodies("starting");
  await unlink(rig.path("a.log"));
  await rig.expectCount(1);
  await writeFile(rig.path("a.log"), "starting\nagain\n");
  await sleep(3_200);
  await rig.expectBodies("starting", "starting", "again");
});
