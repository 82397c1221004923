import { setImmediate as nextTurn } from "node:timers/promises";
import type { Journal, Reader, Settlement } from "../../src/journal/journal.ts";
import type { Range } from "../../src/otlp/range.ts";
import { delivered, frameOf, imbalance, NO_LIMITS, testJournal, textOf } from "./fake.ts";
import { Random, SimulatedDisk } from "./simulated-io.ts";

/** A frame that the simulation tried to append. */
interface Sent {
  readonly text: string;
  readonly group: number;
  readonly items: number;
  readonly routes: readonly number[];
  isAcked: boolean;
}

const NAMES = ["a/logs", "b/logs"];
const LITTLE = { bytes: 4_000, items: 20 };

/** Seeded lives of one journal on one bad disk. Throws with a sentence when a promise was broken. */
export class Simulation {
  readonly #random: Random;
  readonly #disk: SimulatedDisk;
  readonly #mayFlip: boolean;
  readonly #sent = new Map<string, Sent>();
  readonly #settled: Set<string>[] = [new Set(), new Set()];
  /** Settled by the process that runs now. */
  #settledNow: Set<string>[] = [new Set(), new Set()];
  /** Settled, and a later group was acknowledged: never to be read again. */
  readonly #settledForEver: Set<string>[] = [new Set(), new Set()];
  /** Settled by a group whose append was rejected: when the group comes back, so does the settlement. */
  readonly #perhaps: { readonly group: number; readonly flight: [Reader, Range] }[] = [];
  #groups = 0;
  #dead = 0;
  #isDamaged = false;

  constructor(seed: number, mayFlip: boolean) {
    this.#random = new Random(seed);
    this.#disk = new SimulatedDisk(this.#random);
    this.#mayFlip = mayFlip;
  }

