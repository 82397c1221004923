import { readdirSync, readFileSync } from "node:fs";

const EVERY_MS = 50;
/** Of /proc/stat: USER_HZ is 100 on every Linux. */
const MS_PER_TICK = 10;

interface Sample {
  readonly atMs: number;
  /** Since the first sample; only its growth means something. */
  readonly waitedMs: number;
}

/**
 * How long threads that had work to do waited for a core, and the cores for their hypervisor: what a busy machine adds to every time
 * that is measured on it. Linux counts it for each thread, also when nobody looks (proc(5), schedstat); elsewhere it is always 0.
 */
export class CoreWaits implements Disposable {
  readonly #pids: () => readonly number[];
  readonly #timer: NodeJS.Timeout;
  readonly #samples: Sample[] = [];
  #last = new Map<string, number>();
  #waitedMs = 0;

  /** `pids`: the processes, whose threads may come and go. */
  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
    this.#timer = setInterval(() => this.#look(), EVERY_MS).unref();
    this.#look();
  }

  /** The most that was waited within any stretch of `ms`. */
  within(ms: number): number {
    this.#look();
    const long = ms + 2 * EVERY_MS;
    let most = 0;
    let end = 0;
    for (const { atMs, waitedMs } of this.#samples) {
      while (end < this.#samples.length - 1 && (this.#samples[end]?.atMs ?? 0) < atMs + long) end++;
      most = Math.max(most, (this.#samples[end]?.waitedMs ?? 0) - waitedMs);
    }
    return most;
  }

  #look(): void {
    const now = new Map(this.#pids().flatMap(waits));
    now.set("cores", stolenMs());
    for (const [who, waitedMs] of now)
      this.#waitedMs += waitedMs - (this.#last.get(who) ?? waitedMs);
    this.#last = now;
    this.#samples.push({ atMs: performance.now(), waitedMs: this.#waitedMs });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Each thread of a process, and the milliseconds that it waited so far. */
function waits(pid: number): [string, number][] {
  const tasks = `/proc/${pid}/task`;
  try {
    return readdirSync(tasks).map((id) => {
      const [, waited] = readFileSync(`${tasks}/${id}/schedstat`, "utf8").split(" ");
      return [id, Number(waited) / 1e6];
    });
  } catch {
    return []; // a process or a thread that has just ended
  }
}

function stolenMs(): number {
  try {
    const [cores = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
    return Number(cores.split(/ +/)[8] ?? 0) * MS_PER_TICK;
  } catch {
    return 0;
  }
}

/** Milliseconds that `work` takes by the clock, less what this process and `others` waited for a core: for what mostly waits for timers. */
export async function ownMs(work: () => unknown, ...others: readonly number[]): Promise<number> {
  using waits = new CoreWaits(() => [process.pid, ...others]);
  const begun = performance.now();
  await work();
  const tookMs = performance.now() - begun;
  return tookMs - waits.within(tookMs);
}
