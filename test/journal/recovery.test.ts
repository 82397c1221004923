import { expect, test } from "vitest";
import type { Journal, Reader } from "../../src/journal/journal.ts";
import { ALL, delivered, frameOf, imbalance, NO_LIMITS, testJournal, textOf } from "./fake.ts";
import { Random, SimulatedDisk } from "./simulated-io.ts";

const TEXTS = ["one", "two", "three", "four", "five", "six"];

/** A disk with three groups of two frames, and nobody who runs. */
async function writtenDisk(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk(new Random(1));
  const { journal, reader } = await open(disk);
  for (let i = 0; i < 6; i += 2)
    await journal.append([
      frameOf(TEXTS[i]!, [reader.route]),
      frameOf(TEXTS[i + 1]!, [reader.route]),
    ]);
  disk.kill();
  await journal.stop(AbortSignal.abort());
  return disk;
}

async function open(disk: SimulatedDisk): Promise<{ journal: Journal; reader: Reader }> {
  const journal = testJournal({ io: disk.mount(), segmentBytes: 1 << 16 });
  await journal.start();
  return { journal, reader: journal.route("a/logs", "logs", "end", NO_LIMITS) };
}

async function drain(
  disk: SimulatedDisk,
): Promise<{ texts: string[]; stats: ReturnType<Journal["stats"]> }> {
  const { journal, reader } = await open(disk);
  expect(imbalance(reader.counts())).toBe(0);
  const texts: string[] = [];
  while (reader.counts().queuedItems > 0) {
    const range = await reader.read(ALL, AbortSignal.timeout(60_000));
    texts.push(...range.frames.map(({ batch }) => textOf(batch)));
    reader.settle(range, delivered(range));
  }
  expect(imbalance(reader.counts())).toBe(0);
  const stats = journal.stats();
  await journal.stop(new AbortController().signal);
  return { texts, stats };
}

const { WEIR_FUZZ = "300" } = process.env;
const SEGMENT = "00000001.segment";

test("a segment cut at any byte delivers the groups before the cut, whole", async () => {
  const disk = await writtenDisk();
  const whole = disk.bytes(SEGMENT);
  for (let length = 0; length <= whole.length; length++) {
    const cut = disk.copy(new Random(2));
    cut.put(SEGMENT, whole.subarray(0, length));
    const { texts, stats } = await drain(cut);
    expect([0, 2, 4, 6]).toContain(texts.length);
    expect(texts).toEqual(TEXTS.slice(0, texts.length));
    if (length === whole.length) expect(texts).toEqual(TEXTS);
    if (length > 64) expect(stats.quarantined.size).toBe(0);
  }
});

test("any single flipped bit costs at most its group and never changes a frame", async () => {
  const disk = await writtenDisk();
  const whole = disk.bytes(SEGMENT);
  for (let at = 0; at < whole.length; at++) {
    const flipped = disk.copy(new Random(2));
    const bytes = whole.slice();
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    flipped.put(SEGMENT, bytes);
    const { texts } = await drain(flipped);
    expect(texts.every((text) => TEXTS.includes(text))).toBe(true);
    expect(texts.length).toBeGreaterThanOrEqual(4);
    expect(texts.length % 2).toBe(0);
  }
});

test("zeros in the middle are quarantined, counted once, and their items booked as dropped", async () => {
  const disk = await writtenDisk();
  const bytes = disk.bytes(SEGMENT).slice();
  const second = Buffer.from(bytes).indexOf("three");
  bytes.fill(0, second, second + 5);
  disk.put(SEGMENT, bytes);
  const first = await open(disk);
  expect(first.journal.stats().quarantined).toEqual(new Map([["checksum", 1]]));
  expect(first.reader.counts()).toMatchObject({ queuedItems: 4, appended: 6 });
  expect(first.reader.counts().dropped).toEqual(new Map([["corrupt", 2]]));
  await first.journal.stop(new AbortController().signal);
  const again = await drain(disk);
  expect(again.texts).toEqual(["one", "two", "five", "six"]);
  expect(again.stats.quarantined).toEqual(new Map([["checksum", 1]]));
});

test("a block written twice is not believed the second time", async () => {
  const disk = await writtenDisk();
  const bytes = disk.bytes(SEGMENT);
  disk.put(SEGMENT, Buffer.concat([bytes, bytes.subarray(64), bytes]));
  expect((await drain(disk)).texts).toEqual(TEXTS);
});

test("foreign, empty and newer files and a lost identity do not stop a start", async () => {
  const disk = await writtenDisk();
  const other = (await writtenDisk()).bytes(SEGMENT);
  const newer = disk.bytes(SEGMENT).slice(0, 64);
  newer[8] = 9;
  disk.put("00000007.segment", other);
  disk.put("00000008.segment", new Uint8Array(0));
  disk.put("00000009.segment", newer);
  disk.put("00000010.segment", new TextEncoder().encode("not a segment at all".repeat(9)));
  disk.put("notes.txt", new Uint8Array(5));
  disk.put("journal.json", new TextEncoder().encode('{"id":'));
  const { texts, stats } = await drain(disk);
  expect(texts).toEqual(TEXTS);
  expect(disk.files()).toEqual(expect.arrayContaining(["notes.txt", "00000009.segment"]));
  expect(disk.files().filter((name) => name.includes("quarantine"))).toHaveLength(3);
  expect([...stats.quarantined.keys()].sort()).toEqual([
    "foreign",
    "identity",
    "newer_version",
    "segment",
  ]);
});

test("numbers of frames are never used again after a crash; routes keep theirs", async () => {
  const disk = await writtenDisk();
  const { journal, reader } = await open(disk);
  expect(reader.route).toBe(0);
  expect(journal.route("b/logs", "logs", "end", NO_LIMITS).route).toBe(1);
  await journal.append([frameOf("seven", [0])]);
  const range = await reader.read(ALL, AbortSignal.timeout(60_000));
  expect(range.first).toBe(1);
  expect(range.last).toBeGreaterThan(6);
  await journal.stop(new AbortController().signal);
  const next = await open(disk);
  expect(next.journal.id).toBe(journal.id);
  await next.journal.append([frameOf("eight", [0])]);
  const all = await next.reader.read(ALL, AbortSignal.timeout(60_000));
  // A clean stop leaves no gap.
  expect(all.last).toBe(range.last + 1);
  await next.journal.stop(new AbortController().signal);
});

test("any mixture of cuts, garbage and copies starts, delivers only what was written, and balances", async () => {
  const disk = await writtenDisk();
  const whole = disk.bytes(SEGMENT);
  const rounds = Number(WEIR_FUZZ);
  for (let seed = 1; seed <= rounds; seed++) {
    const random = new Random(seed);
    const bad = disk.copy(new Random(2));
    const bytes = Buffer.concat([whole, new Uint8Array(random.below(400))]);
    for (let i = random.below(4); i >= 0; i--) {
      const [at, to] = [random.below(bytes.length), random.below(bytes.length)];
      if (random.chance(0.5)) bytes.copyWithin(to, at, at + random.below(200));
      else bytes.subarray(at, at + random.below(40)).fill(random.below(256));
    }
    bad.put(SEGMENT, bytes.subarray(0, random.below(bytes.length + 1)));
    const { texts } = await drain(bad);
    expect(texts).toEqual(TEXTS.filter((text) => texts.includes(text)));
  }
});
