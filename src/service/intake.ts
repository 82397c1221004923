import type { Frame, Journal, Memo } from "../journal/journal.ts";
import { unionRoutes } from "../journal/routes.ts";
import { getOrMake } from "../lib/get-or-make.ts";
import type { Batch } from "../otlp/batch.ts";
import { isRefusal, PipelineError, type Refusal } from "../otlp/status.ts";
import type { Signal } from "../otlp/tape.ts";
import type { Intake, Lease, Memory } from "../pipeline/contracts.ts";
import type { Logger, Meter } from "../pipeline/telemetry.ts";
import type { CatchUp } from "./catch-up.ts";
import { ReceiverCounts } from "./ledger.ts";
import { MemoKeeper } from "./memo-keeper.ts";
import { OldItems } from "./old-items.ts";
import { type Group, Groups, type Pipeline } from "./pipeline.ts";
import type { Storage } from "./storage.ts";

/** What all intakes of a service share. */
export interface Gate {
  readonly meter: Meter;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** The receivers have stopped: nothing is taken any more. */
  readonly isClosed: () => boolean;
  /** Bytes for one request out of the process-wide budget; undefined when there are none left. */
  readonly take: (bytes: number) => Lease | undefined;
  /** A request has taken so much memory, which its batches keep until they are delivered. */
  readonly took: (bytes: number) => void;
  readonly catchUp: Pick<CatchUp, "turn">;
}

const BUSY_MS = 1_000;
const NO_TARGETS: readonly (readonly [Journal, Uint32Array])[] = [];
const NO_MEMOS: readonly Memo[] = [];

/** One receiver's way in: admission, pipelines, one atomic group per journal, and the counts of the edge. */
export class ReceiverIntake implements Intake {
  readonly signals: ReadonlySet<Signal>;
  readonly #receiver: string;
  readonly #gate: Gate;
  readonly #pipelines = new Map<Signal, Pipeline[]>();
  readonly #targets = new Map<Signal, readonly (readonly [Journal, Uint32Array])[]>();
  /** By transport and signal. */
  readonly #counts = new Map<string, Map<Signal, ReceiverCounts>>();
  readonly #old: OldItems;
  readonly #memos: MemoKeeper | undefined;

