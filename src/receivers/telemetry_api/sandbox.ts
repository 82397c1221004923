import {
  beginOf,
  type Ending,
  endOf,
  type Invocation,
  newInvocation,
  readEnding,
  textOf,
  withTracing,
} from "./invocation.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Invocations that run at once: managed instances run some dozens. */
const OPEN_MAX = 1_024;
/** Invocations that are remembered after their end: for late lines, and events that come twice. */
const ENDED_MAX = 256;
/** How long the end of an invocation waits for its start, which is on its way or was lost. */
const START_WAIT_MS = 30_000;

/** Ended invocations among which the one of a late line is looked for, and how late a line may be. */
const LATE_MAX = 8;
const LATE_NS = 1_000_000_000n;

/** What is remembered of one that has ended. */
interface Ended {
  readonly invocation: Invocation;
  readonly endNs: bigint;
}

/**
 * What is known of one instance of a function: who it is, which invocations run, which ended. A batch works on a fork, which replaces the
 * original once the batch is durable: a batch that is refused, and comes again, finds everything as it was.
 */
export class Sandbox {
  functionName: string;
  functionVersion = "";
  readonly #open: Map<string, Invocation>;
  /** The last ones by request id, the newest last. */
  readonly #ended: Map<string, Ended>;
  /** How the start of the instance ended, until its first invocation does. */
  #init: Ending | undefined;

  constructor(functionName: string, from?: Sandbox) {
    this.functionName = functionName;
    this.functionVersion = from?.functionVersion ?? "";
    this.#open = new Map(from?.open());
    this.#ended = from === undefined ? new Map() : new Map(from.#ended);
    this.#init = from === undefined ? undefined : from.#init;
  }

  fork(): Sandbox {
    return new Sandbox(this.functionName, this);
  }

  open(): ReadonlyMap<string, Invocation> {
    return this.#open;
  }

  /** Takes a platform event that tells of an instance or an invocation; others change nothing. */
  apply(
    type: string,
    record: Fields,
    timeNs: bigint,
    nowMs: number,
    timeOf: (text: string) => bigint,
  ): void {
    if (type === "platform.initStart") this.#nameIt(record);
    else if (type === "platform.initReport") this.#init = readEnding(record, timeNs, timeOf);
    else if (type === "platform.start") this.#start(record, timeNs, nowMs);
    else if (type === "platform.runtimeDone")
      this.#end("done", record, readEnding(record, timeNs, timeOf), nowMs);
    else if (type === "platform.report")
      this.#end("report", record, readEnding(record, timeNs, timeOf), nowMs);
  }

  #nameIt(record: Fields): void {
    this.functionName ||= textOf(record, "functionName");
    this.functionVersion = textOf(record, "functionVersion") || this.functionVersion;
  }

  #start(record: Fields, timeNs: bigint, nowMs: number): void {
    const before = this.#find(record, nowMs);
    if (before === undefined) return;
    this.#put({
      ...withTracing(before, record),
      startNs: timeNs || BigInt(nowMs) * 1_000_000n,
      version: textOf(record, "version"),
    });
  }

  #end(part: "done" | "report", record: Fields, ending: Ending, nowMs: number): void {
    const before = this.#find(record, nowMs);
    if (before === undefined) return;
    const init = part === "report" ? this.#takeInit(ending) : undefined;
    this.#put({
      ...withTracing(before, record),
      [part]: ending,
      ...(init !== undefined && { init }),
    });
  }

  /** The start of the instance belongs to the first invocation that reports, and only where that was cold. */
  #takeInit({ initMs }: Ending): Ending | undefined {
    const init = this.#init;
    this.#init = undefined;
    return initMs === undefined ? undefined : init;
  }

  /** The invocation that a record tells of, as heard of now; undefined when it names none, or one that has ended. */
  #find(record: Fields, nowMs: number): Invocation | undefined {
    const requestId = textOf(record, "requestId");
    if (requestId === "" || this.#ended.has(requestId)) return undefined;
    const known = this.#open.get(requestId);
    return known === undefined ? newInvocation(requestId, nowMs) : { ...known, heardMs: nowMs };
  }

  #put(invocation: Invocation): void {
    this.#open.set(invocation.requestId, invocation);
  }

  /**
   * Takes out those that have ended: whole ones; those of which nothing was heard for `timeoutMs`; the oldest where too many are open; with
   * `isOver`, all.
   */
  takeEnded(nowMs: number, timeoutMs: number, isOver: boolean): Invocation[] {
    const ended: Invocation[] = [];
    let excess = this.#open.size - OPEN_MAX;
    for (const invocation of this.#open.values()) {
      const { startNs, report, heardMs } = invocation;
      const silentMs = nowMs - heardMs;
      const isWhole = startNs !== 0n && report !== undefined;
      const isLost = report !== undefined && silentMs >= START_WAIT_MS;
      if (!(isOver || isWhole || isLost || silentMs >= timeoutMs || excess > 0)) continue;
      ended.push(invocation);
      excess--;
    }
    for (const invocation of ended) {
      this.#open.delete(invocation.requestId);
      this.#ended.set(invocation.requestId, { invocation, endNs: endOf(invocation) });
    }
    for (const oldest of this.#ended.keys()) {
      if (this.#ended.size <= ENDED_MAX) break;
      this.#ended.delete(oldest);
    }
    return ended;
  }

  /** The invocation with this id, running or ended. */
  named(requestId: string): Invocation | undefined {
    return this.#open.get(requestId) ?? this.#ended.get(requestId)?.invocation;
  }

  /** The invocation that ran at this time, if only one did; else, soon behind its end, the last one before. */
  at(timeNs: bigint): Invocation | undefined {
    const running = [...this.#open.values()].filter(
      (one) => one.startNs !== 0n && one.startNs <= timeNs && timeNs <= lastOf(one),
    );
    const ended = [...this.#ended.values()].slice(-LATE_MAX).reverse();
    const found = running.concat(
      ended
        .filter(({ invocation, endNs }) => beginOf(invocation) <= timeNs && timeNs <= endNs)
        .map(({ invocation }) => invocation),
    );
    if (found.length === 0)
      return ended.find(({ endNs }) => endNs < timeNs && timeNs < endNs + LATE_NS)?.invocation;
    if (found.length === 1) return found[0];
    // One ends in the millisecond in which the next begins.
    const before = found.filter((one) => beginOf(one) < timeNs);
    return before.length === 1 ? before[0] : undefined;
  }
}

/** An open one lasts until its runtime is done. */
function lastOf({ done }: Invocation): bigint {
  return done?.timeNs ?? BigInt(Number.MAX_SAFE_INTEGER) * 1_000_000n;
}
