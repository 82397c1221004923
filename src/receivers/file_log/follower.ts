import { RareLog } from "../../kit/doors/rare-log.ts";
import { errorText } from "../../kit/error-text.ts";
import { sleep } from "../../lib/sleep.ts";
import type { Component, Intake } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Config } from "./config.ts";
import { Contents } from "./contents.ts";
import { directoriesOf, Finder, type Found } from "./finder.ts";
import { type Followed, readMemo } from "./followed.ts";
import { type Outcome, Reading } from "./reading.ts";
import { Watching } from "./watching.ts";

/** Files that are read at once. */
const WORKERS = 8;
/** A file that grew in this time is looked at with every tick, without looking for it (ms). */
const HOT_MS = 10_000;
/** A file that is gone stays open until nothing was written to it for so long (ms). */
const GONE_MS = 30_000;
/** Looking for files takes at most this part of the time. */
const SCAN_SHARE = 0.1;
/** Between two tries of a file that cannot be read (ms). */
const TROUBLE_MS = 1_000;
/** Least time between two ticks, however much is written (ms). */
const TICK_MS = 100;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 1_000;
const LOG_EVERY_MS = 60_000;
/** The memo that says that there was a first start. */
const STARTED = "started";

/** Finds files, sees them grow, shrink, move and go, and has them read, each in its turn. */
export class Follower implements Component {
  readonly #config: Config;
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #contents: Contents;
  readonly #reading: Reading;
  readonly #finder: Finder;
  readonly #watching: Watching;
  readonly #stop = new AbortController();
  readonly #trouble = new RareLog(LOG_EVERY_MS);
  readonly #queue: Followed[] = [];
  /** Files that were read last, the latest at the end. */
  readonly #open = new Set<Followed>();
  /** When a file is to be looked at again (monotonic). */
  readonly #due = new Map<Followed, number>();
  readonly #active = new Set<Promise<void>>();
  #forgotten: string[] = [];
  #isStarted = false;
  #pausedUntilMs = 0;
  #nextScanMs = 0;
  #running: Promise<void> | undefined;

