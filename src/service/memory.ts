/**
 * After the start: what loading and compiling left behind goes back to the system (idle memory: 109 → 87 MB on the machine where it was
 * measured). Without --expose-gc (main.ts sets it) nothing happens, and V8 does it in its own time.
 */
export function settleDown(): void {
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/**
 * Memory of requests after which the young generation is worth a look, of about a millisecond. With a third of it, requests that wait to
 * be sent grow old too often; with a third more, V8 begins by itself.
 */
const LITTER_BYTES = 24 << 20;

/**
 * Gives the memory of answered requests back soon. Their bytes and tapes lie outside V8's heap: hundreds of megabytes of large requests
 * fit into its young generation, and long before that V8 begins to collect everything, old and young, to get at them (a quarter of all
 * CPU time at 1,000 records a request where it was measured).
 */
export class LitterCollector {
  readonly #collect: () => void;
  #bytes = 0;

  constructor(collect: () => void = collectYoung) {
    this.#collect = collect;
  }

  /** A request of so many bytes, index included, has come, or was read back from a queue. */
  took(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < LITTER_BYTES) return;
    this.#bytes = 0;
    this.#collect();
  }
}

function collectYoung(): void {
  globalThis.gc?.({ type: "minor", execution: "sync" });
}

/** Between two looks at the memory. */
const LOOK_MS = 5_000;
/** Memory beyond that after the last collection which is worth one. */
const WORTH_BYTES = 64 << 20;
/** Share of the time that the event loop may be busy: a collection must not come between requests. */
const IDLE_SHARE = 0.1;

/** What the keeper looks at; tests have their own. */
export interface MemoryView {
  residentBytes(): number;
  /** Busy share of the event loop since the call before. */
  busyShare(): number;
  collect(): void;
}

/**
 * Gives memory back after a burst. V8 collects when something is allocated: what a flood of connections or large requests left behind
 * would stay for hours in a service that is idle afterwards.
 */
export class MemoryKeeper implements Disposable {
  readonly #view: MemoryView;
  readonly #timer: NodeJS.Timeout;
  #settledBytes: number;

  constructor(view: MemoryView = processMemory()) {
    this.#view = view;
    this.#settledBytes = view.residentBytes();
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Collects when there is much to collect and nothing else to do. */
  look(): void {
    const view = this.#view;
    const isIdle = view.busyShare() <= IDLE_SHARE;
    const bytes = view.residentBytes();
    this.#settledBytes = Math.min(this.#settledBytes, bytes);
    if (!isIdle || bytes - this.#settledBytes < WORTH_BYTES) return;
    view.collect();
    this.#settledBytes = Number.POSITIVE_INFINITY; // known at the next look: freeing goes on in the background
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function processMemory(): MemoryView {
  const { eventLoopUtilization } = performance;
  let before = eventLoopUtilization();
  return {
    residentBytes: () => process.memoryUsage.rss(),
    busyShare() {
      const now = eventLoopUtilization();
      const { utilization } = eventLoopUtilization(now, before);
      before = now;
      return utilization;
    },
    // Some 10 ms; the last resort at the start takes several times as long.
    collect: () => globalThis.gc?.({ type: "major", execution: "sync" }),
  };
}
