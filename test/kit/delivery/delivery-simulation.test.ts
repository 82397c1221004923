import { expect, onTestFinished, test, vi } from "vitest";
import type { Journal, Reader, ReadLimits, Tally } from "../../../src/journal/journal.ts";
import { createMemoryIo } from "../../../src/journal/memory-io.ts";
import { createJournal } from "../../../src/journal/open.ts";
import { routesOf } from "../../../src/journal/routes.ts";
import type { Backend, Verdict } from "../../../src/kit/delivery/backend.ts";
import { runExportLoop } from "../../../src/kit/delivery/export-loop.ts";
import { Turns } from "../../../src/kit/delivery/turns.ts";
import { createIndexer } from "../../../src/otlp/indexing.ts";
import { pickItems } from "../../../src/otlp/pick.ts";
import type { Range } from "../../../src/otlp/range.ts";
import type { Writer } from "../../../src/series/writer.ts";
import { withSlack } from "../../../src/wire/slack.ts";
import {
  bodyLines,
  LineWriter,
  MemoryDeadLetters,
  recordingLog,
  recordingMeter,
  sent,
} from "../../support/export-rig.ts";
import { encodeRequest } from "../../support/otlp.ts";
import { type Random, seeded } from "../../support/seeded.ts";

const SEEDS = Number(process.env["WEIR_FUZZ"] ?? 15);
const STEP_MS = 10;
const SENDING_MS = 6_000;
/** Longer than the longest pause between two attempts, and an attempt that hangs. */
const STUCK_MS = 4_000;
/** Of a part after its fourth attempt at most: 100 ms × 1.5³, and half as much again. */
const LONE_PAUSE_MS = 510;
/** Lanes beyond so many wait for a whole request. */
const EAGER = 4;
/** More than a few waits in a row for a whole request. */
const IDLE_MS = 160;
const TIMEOUT_MS = 400;
const PROBE_MS = 300;
const LIMITS = { bytes: 1e9, items: 1e9, frames: 1e9, onFull: "refuse" } as const;
const RETRY = {
  enabled: true,
  initial_interval: 100,
  randomization_factor: 0.5,
  multiplier: 1.5,
  max_interval: 2_000,
  max_elapsed_time: 0,
};
const MOODS = ["sent", "dead", "hangs", "slow", "denied", "throttled", "large", "picky"] as const;
type Mood = (typeof MOODS)[number];

const realImmediate = globalThis.setImmediate;
const indexer = createIndexer();

/** Timers and the monotonic clock in one hand: time passes only between turns of the event loop, or where a writer takes it. */
class Clock {
  nowMs = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  install(): void {
    vi.stubGlobal("setTimeout", (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      this.#set(() => run(...args), ms),
    );
    vi.stubGlobal("clearTimeout", (timer: object | undefined) => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    });
    vi.spyOn(performance, "now").mockImplementation(() => this.nowMs);
    onTestFinished(() => {
      vi.unstubAllGlobals();
      vi.restoreAllMocks();
    });
  }

  #set(run: () => void, ms: number): object {
    const timer = { at: this.nowMs + Math.max(1, ms), run, unref: () => timer, ref: () => timer };
    this.#timers.push(timer);
    return timer;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#set(resolve, ms));
  }

  /** To `at`, timer by timer; the event loop turns until nothing happens between them. */
  async passTo(at: number, turns: () => Promise<void>): Promise<void> {
    for (;;) {
      await turns();
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > at) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.nowMs = Math.max(this.nowMs, next.at);
      next.run();
    }
    this.nowMs = Math.max(this.nowMs, at);
  }
}

