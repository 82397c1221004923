import type { Range } from "../../otlp/range.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Slab } from "../../series/writer.ts";
import type { DeliveryRoute } from "./delivery-route.ts";
import type { Made } from "./next-request.ts";
import { firstOversize } from "./oversize.ts";
import { frontOf } from "./slabs.ts";

const NOTHING_DROPPED: ReadonlyMap<string, number> = new Map();

/** Writes the requests of one range, each as large as the destination and the pace of writing allow. */
export class RangeRequests<S extends Signal> {
  readonly #route: DeliveryRoute<S>;
  readonly #range: Range<S>;
  /** Of telemetry. */
  readonly #bytes: number;

  constructor(route: DeliveryRoute<S>, range: Range<S>, bytes: number) {
    this.#route = route;
    this.#range = range;
    this.#bytes = bytes;
  }

  /** A request of the first of the items [from, end). A writer that throws must cost one item, not the queue: then it is what it said. */
  write(from: number, end: number): Made | string {
    const { slabs, requestBytes, pace, options } = this.#route;
    const { writer, limits } = options.backend;
    const { itemBytes = Number.POSITIVE_INFINITY } = limits;
    const wanted = Math.min(end, from + pace.items);
    const to = firstOversize(this.#range, from, wanted, itemBytes);
    const body = writer.ready?.(this.#range, from, to, requestBytes);
    if (body !== undefined) {
      const written = { to, rows: to - from, dropped: NOTHING_DROPPED };
      return { slab: undefined, body, written };
    }
    const slab = slabs.take();
    try {
      const front = frontOf(slab, requestBytes);
      const made = this.#fill(slab, front, from, to);
      if (made.written.to > from || front === slab || to === from) return made;
      slab.length = 0;
      return this.#fill(slab, slab, from, from + 1);
    } catch (reason) {
      slabs.give(slab);
      return reason instanceof Error ? reason.message : String(reason);
    }
  }

  #fill(slab: Slab, out: Slab, from: number, to: number): Made {
    const { options, pace, fit, requestBytes } = this.#route;
    const begun = process.threadCpuUsage();
    const written = options.backend.writer.write(this.#range, from, to, out);
    const items = written.to - from;
    const { user, system } = process.threadCpuUsage(begun);
    pace.took(items, (user + system) / 1_000);
    fit.limit(requestBytes);
    fit.wrote((this.#bytes * items) / this.#range.items, out.length);
    return { slab, written, body: out.bytes.subarray(0, out.length) };
  }
}