  /** `storage` keeps the receiver's memos. */
  constructor(receiver: string, pipelines: readonly Pipeline[], gate: Gate, storage?: Storage) {
    this.#receiver = receiver;
    this.#gate = gate;
    this.#old = new OldItems(receiver, gate.log, gate.nowMs);
    for (const pipeline of pipelines) {
      const { signal } = pipeline;
      this.#pipelines.set(signal, [...(this.#pipelines.get(signal) ?? []), pipeline]);
      const targets = new Map(this.#targets.get(signal));
      for (const [journal, bits] of pipeline.bits)
        targets.set(journal, unionRoutes(targets.get(journal) ?? new Uint32Array(0), bits));
      this.#targets.set(signal, [...targets]);
    }
    this.signals = new Set(this.#pipelines.keys());
    const journals = new Set(pipelines.flatMap(({ bits }) => [...bits.keys()]));
    this.#memos = storage && new MemoKeeper(receiver, storage, journals);
  }

  get memory(): Memory | undefined {
    return this.#memos;
  }

  admit(signal: Signal, bytes: number, transport = ""): Lease | Refusal {
    if (this.#gate.isClosed())
      return {
        kind: "unavailable",
        retryAfterMs: BUSY_MS,
        why: "weir is stopping; send again in a moment",
      };
    for (const [journal, routes] of this.#targets.get(signal) ?? NO_TARGETS) {
      const refusal = journal.refuses(routes, bytes, 1);
      if (refusal !== undefined) return refusal;
    }
    const lease = this.#gate.take(bytes);
    if (lease === undefined)
      return {
        kind: "refused",
        retryAfterMs: BUSY_MS,
        why: "the memory budget for requests in flight is used up; send again in a moment",
      };
    lease.transport = transport;
    return lease;
  }

  async submit(
    batches: readonly Batch[],
    lease: Lease,
    memos: readonly Memo[] = NO_MEMOS,
  ): Promise<void> {
    const { transport = "" } = lease;
    this.#gate.took(lease.bytes);
    const passed: { readonly pipeline: Pipeline; items: number }[] = [];
    try {
      const groups = new Groups(this.#gate.nowMs());
      for (const batch of batches)
        for (const pipeline of this.#pipelines.get(batch.signal) ?? []) {
          pipeline.counts.received.add(batch.items);
          const pass = { pipeline, items: batch.items };
          passed.push(pass);
          const out = pipeline.run(batch, lease.metadata);
          pass.items = out.items;
          if (out !== batch) this.#gate.took(out.length + out.tape.byteLength);
          if (out.items > 0) groups.add(out, pipeline);
        }
      await this.#append(groups, memos);
    } catch (reason) {
      for (const { pipeline, items } of passed) {
        pipeline.counts.refused.add(items);
        for (const { enqueueFailed } of pipeline.routes) enqueueFailed.add(items);
      }
      throw this.#failed(PipelineError.from(reason), batches, transport);
    }
    for (const { pipeline, items } of passed) pipeline.counts.appended.add(items);
    for (const batch of batches) this.#count(batch.signal, transport).accepted.add(batch.items);
    this.#old.look(batches);
    if (batches.some(({ signal }) => this.#isBehind(signal))) await this.#gate.catchUp.turn();
  }

  #isBehind(signal: Signal): boolean {
    for (const [journal, routes] of this.#targets.get(signal) ?? NO_TARGETS)
      if (journal.isBehind(routes)) return true;
    return false;
  }

  /** With the items where that is possible, else behind them. */
  #append(groups: Groups, memos: readonly Memo[]): Promise<void> {
    const keeper = memos.length > 0 ? this.#memos : undefined;
    if (keeper === undefined) return append(groups);
    if (keeper.isAtomic && groups.list.length === 1) return append(groups, keeper.own(memos));
    return append(groups).then(() => keeper.append(memos));
  }

  rejected(signal: Signal, items: number, _why: string, transport = ""): void {
    this.#count(signal, transport).refused.add(items);
    for (const pipeline of this.#pipelines.get(signal) ?? []) {
      pipeline.counts.received.add(items);
      pipeline.counts.rejected.add(items);
    }
  }

  #failed(error: PipelineError, batches: readonly Batch[], transport: string): PipelineError {
    const isOurs = error.kind === "internal";
    for (const { signal, items } of batches) {
      const counts = this.#count(signal, transport);
      (isOurs ? counts.failed : counts.refused).add(items);
    }
    if (isOurs)
      this.#gate.log.error(
        { receiver: this.#receiver, error: String(error.stack) },
        "a request failed inside weir",
      );
    return error;
  }

  #count(signal: Signal, transport: string): ReceiverCounts {
    const known = this.#counts.get(transport)?.get(signal);
    if (known !== undefined) return known;
    const made = new ReceiverCounts(this.#gate.meter, this.#receiver, transport, signal);
    const ofTransport = getOrMake(this.#counts, transport, () => new Map<Signal, ReceiverCounts>());
    ofTransport.set(signal, made);
    return made;
  }
}

/** Reserves on every journal or on none, then appends one group to each. `memos` ride along where there is one journal, and nobody to wait for. */
function append(groups: Groups, memos?: readonly Memo[]): Promise<void> {
  const [only] = groups.list;
  if (only !== undefined && groups.list.length === 1 && groups.awaited.length === 0)
    return appendOne(only, memos);
  return appendAll(groups);
}

/** The common case, at a fraction of the cost: one journal, and nobody waits for a destination. */
async function appendOne({ journal, frames }: Group, memos?: readonly Memo[]): Promise<void> {
  const place = reserve(journal, frames);
  try {
    await journal.append(frames, undefined, undefined, memos);
  } finally {
    place[Symbol.dispose]();
  }
}

async function appendAll({ list, awaited }: Groups): Promise<void> {
  using places = new DisposableStack();
  for (const { journal, frames } of list) places.use(reserve(journal, frames));
  const results = awaited.map(({ reader, batch }) => reader.result(batch));
  // All settle before the places are given back, even when one journal has failed.
  const appends = await Promise.allSettled(
    list.map(({ journal, frames }) => journal.append(frames)),
  );
  for (const append of appends)
    if (append.status === "rejected") {
      for (const { reader, batch } of awaited) reader.forget(batch);
      throw append.reason;
    }
  places.dispose();
  await Promise.all(results);
}

function reserve(journal: Journal, frames: readonly Frame[]): Disposable {
  let routes: Uint32Array | undefined;
  let bytes = 0;
  let items = 0;
  for (const frame of frames) {
    routes = routes === undefined ? frame.routes : unionRoutes(routes, frame.routes);
    bytes += frame.batch.length;
    items += frame.batch.items;
  }
  const place = journal.reserve(routes ?? new Uint32Array(0), bytes, items);
  if (isRefusal(place)) throw new PipelineError(place);
  return place;
}