/** A destination whose mood changes. */
class Destination {
  mood: Mood = "sent";
  readonly posts: number[] = [];
  /** Items taken, as `seq.item`. */
  readonly taken = new Set<string>();
  inFlight = 0;
  /** It has taken a request since its mood became good. */
  isGood = false;
  /** Until then a lane may wait that failed on its own: no outage, whose end would wake it. */
  quietUntil = 0;
  /** So long it could have got requests, and got none. */
  idleMs = 0;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  async post(body: Uint8Array, stop: AbortSignal): Promise<Verdict> {
    this.inFlight++;
    const verdict = await this.#answer(body, stop).finally(() => this.inFlight--);
    if (verdict.is === "retry") {
      const pauseMs = Math.max(LONE_PAUSE_MS, verdict.afterMs ?? 0);
      this.quietUntil = Math.max(this.quietUntil, this.#clock.nowMs + pauseMs);
    }
    return verdict;
  }

  change(mood: Mood): void {
    this.mood = mood;
    this.isGood = false;
  }

  async #answer(body: Uint8Array, stop: AbortSignal): Promise<Verdict> {
    const lines = bodyLines(body);
    const { mood } = this;
    this.posts.push(this.#clock.nowMs);
    if (mood === "dead") return { is: "retry", why: "connection refused" };
    if (mood === "hangs") await new Promise((done) => stop.addEventListener("abort", done));
    else await this.#clock.sleep(1 + this.#random(mood === "slow" ? 300 : 19));
    if (stop.aborted) return { is: "retry", why: "no answer" };
    if (mood === "denied") return { is: "pause", why: "HTTP 401" };
    if (mood === "throttled")
      return { is: "retry", why: "HTTP 429", afterMs: this.#random(900), throttled: true };
    if (mood === "large" && lines.length > 3) return { is: "split", why: "HTTP 413" };
    const bad =
      mood === "picky" ? lines.flatMap((line, i) => (line.endsWith(".1") ? [i] : [])) : [];
    const isBad = new Set(bad);
    for (const [row, line] of lines.entries()) if (!isBad.has(row)) this.taken.add(line);
    this.isGood = this.mood === "sent" || this.mood === "slow";
    return bad.length > 0 ? { is: "rows_rejected", rows: bad, why: "HTTP 400" } : sent;
  }
}

/** Knows how many items nobody has read yet. */
class WatchedReader implements Reader<"logs"> {
  readonly name: string;
  readonly route: number;
  readonly signal = "logs";
  readonly #reader: Reader<"logs">;
  #out = 0;

  constructor(reader: Reader<"logs">) {
    this.name = reader.name;
    this.route = reader.route;
    this.#reader = reader;
  }

  get unread(): number {
    return this.#reader.counts().queuedItems - this.#out;
  }

  async read(limits: ReadLimits, stop: AbortSignal): Promise<Range<"logs">> {
    const range = await this.#reader.read(limits, stop);
    this.#out += range.items;
    return range;
  }

  settle(range: Range<"logs">, tally: Tally): void {
    this.#reader.settle(range, tally);
    this.#out -= range.items;
  }

  counts() {
    return this.#reader.counts();
  }
}

/** One route of the simulation. */
interface Simulated {
  readonly destination: Destination;
  readonly reader: WatchedReader;
  readonly deadLetters: MemoryDeadLetters;
  /** Its destination is never in another mood. */
  readonly isHealthy: boolean;
  readonly lanes: number;
  /** In one request at most. */
  readonly items: number;
  readonly done: Promise<void>;
}

/** A journal, its routes and their destinations, from one seed. */
class Simulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #clock = new Clock();
  readonly #log = recordingLog();
  readonly #lateTurns = new Turns();
  readonly #stop = new AbortController();
  readonly #journal: Journal;
  #routes: readonly Simulated[] = [];
  #appended = 0;
  /** Grows with everything that happens: the event loop turns until it stands still. */
  #work = 0;
  /** Time that writers took. */
  #writingMs = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seeded(seed);
    this.#clock.install();
    this.#journal = createJournal({
      ...{ io: createMemoryIo(), indexer, maxBytes: 1e9, isVolatile: true, fsync: false },
      ...{ nowMs: () => this.#clock.nowMs, log: this.#log },
    });
  }

  async run(): Promise<void> {
    const random = this.#random;
    const clock = this.#clock;
    await this.#journal.start();
    this.#routes = Array.from({ length: 2 + random(4) }, (_, i) => this.#route(i));
    const chance = ([1, 4, 9] as const)[random(3)] ?? 0;
    const sending: Promise<void>[] = [];
    while (clock.nowMs < SENDING_MS) {
      if (random(10) < chance) sending.push(this.#send(1 + random(20)));
      for (const { isHealthy, destination } of this.#routes)
        if (!isHealthy && random(80) === 0)
          destination.change(MOODS[random(MOODS.length)] ?? "sent");
      await this.#step();
    }
    for (const { destination } of this.#routes)
      if (destination.mood !== "sent") destination.change("sent");
    const queued = () =>
      this.#routes.reduce((sum, { reader }) => sum + reader.counts().queuedItems, 0);
    for (let left = queued(), end = clock.nowMs + STUCK_MS; left > 0; await this.#step()) {
      if (queued() < left) end = clock.nowMs + STUCK_MS;
      else if (clock.nowMs > end) break;
      left = queued();
    }
    this.#check();
    this.#stop.abort(new Error("the end"));
    await clock.passTo(clock.nowMs + 200, this.#turns);
    await Promise.all([...this.#routes.map(({ done }) => done), ...sending]);
  }

  #route(i: number): Simulated {
    const random = this.#random;
    const clock = this.#clock;
    const isHealthy = i === 0;
    const destination = new Destination(clock, random);
    const reader = new WatchedReader(this.#journal.route(`sim/${i}/logs`, "logs", "end", LIMITS));
    const deadLetters = new MemoryDeadLetters();
    const lanes = 1 + random(8);
    const items = 5 + random(200);
    const backend: Backend<"logs"> = {
      writer: this.#writer(isHealthy ? 0 : random(5)),
      limits: { bytes: 2_000, items, lanes },
      start: async () => {},
      stop: async () => {},
      post: async (body, _, ending) => {
        this.#work++;
        return await destination.post(body, ending).finally(() => this.#work++);
      },
    };
    const done = runExportLoop(
      {
        ...{ reader, backend, journalId: "j", deadLetters, log: this.#log, lanes, indexer },
        ...{ meter: recordingMeter(), timeoutMs: TIMEOUT_MS, probeMs: PROBE_MS, graceMs: 100 },
        ...{ nowMs: () => clock.nowMs, random: () => random(1_000) / 1_000, pick: pickItems },
        ...{ lateTurns: this.#lateTurns, poisonAfter: 1e9, retry: RETRY },
      },
      this.#stop.signal,
    );
    return { destination, reader, deadLetters, isHealthy, lanes, items, done };
  }

  /** Takes `ms` per request. */
  #writer(ms: number): Writer<"logs"> {
    const writer = new LineWriter();
    return {
      write: (...args) => {
        this.#clock.nowMs += ms;
        this.#writingMs += ms;
        return writer.write(...args);
      },
      itemOfRow: (...args) => writer.itemOfRow(...args),
    };
  }

  async #send(size: number): Promise<void> {
    const routes = routesOf(this.#routes.map(({ reader }) => reader.route));
    await this.#journal.append([{ batch: batchOf(size), routes, arrivalMs: this.#clock.nowMs }]);
    this.#appended += size;
    this.#work++;
  }

  readonly #turns = async () => {
    for (let quiet = 0, seen = this.#work; quiet < 6; quiet = seen === this.#work ? quiet + 1 : 0) {
      seen = this.#work;
      await new Promise((resolve) => realImmediate(resolve));
    }
  };

  /** Some time passes, in which nobody who could send is idle for too long. */
  async #step(): Promise<void> {
    const before = this.#writingMs;
    await this.#clock.passTo(this.#clock.nowMs + STEP_MS, this.#turns);
    const { nowMs } = this.#clock;
    for (const [i, { isHealthy, lanes, items, destination, reader }] of this.#routes.entries()) {
      const isGood = isHealthy || (destination.isGood && nowMs > destination.quietUntil);
      const wanted = reader.unread >= items ? lanes : Math.min(lanes, EAGER);
      const isIdle = isGood && reader.unread > 0 && destination.inFlight < wanted;
      if (!isIdle) destination.idleMs = 0;
      else if (this.#writingMs - before < STEP_MS / 2) destination.idleMs += STEP_MS;
      if (destination.idleMs > IDLE_MS)
        throw new Error(
          `seed ${this.#seed}: at ${nowMs} ms route ${i} is idle, and ${reader.unread} items wait`,
        );
    }
  }

  /** Everything has arrived, or is a dead letter. */
  #check(): void {
    const seed = this.#seed;
    for (const [route, { reader, destination, deadLetters }] of this.#routes.entries()) {
      const { delivered, deadLettered, appended, queuedItems } = reader.counts();
      expect({ seed, route, queuedItems, appended, ended: delivered + deadLettered }).toEqual({
        ...{ seed, route, queuedItems: 0, appended: this.#appended, ended: this.#appended },
      });
      expect({ seed, route, taken: destination.taken.size }).toEqual({
        ...{ seed, route, taken: delivered },
      });
      expect(deadLetters.letters.size).toBe(deadLettered);
    }
  }
}

const requests = new Map<number, Uint8Array>();

function batchOf(size: number) {
  let request = requests.get(size);
  if (request === undefined) {
    const logRecords = Array.from({ length: size }, (_, i) => ({ body: { stringValue: `${i}` } }));
    request = encodeRequest("logs", { resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    requests.set(size, request);
  }
  const indexed = indexer.index("logs", withSlack(request), request.length);
  if ("refused" in indexed) throw new Error(indexed.why);
  return indexed.batch;
}

test("whatever the others' moods are, a healthy route never idles; and each goes on when its destination is mended", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await new Simulation(seed).run();
});
