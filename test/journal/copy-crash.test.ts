import { expect, test } from "vitest";
import type { Reader, ReadLimits } from "../../src/journal/journal.ts";
import type { Range } from "../../src/otlp/range.ts";
import { ALL, delivered, frameOf, imbalance, textOf } from "./fake.ts";
import { createFaultyIo } from "./faulty-io.ts";
import { Random, SimulatedDisk } from "./simulated-io.ts";
import { drain, EAGER, feed, openSparse, type Sparse, turns } from "./sparse-rig.ts";

const OFF = { ...EAGER, sparseShare: 0 };
const { WEIR_FUZZ = "20" } = process.env;

/** A disk with sparse segments that nobody has copied, and what waits for the dead route. */
async function sparseDisk(): Promise<{ disk: SimulatedDisk; texts: string[] }> {
  const disk = new SimulatedDisk(new Random(1));
  const sparse = await openSparse({ io: disk.mount(), copyForward: OFF });
  const texts = await feed(sparse, 130);
  disk.kill();
  await sparse.journal.stop(AbortSignal.abort());
  return { disk, texts };
}

/** What waits now, without any copying; the law holds, and nothing is damaged. */
async function rest(disk: SimulatedDisk): Promise<{ dead: string[]; live: string[] }> {
  const { journal, dead, live } = await openSparse({ io: disk.mount(), copyForward: OFF });
  for (const reader of [dead, live]) expect(imbalance(reader.counts())).toBe(0);
  expect(journal.stats().quarantined).toEqual(new Map());
  const texts = { dead: await drain(dead), live: await drain(live) };
  for (const reader of [dead, live]) expect(imbalance(reader.counts())).toBe(0);
  await journal.stop(AbortSignal.abort());
  return texts;
}

/** Name of the first segment that copying wrote: version 2. */
function copyIn(disk: SimulatedDisk): string {
  const segments = disk.files().filter((name) => name.endsWith(".segment"));
  const copy = segments.sort().find((name) => disk.bytes(name)[8] === 2);
  if (copy === undefined) throw new Error("nothing was copied");
  return copy;
}

/** Appends one frame to the dead route, so that copying begins. */
async function touch({ journal, dead }: Sparse): Promise<boolean> {
  const appended = journal.append([frameOf("touched", [dead.route])]);
  const isAcked = await appended.then(
    () => true,
    () => false,
  );
  await turns(150);
  return isAcked;
}

test("whenever the machine stops, the old files or the new one are there, and the dead route gets the same", async () => {
  const { disk, texts } = await sparseDisk();
  let steps = 0;
  for (let isOver = false; !isOver; steps++) {
    for (const crash of ["kill", "powerCut"] as const) {
      const copy = disk.copy(new Random(steps));
      const sparse = await openSparse({ io: copy.mount() });
      copy.operationsLeft = steps;
      const isAcked = await touch(sparse);
      isOver = !copy.isDead && sparse.journal.stats().copied.segments > 5;
      copy[crash]();
      await sparse.journal.stop(AbortSignal.abort());
      const { dead, live } = await rest(copy);
      const own = dead.filter((text) => text !== "touched");
      expect(own, `${crash} at step ${steps}`).toEqual(texts);
      if (isAcked) expect(dead.at(-1)).toBe("touched");
      // The last frame was not settled for good, whatever was copied.
      expect(live).toEqual(["end"]);
    }
  }
  expect(steps).toBeGreaterThan(30);
});

test("copies that were left, and old files that came back, change nothing", async () => {
  const { disk, texts } = await sparseDisk();
  const copy = disk.copy(new Random(3));
  const sparse = await openSparse({ io: copy.mount() });
  await touch(sparse);
  expect(sparse.journal.stats().copied.segments).toBeGreaterThan(5);
  await sparse.journal.stop(new AbortController().signal);
  const gone = disk.files().filter((name) => !copy.files().includes(name));
  expect(gone.length).toBeGreaterThan(4);
  for (let n = 1; n <= gone.length; n++) {
    const back = copy.copy(new Random(n));
    for (const name of gone.slice(0, n)) back.put(name, disk.bytes(name));
    back.put("00000003.segment.copying", disk.bytes("00000003.segment").subarray(0, 3_000));
    expect((await rest(back)).dead).toEqual([...texts, "touched"]);
    expect(back.files().some((name) => name.endsWith(".copying"))).toBe(false);
  }
  // The copy cannot even say what it replaces: numbers of frames tell.
  const name = copyIn(copy);
  const back = copy.copy(new Random(0));
  for (const file of gone) back.put(file, disk.bytes(file));
  back.bytes(name).fill(0, 64, 200);
  const { dead, journal } = await openSparse({ io: back.mount(), copyForward: OFF });
  const seqs: number[] = [];
  for await (const { seq } of journal.frames()) seqs.push(seq);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  expect(seqs.length).toBeGreaterThan(6 * texts.length);
  expect(dead.counts()).toMatchObject({ appended: 2 * texts.length + 1, dropped: new Map() });
  expect(await drain(dead)).toEqual([...texts, "touched"]);
  expect(imbalance(dead.counts())).toBe(0);
});

test("a damaged header of a copy costs nothing, a flipped bit in it at most a group, and the law holds", async () => {
  const { disk, texts } = await sparseDisk();
  const sparse = await openSparse({ io: disk.mount() });
  await touch(sparse);
  await sparse.journal.stop(new AbortController().signal);
  const name = copyIn(disk);
  for (let round = 0; round < Number(WEIR_FUZZ); round++) {
    const damaged = disk.copy(new Random(round));
    if (round === 0) damaged.bytes(name).fill(0, 0, 64);
    else damaged.flipBit(name);
    const { journal, dead } = await openSparse({ io: damaged.mount(), copyForward: OFF });
    expect(imbalance(dead.counts())).toBe(0);
    const read = await drain(dead);
    expect(read.filter((text) => text !== "touched")).toEqual(
      texts.filter((text) => read.includes(text)),
    );
    if (round === 0) expect(read).toEqual([...texts, "touched"]);
    await journal.stop(AbortSignal.abort());
  }
});