  constructor(config: Config, context: Context, intake: Intake) {
    this.#config = config;
    this.#context = context;
    this.#intake = intake;
    this.#contents = new Contents(config.fingerprint_size);
    this.#reading = new Reading(config, context, intake, this.#contents);
    this.#finder = new Finder(config, (path, why) => this.#say(path, why));
    this.#watching = new Watching((isNew) => {
      if (isNew) this.#nextScanMs = 0;
    });
    const labels = { receiver: context.id };
    const { meter } = context;
    meter.observe("weir_file_log_files", "Files that are followed.", labels, "gauge", () => {
      return this.#contents.count;
    });
    meter.observe("weir_file_log_open_files", "Files that are open.", labels, "gauge", () => {
      return this.#open.size;
    });
  }

  async start(): Promise<void> {
    for (const [key, text] of this.#intake.memory?.read() ?? []) {
      if (key === STARTED) this.#isStarted = true;
      const file = readMemo(key, text);
      if (file !== undefined) this.#contents.restore(file);
    }
    this.#sayWhatHolds();
    await this.#scan();
    this.#running = this.#run();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stop.abort();
    this.#watching.close();
    const late = Promise.withResolvers<void>();
    const isLate = () => late.resolve();
    if (deadline.aborted) isLate();
    deadline.addEventListener("abort", isLate, { once: true });
    await Promise.race([Promise.allSettled([this.#running, ...this.#active]), late.promise]);
    deadline.removeEventListener("abort", isLate);
    for (const file of [...this.#open]) await this.#close(file);
  }

  #sayWhatHolds(): void {
    const { memory } = this.#intake;
    const { log } = this.#context;
    if (memory === undefined)
      log.warn(
        {},
        "positions in files are kept in memory only: a restart begins as start_at says. Give the exporter's queue a storage",
      );
    else if (!memory.isAtomic)
      log.warn(
        { storage: memory.storage },
        "positions are kept behind the lines, in another storage than some exporter's queue: a kill may repeat lines, none is lost. Use one storage for all",
      );
  }

  async #run(): Promise<void> {
    const { poll_interval: pollMs } = this.#config;
    while (!this.#stop.signal.aborted) {
      await sleep(Math.min(TICK_MS, pollMs), this.#stop.signal);
      await this.#watching.changed(pollMs - TICK_MS, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      try {
        await this.#tick();
      } catch (error) {
        this.#say(this.#config.include.join(" "), errorText(error));
      }
    }
  }

  async #tick(): Promise<void> {
    const now = performance.now();
    if (now >= this.#nextScanMs) await this.#scan();
    const hot = [...this.#open].filter(
      ({ grewAtMs, isGone: gone, isQueued }) => !isQueued && (gone || now - grewAtMs < HOT_MS),
    );
    await Promise.all(hot.map((file) => this.#lookAt(file)));
    for (const [file, dueMs] of this.#due) if (dueMs <= now) this.#enqueue(file);
    this.#pump();
  }

  /** Sees what an open file has become, also when it has no name any more. */
  async #lookAt(file: Followed): Promise<void> {
    const size = await this.#reading.sizeOf(file);
    if (size === undefined) return;
    this.#saw(file, size, file.changedMs);
    if (!file.isGone || file.isQueued || performance.now() - file.grewAtMs < GONE_MS) return;
    await this.#orphan(file);
  }

  async #scan(): Promise<void> {
    const begun = performance.now();
    this.#nextScanMs = Number.POSITIVE_INFINITY;
    const found = await this.#finder.find();
    const skips = !this.#isStarted && this.#config.start_at === "end";
    for (const file of found) {
      const followed = this.#follow(file);
      if (skips && followed !== undefined) await this.#skip(followed);
    }
    const there = new Set(found.map(({ inode }) => inode));
    for (const file of [...this.#contents.files])
      if (!there.has(file.inode)) await this.#missing(file);
    if (!this.#isStarted) await this.#noteStart();
    if (this.#forgotten.length > 0) await this.#forget();
    if (this.#config.watch) this.#watching.watch(directoriesOf(this.#config, found));
    const tookMs = performance.now() - begun;
    const pauseMs = Math.max(this.#config.poll_interval, tookMs / SCAN_SHARE);
    this.#nextScanMs = Math.min(this.#nextScanMs, performance.now() + pauseMs);
    this.#pump();
  }

  /** What is found becomes a followed file, or says what became of one. Undefined: it is too old. */
  #follow({ path, inode, size, changedMs }: Found): Followed | undefined {
    const contents = this.#contents;
    let file = contents.byInode(inode);
    if (file === undefined) {
      const orphan = contents.orphanOf(inode);
      const { exclude_older_than: oldest } = this.#config;
      const isOld = oldest > 0 && this.#context.nowMs() - changedMs > oldest;
      if (orphan === undefined && isOld) return undefined;
      file = contents.add(path, inode);
      file.isArchive = this.#isArchive(path);
      file.grewAtMs = performance.now();
      if (orphan !== undefined) {
        contents.adopt(orphan, file);
        file = orphan;
      }
      file.size = -1;
    }
    if (file.path !== path) {
      file.path = path;
      file.given = undefined;
    }
    file.isGone = false;
    this.#saw(file, size, changedMs);
    return file;
  }

  #saw(file: Followed, size: number, changedMs: number): void {
    const isSame = size === file.size && changedMs === file.changedMs;
    if (isSame) return;
    if (size !== file.size) file.grewAtMs = performance.now();
    file.size = size;
    file.changedMs = changedMs;
    // Of an archive, the first byte is awaited: nothing is no end of one either.
    if (file.isArchive && size === 0) return;
    // Whether it has become smaller, reading sees for sure: what is found here may be old by now.
    this.#enqueue(file);
  }

  async #missing(file: Followed): Promise<void> {
    if (file.isGone) return;
    file.isGone = true;
    file.grewAtMs = performance.now();
    if (file.source !== undefined && !file.isArchive) this.#enqueue(file);
    else if (!file.isQueued) await this.#orphan(file);
  }

  /** Its content is remembered, and nothing is read any more. */
  async #orphan(file: Followed): Promise<void> {
    this.#due.delete(file);
    this.#forgotten.push(...this.#contents.orphan(file));
    await this.#close(file);
  }

  /** Somewhere else it is found as one that has changed: nobody has looked at what it holds now. */
  async #moved(file: Followed): Promise<void> {
    file.size = -1;
    if (file.isGone) await this.#orphan(file);
  }

  #isArchive(path: string): boolean {
    const { compression } = this.#config;
    return compression === "gzip" || (compression === "auto" && path.endsWith(".gz"));
  }

  async #skip(file: Followed): Promise<void> {
    const isEmptyArchive = file.isArchive && file.size === 0;
    if (file.offset > 0 || file.isDone || isEmptyArchive) return;
    try {
      await this.#reading.skip(file);
    } catch (error) {
      this.#say(file.path, errorText(error));
    }
    await this.#close(file);
  }

  async #noteStart(): Promise<void> {
    const memos = [...this.#contents.files]
      .filter(({ offset, isDone, mark }) => offset > 0 || isDone || Object.keys(mark).length > 0)
      .map((file) => ({ key: file.key, text: file.memo() }));
    const refusal = await this.#reading.keep([...memos, { key: STARTED, text: "1" }]);
    this.#isStarted = refusal === undefined || this.#isStarted;
    // Files that are found before it is kept are those of the first start, too.
    if (refusal !== undefined) this.#say("the positions at the start", refusal.why);
  }

  async #forget(): Promise<void> {
    const keys = this.#forgotten;
    this.#forgotten = [];
    const refusal = await this.#reading.keep(keys.map((key) => ({ key, text: undefined })));
    if (refusal !== undefined) this.#forgotten.push(...keys);
  }

  #enqueue(file: Followed): void {
    this.#due.delete(file);
    file.hasChanged = true;
    if (file.isQueued) return;
    file.isQueued = true;
    this.#queue.push(file);
  }

  #pump(): void {
    while (this.#active.size < WORKERS && !this.#stop.signal.aborted) {
      if (performance.now() < this.#pausedUntilMs) return;
      const file = this.#queue.shift();
      if (file === undefined) return;
      const work = this.#work(file).finally(() => {
        this.#active.delete(work);
        this.#pump();
      });
      this.#active.add(work);
    }
  }

  async #work(file: Followed): Promise<void> {
    let outcome: Outcome;
    file.hasChanged = false;
    try {
      outcome = await this.#reading.turn(file);
    } catch (error) {
      outcome = "idle";
      await this.#failed(file, error);
    }
    // Its content may turn out to be another one.
    const now = this.#contents.byInode(file.inode) ?? file;
    file.isQueued = false;
    if (now.source !== undefined) await this.#opened(now);
    if (typeof outcome !== "string") {
      const { retryAfterMs } = outcome;
      const pauseMs = Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MIN_MS, retryAfterMs));
      this.#pausedUntilMs = performance.now() + pauseMs;
      if (outcome.kind !== "refused" && outcome.kind !== "unavailable")
        this.#say(file.path, outcome.why);
      return this.#enqueue(now);
    }
    if (outcome === "moved") return this.#moved(now);
    const isBehind = outcome === "idle" && now.hasChanged && !this.#due.has(now);
    if (outcome === "more" || isBehind) return this.#enqueue(now);
    if (outcome === "later") this.#due.set(now, performance.now() + this.#config.poll_interval);
  }

  /** It is opened again at the next try. */
  async #failed(file: Followed, error: unknown): Promise<void> {
    await this.#close(file);
    const isDamaged = file.isArchive && isOfZlib(error);
    const coolMs = file.grewAtMs + HOT_MS;
    // An archive that is being written is cut off.
    if (isDamaged && performance.now() < coolMs) this.#due.set(file, coolMs);
    // One that stays so is not unpacked again and again.
    else if (isDamaged) this.#say(file.path, `${errorText(error)} (tried again when it changes)`);
    else {
      this.#due.set(file, performance.now() + TROUBLE_MS);
      this.#say(file.path, errorText(error));
    }
  }

  /** Keeps no more files open than may be: those that were read longest ago are closed. */
  async #opened(file: Followed): Promise<void> {
    this.#open.delete(file);
    this.#open.add(file);
    for (const old of [...this.#open]) {
      if (this.#open.size <= this.#config.max_concurrent_files) return;
      if (!old.isQueued) await this.#close(old);
    }
  }

  async #close(file: Followed): Promise<void> {
    this.#open.delete(file);
    const { source } = file;
    file.source = undefined;
    await source?.close().catch(() => {});
  }

  #say(path: string, why: string): void {
    this.#trouble.say(1, `${path}: ${why}`, this.#context.nowMs(), (reasons) =>
      this.#context.log.warn({ reasons }, "files cannot be read; they are tried again"),
    );
  }
}

/** Whether an error says that content is not what gzip makes, or not all of it. */
function isOfZlib(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("Z_");
}
