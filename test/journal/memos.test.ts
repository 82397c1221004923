import { expect, test } from "vitest";
import type { Journal, Reader } from "../../src/journal/journal.ts";
import { createMemoryIo } from "../../src/journal/memory-io.ts";
import { MEMO_BYTES_MAX } from "../../src/journal/memos.ts";
import {
  ALL,
  delivered,
  frameOf,
  imbalance,
  NO_LIMITS,
  never,
  testJournal,
  textOf,
} from "./fake.ts";
import { createFaultyIo, systemError } from "./faulty-io.ts";
import { Random, SimulatedDisk } from "./simulated-io.ts";

async function open(disk: SimulatedDisk): Promise<{ journal: Journal; reader: Reader }> {
  const journal = testJournal({ io: disk.mount(), segmentBytes: 1 << 16 });
  await journal.start();
  return { journal, reader: journal.route("a/logs", "logs", "end", NO_LIMITS) };
}

const memo = (key: string, text?: string) => ({ key, text });
const all = (journal: Journal, prefix = "") => Object.fromEntries(journal.memos(prefix));

test("the latest memo of a key is there after a kill, removed ones are not", async () => {
  const disk = new SimulatedDisk(new Random(1));
  const { journal } = await open(disk);
  await journal.append([], [], [], [memo("f/1", "a"), memo("f/2", "b"), memo("g/1", "c")]);
  await journal.append([], [], [], [memo("f/1", "d"), memo("f/2")]);
  expect(all(journal, "f/")).toEqual({ "f/1": "d" });
  disk.kill();
  const again = await open(disk);
  expect(all(again.journal)).toEqual({ "f/1": "d", "g/1": "c" });
  await again.journal.stop(never);
  const stopped = await open(disk);
  expect(all(stopped.journal)).toEqual({ "f/1": "d", "g/1": "c" });
});

test("a frame and its memo are there both or not at all, wherever the file is cut", async () => {
  const disk = new SimulatedDisk(new Random(1));
  const { journal, reader } = await open(disk);
  for (let i = 1; i <= 4; i++)
    await journal.append([frameOf(`line ${i}`, [reader.route])], [], [], [memo("at", String(i))]);
  disk.kill();
  const name = "00000001.segment";
  const whole = disk.bytes(name);
  const seen = new Set<string>();
  for (let length = 0; length <= whole.length; length++) {
    const cut = disk.copy(new Random(2));
    cut.put(name, whole.subarray(0, length));
    const again = await open(cut);
    const { queuedFrames } = again.reader.counts();
    const { at = "0" } = all(again.journal);
    expect(Number(at)).toBe(queuedFrames);
    seen.add(at);
  }
  expect([...seen]).toEqual(["0", "1", "2", "3", "4"]);
});

test("memos outlive the segments in which they were written", async () => {
  const disk = new SimulatedDisk(new Random(1));
  const { journal, reader } = await open(disk);
  await journal.append([], [], [], [memo("old", "kept")]);
  for (let i = 0; i < 12; i++) {
    await journal.append(
      [frameOf("x".repeat(30_000), [reader.route])],
      [],
      [],
      [memo("n", `${i}`)],
    );
    const range = await reader.read(ALL, never);
    await journal.append([], [{ reader, range, tally: delivered(range) }]);
  }
  expect(disk.files()).not.toContain("00000001.segment");
  disk.kill();
  const again = await open(disk);
  expect(all(again.journal)).toEqual({ old: "kept", n: "11" });
  expect(imbalance(again.reader.counts())).toBe(0);
});

test("a write that fails changes no memo, and the next one does", async () => {
  let isFull = false;
  const io = createFaultyIo(createMemoryIo(), (operation) => {
    if (operation === "write" && isFull) throw systemError("ENOSPC");
  });
  const journal = testJournal({ io });
  await journal.start();
  await journal.append([], [], [], [memo("at", "1")]);
  isFull = true;
  await expect(journal.append([], [], [], [memo("at", "2")])).rejects.toThrow("the disk is full");
  isFull = false;
  expect(all(journal)).toEqual({ at: "1" });
  await journal.append([], [], [], [memo("at", "3")]);
  expect(all(journal)).toEqual({ at: "3" });
});

test("more than 8 MiB of memos are refused; what is replaced or removed makes room", async () => {
  const journal = testJournal();
  await journal.start();
  const half = "x".repeat(MEMO_BYTES_MAX / 2 - 10);
  await journal.append([], [], [], [memo("a", half), memo("b", half)]);
  await expect(journal.append([], [], [], [memo("c", half)])).rejects.toThrow("at most 8388608");
  await journal.append([], [], [], [memo("b")]);
  await journal.append([], [], [], [memo("c", half)]);
  expect([...journal.memos("").keys()]).toEqual(["a", "c"]);
});

test("queues in memory keep memos as long as they live", async () => {
  const journal = testJournal({ isVolatile: true, fsync: false });
  await journal.start();
  const reader = journal.route("a/logs", "logs", "end", NO_LIMITS);
  await journal.append([frameOf("one", [reader.route])], [], [], [memo("at", "1")]);
  expect(all(journal)).toEqual({ at: "1" });
  expect((await reader.read(ALL, never)).frames.map(({ batch }) => textOf(batch))).toEqual(["one"]);
});