test("each route reads the same as from a twin that never copies, whatever is settled when", async () => {
  let copied = 0;
  for (let seed = 1; seed <= Number(WEIR_FUZZ); seed++) copied += await compare(seed);
  expect(copied).toBeGreaterThan(40);
});

/** Undefined when nothing is there to be read. */
async function readNow(reader: Reader, limits: ReadLimits): Promise<Range | undefined> {
  const stop = new AbortController();
  const read = reader.read(limits, stop.signal).catch(() => undefined);
  await turns(20);
  stop.abort();
  return read;
}

interface Flight {
  readonly which: "live" | "dead";
  /** Of both. */
  readonly ranges: readonly (Range | undefined)[];
}

function settle(pair: readonly Sparse[], { which, ranges }: Flight): void {
  for (const [i, one] of pair.entries()) {
    const range = ranges[i];
    if (range !== undefined) one[which].settle(range, delivered(range));
  }
}

/** One life of two journals that are told the same, with restarts; returns how many segments the first one copied. */
async function compare(seed: number): Promise<number> {
  const random = new Random(seed);
  const disks = [new SimulatedDisk(random), new SimulatedDisk(random)];
  const open = (disk: SimulatedDisk, i: number) => {
    const copyForward = { ...EAGER, sparseShare: i === 0 ? 0.4 : 0 };
    return openSparse({ io: disk.mount(), segmentBytes: 3_000, copyForward });
  };
  let pair = await Promise.all(disks.map(open));
  let copied = 0;
  const flights: Flight[] = [];
  for (let step = 0; step < 250; step++) {
    const dice = random.below(100);
    if (dice === 0) {
      // What is in flight would be cut differently afterwards: when cursors are written depends on the segments' lengths.
      for (const flight of flights.splice(0)) settle(pair, flight);
      copied += pair[0]?.journal.stats().copied.segments ?? 0;
      for (const { journal } of pair) await journal.stop(new AbortController().signal);
      pair = await Promise.all(disks.map(open));
    } else if (dice < 55) {
      const text = `${seed}.${step} ${"x".repeat(random.below(900))}`;
      const isForDead = random.chance(0.1);
      for (const { journal, dead, live } of pair)
        await journal.append([frameOf(text, isForDead ? [dead.route, live.route] : [live.route])]);
    } else if (dice < 80 && flights.length < 6) {
      const which = random.chance(0.25) ? "dead" : "live";
      const limits = { bytes: 200 + random.below(3_000), items: 100 };
      const ranges = await Promise.all(pair.map((one) => readNow(one[which], limits)));
      const texts = ranges.map((range) =>
        range?.frames.map(({ seq, batch, arrivalMs }) => [seq, textOf(batch), arrivalMs]),
      );
      expect(texts[0], `seed ${seed}, step ${step}`).toEqual(texts[1]);
      if (ranges[0] !== undefined) flights.push({ which, ranges });
    } else {
      const [flight] = flights.splice(random.below(flights.length + 1), 1);
      if (flight !== undefined) settle(pair, flight);
    }
    await turns(random.below(4));
  }
  for (const which of ["dead", "live"] as const) {
    const counts = pair.map((one) => one[which].counts());
    expect(counts[0]).toEqual(counts[1]);
  }
  copied += pair[0]?.journal.stats().copied.segments ?? 0;
  for (const { journal } of pair) await journal.stop(AbortSignal.abort());
  return copied;
}

test("all frames that are retained are walked once, also while they are copied", async () => {
  const sparse = await openSparse();
  const { journal, dead } = sparse;
  const texts = await feed(sparse, 100);
  const walk = async () => {
    const seen: number[] = [];
    for await (const { seq } of journal.frames(1, [dead])) {
      seen.push(seq);
      await turns(3);
    }
    return seen;
  };
  const [seen, more] = await Promise.all([walk(), feed(sparse, 100)]);
  expect(seen.length).toBeGreaterThanOrEqual(texts.length);
  expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
  const range = await dead.read(ALL, AbortSignal.timeout(60_000));
  expect(range.frames).toHaveLength(texts.length + more.length);
});

test("what is settled but not written down is copied all the same: after a kill it is still there", async () => {
  const disk = new SimulatedDisk(new Random(1));
  let settle: (() => void) | undefined;
  const io = createFaultyIo(disk.mount(), (operation, name) => {
    if (operation !== "datasync" || !name.endsWith(".segment")) return;
    settle?.();
    settle = undefined;
  });
  const sparse = await openSparse({ io });
  const { journal, dead, live } = sparse;
  for (let i = 0; i < 15; i++)
    await journal.append([frameOf(`${i} ${"x".repeat(400)}`, [i > 0 ? live.route : dead.route])]);
  const range = await live.read(ALL, AbortSignal.timeout(60_000));
  // While the write is on its way that begins the next segment, whose checkpoint does not know of it.
  settle = () => live.settle(range, delivered(range));
  await journal.append([frameOf("y".repeat(3_000), [dead.route])]);
  expect(journal.stats().segments).toBe(2);
  expect(live.counts().queuedItems).toBe(0);
  await turns(100);
  disk.kill();
  await journal.stop(AbortSignal.abort());
  const { dead: left, live: again } = await rest(disk);
  expect(left).toHaveLength(2);
  expect(again).toHaveLength(14);
});