  async run(lives: number, steps: number): Promise<void> {
    for (let life = 0; life < lives; life++) await this.#live(steps);
    const { journal, readers } = await this.#open();
    for (const reader of readers) await this.#drain(reader);
    this.#checkLaw(readers, "after the drain");
    if (!this.#isDamaged) this.#checkNothingLost();
    await journal.stop(AbortSignal.abort());
  }

  async #live(steps: number): Promise<void> {
    const { journal, readers } = await this.#open();
    const flights: [Reader, Range][] = [];
    const appends: Promise<void>[] = [];
    const crashAt = this.#random.below(steps * 2);
    // A route that nobody reads in this life, so that the other one's segments become sparse.
    this.#dead = this.#random.below(4);
    for (let step = 0; step < steps; step++) {
      if (step === crashAt) this.#disk.operationsLeft = this.#random.below(6);
      await this.#step(journal, readers, flights, appends);
      if (!this.#disk.isDead) this.#checkLaw(readers, "while running");
    }
    await Promise.all(appends);
    await this.#end(journal);
  }

  async #step(
    journal: Journal,
    readers: readonly Reader[],
    flights: [Reader, Range][],
    appends: Promise<void>[],
  ): Promise<void> {
    const dice = this.#random.below(100);
    // What goes on in the background has its turns.
    for (let turns = this.#random.below(12); turns > 8; turns--) await nextTurn();
    if (dice < 45) appends.push(this.#append(journal, readers));
    else if (dice < 60) await Promise.all(appends.splice(0));
    else if (dice < 75) await this.#read(readers, flights);
    else if (dice < 90) this.#settle(flights);
    else if (dice < 94) appends.push(this.#append(journal, readers, this.#pick(flights)));
    else if (dice < 96) this.#disk.failingSyncs = 1;
    else if (dice < 98) this.#disk.capacity = 3_000 + this.#random.below(20_000);
    else this.#disk.capacity = Number.POSITIVE_INFINITY;
  }

  async #append(
    journal: Journal,
    readers: readonly Reader[],
    flight?: [Reader, Range],
  ): Promise<void> {
    const group = ++this.#groups;
    const frames: Sent[] = [];
    for (let i = this.#random.below(3); i >= 0; i--) {
      const routes = [[0], [1], [0, 1]][this.#random.below(3)] as number[];
      const text = `g${group}.${i} ${"x".repeat(this.#random.below(900))}`;
      const sent = { text, group, items: 1 + this.#random.below(9), routes, isAcked: false };
      frames.push(sent);
      this.#sent.set(text, sent);
    }
    const settledBefore = this.#settledNow.map((set) => [...set]);
    const settles: Settlement[] = [];
    if (flight !== undefined)
      settles.push({ reader: flight[0], range: flight[1], tally: delivered(flight[1]) });
    const bits = (sent: Sent) => sent.routes.map((index) => readers[index]!.route);
    try {
      await journal.append(
        frames.map((sent) => frameOf(sent.text, bits(sent), sent.items)),
        settles,
      );
    } catch {
      if (flight !== undefined) this.#perhaps.push({ group, flight });
      return;
    }
    for (const sent of frames) sent.isAcked = true;
    for (const [index, set] of settledBefore.entries())
      for (const text of set) this.#settledForEver[index]!.add(text);
    if (flight === undefined) return;
    this.#noteSettled(flight[0], flight[1]);
    for (const { batch } of flight[1].frames)
      this.#settledForEver[NAMES.indexOf(flight[0].name)]!.add(textOf(batch));
  }

  async #read(readers: readonly Reader[], flights: [Reader, Range][]): Promise<void> {
    const index = this.#random.below(2);
    const reader = readers[index]!;
    if (index === this.#dead) return;
    if (flights.length > 4 || reader.counts().queuedItems === 0) return;
    const stop = new AbortController();
    const timer = setImmediate(() =>
      setImmediate(() => setImmediate(() => stop.abort(new Error("nothing")))),
    );
    try {
      const range = await reader.read(
        { bytes: LITTLE.bytes, items: 1 + this.#random.below(LITTLE.items) },
        stop.signal,
      );
      this.#checkRange(reader, range);
      flights.push([reader, range]);
    } catch (error) {
      if (!(error instanceof Error) || error.message !== "nothing") throw error;
    } finally {
      clearImmediate(timer);
    }
  }

  #settle(flights: [Reader, Range][]): void {
    const flight = this.#pick(flights);
    if (flight === undefined) return;
    flight[0].settle(flight[1], delivered(flight[1]));
    this.#noteSettled(...flight);
  }

  #pick(flights: [Reader, Range][]): [Reader, Range] | undefined {
    return flights.splice(this.#random.below(flights.length), 1)[0];
  }

  #noteSettled(reader: Reader, range: Range): void {
    const route = NAMES.indexOf(reader.name);
    for (const { batch } of range.frames) {
      this.#settled[route]!.add(textOf(batch));
      this.#settledNow[route]!.add(textOf(batch));
    }
  }

  async #end(journal: Journal): Promise<void> {
    const dice = this.#random.below(3);
    if (dice === 0 && !this.#disk.isDead) await journal.stop(new AbortController().signal);
    if (dice < 2) this.#disk.kill();
    else this.#disk.powerCut();
    await journal.stop(AbortSignal.abort());
    if (!this.#mayFlip || this.#random.chance(0.5)) return;
    const files = this.#disk.files();
    this.#disk.flipBit(files[this.#random.below(files.length)] ?? "");
    this.#isDamaged = true;
  }

  async #open(): Promise<{ journal: Journal; readers: Reader[] }> {
    this.#settledNow = [new Set(), new Set()];
    for (;;) {
      const kill = this.#random.chance(0.3);
      // Sometimes the start itself is interrupted.
      if (kill) this.#disk.operationsLeft = this.#random.below(30);
      const journal = testJournal({
        io: this.#disk.mount(),
        segmentBytes: this.#random.chance(0.5) ? 8_192 : 2_048,
        maxBytes: 1 << 20,
        cacheBytes: this.#random.chance(0.5) ? 4_096 : 0,
        copyForward: {
          sparseShare: [0, 0.25, 0.9][this.#random.below(3)] as number,
          lookMs: 0,
          bytesPerSecond: Number.POSITIVE_INFINITY,
          pauseMs: 0,
        },
      });
      try {
        await journal.start();
      } catch (error) {
        if (!this.#disk.isDead) throw error;
        this.#disk.kill();
        continue;
      }
      if (this.#disk.isDead) {
        this.#disk.kill();
        continue;
      }
      this.#disk.operationsLeft = Number.POSITIVE_INFINITY;
      const readers = NAMES.map((name) => journal.route(name, "logs", "end", NO_LIMITS));
      this.#checkLaw(readers, "after the start");
      await this.#checkGroups(journal);
      return { journal, readers };
    }
  }

  async #drain(reader: Reader): Promise<void> {
    while (reader.counts().queuedItems > 0) {
      const range = await reader.read(LITTLE, AbortSignal.timeout(60_000));
      this.#checkRange(reader, range);
      reader.settle(range, delivered(range));
      this.#noteSettled(reader, range);
    }
  }

  #checkRange(reader: Reader, range: Range): void {
    const route = NAMES.indexOf(reader.name);
    let last = 0;
    for (const { batch, seq } of range.frames) {
      const text = textOf(batch);
      const sent = this.#sent.get(text);
      if (sent === undefined || sent.items !== batch.items || !sent.routes.includes(route))
        throw new Error(
          `${reader.name}: delivered what was never sent to it: ${text.slice(0, 40)}`,
        );
      if (seq <= last) throw new Error(`${reader.name}: seq ${seq} after ${last}`);
      last = seq;
      if (!this.#isDamaged && this.#settledForEver[route]!.has(text))
        throw new Error(
          `${reader.name}: ${text.slice(0, 12)} again, although its settlement was durable`,
        );
    }
  }

  #checkLaw(readers: readonly Reader[], when: string): void {
    for (const reader of readers) {
      const gap = imbalance(reader.counts());
      if (gap !== 0) throw new Error(`${reader.name}: the law is off by ${gap} ${when}`);
      const { dropped } = reader.counts();
      if (!this.#isDamaged && dropped.size > 0)
        throw new Error(
          `${reader.name}: ${[...dropped].join()} dropped ${when}, and nothing is damaged`,
        );
    }
  }

  /** Of each group all frames are retained, or none, or those that are not were settled: these need not be copied. */
  async #checkGroups(journal: Journal): Promise<void> {
    const found = new Set<string>();
    const groups = new Set<number>();
    for await (const { batch } of journal.frames()) {
      const text = textOf(batch);
      const sent = this.#sent.get(text);
      if (sent === undefined || found.has(text))
        throw new Error(`a retained frame was never sent, or is there twice: ${text.slice(0, 12)}`);
      found.add(text);
      groups.add(sent.group);
    }
    for (const { group, flight } of this.#perhaps)
      if (groups.has(group)) this.#noteSettled(...flight);
    for (const { text, group, routes } of this.#sent.values()) {
      const isDone = found.has(text) || routes.every((route) => this.#settled[route]!.has(text));
      if (groups.has(group) && !isDone)
        throw new Error(`group ${group} is there without ${text.slice(0, 12)}`);
    }
  }

  #checkNothingLost(): void {
    for (const { text, routes, isAcked } of this.#sent.values())
      for (const route of isAcked ? routes : [])
        if (!this.#settled[route]!.has(text))
          throw new Error(`${NAMES[route]}: acknowledged but lost: ${text.slice(0, 12)}`);
  }
}
