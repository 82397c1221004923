import type { Frame, Journal } from "../journal/journal.ts";
import { unionRoutes } from "../journal/routes.ts";
import type { Batch } from "../otlp/batch.ts";
import type { Signal } from "../otlp/tape.ts";
import type { RequestMetadata, Transform } from "../pipeline/contracts.ts";
import type { Meter } from "../pipeline/telemetry.ts";
import { PipelineCounts, ProcessorCounts } from "./ledger.ts";
import type { AwaitedReader } from "./results.ts";
import type { Route } from "./routes.ts";

interface Stage {
  readonly id: string;
  readonly transform: Transform;
  readonly counts: ProcessorCounts;
}

/** One pipeline of the configuration: its transforms in order, and the routes it feeds. */
export class Pipeline {
  readonly id: string;
  readonly signal: Signal;
  readonly routes: readonly Route[];
  /** Of the routes, by journal. */
  readonly bits = new Map<Journal, Uint32Array>();
  /** Routes whose answers the acknowledgement waits for. */
  readonly awaited: AwaitedReader[] = [];
  readonly counts: PipelineCounts;
  readonly #stages: readonly Stage[];

  constructor(
    id: string,
    signal: Signal,
    transforms: ReadonlyMap<string, Transform>,
    routes: readonly Route[],
    meter: Meter,
  ) {
    this.id = id;
    this.signal = signal;
    this.routes = routes;
    for (const { journal, bits, awaited } of routes) {
      const others = this.bits.get(journal);
      this.bits.set(journal, others === undefined ? bits : unionRoutes(others, bits));
      if (awaited !== undefined) this.awaited.push(awaited);
    }
    this.counts = new PipelineCounts(meter, id);
    this.#stages = [...transforms].map(([stage, transform]) => ({
      id: stage,
      transform,
      counts: new ProcessorCounts(meter, stage, signal),
    }));
  }

  /** Runs the transforms on a private draft; an untouched batch comes back as it is. Counts only when none of them threw. */
  run(batch: Batch, metadata?: RequestMetadata): Batch {
    if (this.#stages.length === 0) return batch;
    const draft = batch.draft();
    const left = [batch.items];
    for (const { transform } of this.#stages) {
      transform.apply(draft, metadata);
      left.push(batch.items - sum(draft.dropped));
    }
    const sealed = draft.seal();
    this.#stages.forEach(({ id, counts }, i) => {
      const before = left[i] ?? 0;
      const after = left[i + 1] ?? 0;
      counts.incoming.add(before);
      counts.outgoing.add(after);
      if (after < before) this.counts.filtered(id, before - after);
    });
    return sealed;
  }
}

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const n of counts.values()) total += n;
  return total;
}

/** The frames of one request that go to one journal, as one group. */
export interface Group {
  readonly journal: Journal;
  readonly frames: Frame[];
}

/** Collects the frames of one request: one group per journal; pipelines that leave a batch untouched share its frame. */
export class Groups {
  /** Journals are few: a list is found through faster than a Map is made. */
  readonly list: Group[] = [];
  /** Settlements that the acknowledgement waits for. */
  readonly awaited: { readonly reader: AwaitedReader; readonly batch: Batch }[] = [];
  readonly #arrivalMs: number;
  constructor(arrivalMs: number) {
    this.#arrivalMs = arrivalMs;
  }

  add(batch: Batch, { bits: all, awaited }: Pipeline): void {
    for (const reader of awaited)
      if (!this.awaited.some((one) => one.reader === reader && one.batch === batch))
        this.awaited.push({ reader, batch });
    for (const [journal, bits] of all) this.#put(this.#of(journal), batch, bits);
  }

  #of(journal: Journal): Frame[] {
    for (const group of this.list) if (group.journal === journal) return group.frames;
    const group = { journal, frames: [] };
    this.list.push(group);
    return group.frames;
  }

  #put(frames: Frame[], batch: Batch, bits: Uint32Array): void {
    const arrivalMs = this.#arrivalMs;
    for (let at = 0; at < frames.length; at++) {
      const frame = frames[at] as Frame;
      if (frame.batch !== batch) continue;
      frames[at] = { batch, routes: unionRoutes(frame.routes, bits), arrivalMs };
      return;
    }
    frames.push({ batch, routes: bits, arrivalMs });
  }
}
