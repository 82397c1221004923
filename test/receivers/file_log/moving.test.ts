import { appendFile, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { Contents } from "../../../src/receivers/file_log/contents.ts";
import { Finder } from "../../../src/receivers/file_log/finder.ts";
import { type Followed, NO_PRINT, printOf } from "../../../src/receivers/file_log/followed.ts";
import { fileLog } from "../../../src/receivers/file_log/index.ts";
import { Reading } from "../../../src/receivers/file_log/reading.ts";
import { until } from "../../support/until.ts";
import { FileRig, lines } from "./rig.ts";

/** As many as are read at once. */
const WORKERS = 8;

/** Files whose reading waits until `release` is called; what is found besides waits behind them. */
async function busyRig(rig: FileRig) {
  for (let n = 0; n < WORKERS; n++) await appendFile(rig.path(`${n}.log`), `busy ${n}\n`);
  const { promise, resolve: release } = Promise.withResolvers<void>();
  let waiting = 0;
  rig.rig.submitting = () => {
    waiting++;
    return promise;
  };
  const isBusy = async () => {
    while (waiting < WORKERS) await sleep(5);
  };
  return { release, isBusy };
}

test("a file that is renamed after it was found and before it is opened is read under its new name", async () => {
  await using rig = await FileRig.make();
  // The first start writes something of its own.
  await rig.start();
  await rig.stop();
  const { release, isBusy } = await busyRig(rig);
  await writeFile(rig.path("last.log"), "one\ntwo\n");
  await rig.start();
  await isBusy();
  await rename(rig.path("last.log"), rig.path("last.log.1"));
  release();
  await rig.expectCount(WORKERS + 2);
  expect(rig.bodies).toEqual(expect.arrayContaining(["one", "two"]));
});

test("a file that was read in part and is packed before it is opened again is read on in the archive", async () => {
  await using rig = await FileRig.make();
  const path = rig.path("last.log");
  await writeFile(path, lines("last", 0, 100));
  await rig.start();
  await rig.expectCount(100);
  await rig.stop();
  await appendFile(path, lines("last", 100, 110));
  const { release, isBusy } = await busyRig(rig);
  await rig.start();
  await isBusy();
  await rename(path, rig.path("last.log.1"));
  await writeFile(rig.path("last.log.1.gz"), gzipSync(await readFile(rig.path("last.log.1"))));
  await unlink(rig.path("last.log.1"));
  await writeFile(path, lines("new", 0, 3));
  // Long enough to see that the file is gone while it waits to be opened.
  await sleep(300);
  release();
  await rig.expectCount(100 + 10 + WORKERS + 3);
  expect(new Set(rig.bodies).size).toBe(100 + 10 + WORKERS + 3);
});

test("the beginning of a line that has just come is not flushed, however long ago the file was looked at", async () => {
  await using rig = await FileRig.make();
  const path = rig.path("a.log");
  await writeFile(path, "one\ntw");
  const config = fileLog.schema.parse({ include: [path], force_flush_period: "10s" });
  const contents = new Contents(config.fingerprint_size);
  const { context, intake } = rig.rig;
  const reading = new Reading(config, context, intake, contents);
  const [found] = await new Finder(config, () => {}).find();
  if (found === undefined) throw new Error("the file is there");
  const file = contents.add(path, found.inode);
  const looked = (size: number) =>
    Object.assign(file, { size, grewAtMs: performance.now() - 60_000 });
  looked(4);
  expect(await reading.turn(file)).toBe("more");
  expect(await reading.turn(file)).toBe("later");
  expect(rig.bodies).toEqual(["one"]);
  looked(6);
  await reading.turn(file);
  expect(rig.bodies).toEqual(["one", "tw"]);
  await file.source?.close();
});

test("what comes while the lines before it are handed over is read, though nothing comes after it", async () => {
  await using rig = await FileRig.make();
  // The first start writes something of its own.
  await rig.start();
  await rig.stop();
  const { promise, resolve: release } = Promise.withResolvers<void>();
  let waiting = 0;
  rig.rig.submitting = () => {
    waiting++;
    return promise;
  };
  await writeFile(rig.path("a.log"), "one\n");
  await rig.start({ force_flush_period: "0s" });
  await until(() => waiting === 1);
  await appendFile(rig.path("a.log"), "two\n");
  // Whoever finds the second file has seen how long the first one is.
  await writeFile(rig.path("b.log"), "three\n");
  await until(() => waiting === 2);
  release();
  await rig.expectCount(3);
  expect(rig.bodies.toSorted()).toEqual(["one", "three", "two"]);
});

const HEAD = Buffer.from("the same beginning ".repeat(10));
const FINGERPRINT = 64;

/** Two files of which nobody has read anything, and that begin alike; the second holds `text`. */
function alike(text: string) {
  const contents = new Contents(FINGERPRINT);
  const [first, second] = [contents.add("a.log", "1"), contents.add("a.log.1", "2")];
  for (const file of [first, second]) file.head = printOf(HEAD.subarray(0, FINGERPRINT));
  const bytes = Buffer.concat([HEAD, Buffer.from(text)]);
  const identify = (file: Followed) =>
    contents.identify(
      file,
      HEAD.subarray(0, FINGERPRINT),
      async (offset, length) => bytes.subarray(offset - length, offset),
      async () => true,
    );
  return { first, second, identify };
}

test("of two files that begin alike the later one waits until the other was read, and goes on where that is left", async () => {
  const { first, second, identify } = alike("and the rest");
  expect(await identify(second)).toBe("wait");
  expect(await identify(first)).toBe("own");
  first.isIdentified = true;
  expect(await identify(second)).toBe("wait");
  Object.assign(first, {
    offset: HEAD.length + 3,
    size: HEAD.length + 3,
    tail: printOf(Buffer.from("and")),
  });
  expect(await identify(second)).toBe("wait");
  first.isGone = true;
  expect(await identify(second)).toEqual({ file: first, closing: undefined });
  expect([first.path, first.offset]).toEqual(["a.log.1", HEAD.length + 3]);
});

test("two files that begin alike and go on in different ways do not wait for each other", async () => {
  const { first, second, identify } = alike("and the rest");
  Object.assign(first, {
    isIdentified: true,
    offset: HEAD.length + 3,
    tail: printOf(Buffer.from("AND")),
  });
  // Also while it grows.
  second.grewAtMs = performance.now();
  expect(await identify(second)).toBe("own");
});

test("a file that was emptied before anything of it was read has no beginning any more: its copy does not wait", async () => {
  const { first, second, identify } = alike("");
  Object.assign(first, { isIdentified: true, head: NO_PRINT });
  expect(await identify(second)).toBe("own");
});

test("lines that come at once have a time each, in their order: none takes the row of another", async () => {
  await using rig = await FileRig.make();
  for (const name of ["a", "b", "c"])
    await writeFile(rig.path(`${name}.log`), lines(name, 0, 3_000));
  Object.assign(rig.rig.context, { nowMs: () => 1_705_314_600_000 });
  await rig.start();
  await rig.expectCount(9_000);
  const times = rig.records.map(({ time }) => BigInt(time));
  expect(new Set(times).size).toBe(9_000);
  expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : 1)));
  for (const name of ["a", "b", "c"]) {
    const own = rig.bodies.map(String).filter((body) => body.startsWith(name));
    expect(own).toEqual(lines(name, 0, 3_000).trimEnd().split("\n"));
  }
});
