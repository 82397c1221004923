import type { Range } from "../../otlp/range.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { Slab, Writer, Written } from "../../series/writer.ts";

interface Told {
  readonly counter: Counter;
  readonly n: number;
}

/**
 * What a writer tells of a body while it writes it, counted once the destination has the body: it may be written again before, or while
 * another one is on its way. So each body is known by its memory, which is its own until its post is over.
 */
export class BodyCounts {
  #told: Told[] = [];
  readonly #of = new WeakMap<ArrayBufferLike, readonly Told[]>();

  /** Of the body that is being written. */
  add(counter: Counter, n: number): void {
    this.#told.push({ counter, n });
  }

  /** The same writer; what is told while it writes belongs to that body. */
  watch<S extends Signal>(writer: Writer<S>): Writer<S> {
    return {
      write: (range: Range<S>, from: number, to: number, out: Slab): Written => {
        this.#told = [];
        const written = writer.write(range, from, to, out);
        this.#of.set(out.bytes.buffer, this.#told);
        return written;
      },
      itemOfRow: (range, from, row) => writer.itemOfRow(range, from, row),
      ...(writer.itemsOfRows && { itemsOfRows: writer.itemsOfRows.bind(writer) }),
      ...(writer.ready && { ready: writer.ready.bind(writer) }),
    };
  }

  /** The destination has this body; before its post is over. Nothing was told of one that stood ready in memory. */
  taken(body: Uint8Array): void {
    for (const { counter, n } of this.#of.get(body.buffer) ?? []) counter.add(n);
  }
}
