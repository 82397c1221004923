import type { Range } from "../../otlp/range.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Slab, Writer, Written } from "../../series/writer.ts";

/**
 * What a writer tells of a body while it writes it: only once the destination has the body is it to be counted, and a body may be written
 * again, or while another one is on its way. So each is known by its memory, which is its own until its post is over.
 */
export class BodyNotes<N> {
  #told: N[] = [];
  readonly #of = new WeakMap<ArrayBufferLike, readonly N[]>();

  /** Of the body that is being written. */
  add(note: N): void {
    this.#told.push(note);
  }

  /** What was told of the body. Nothing of one that stood ready in memory. */
  of(body: Uint8Array): readonly N[] {
    return this.#of.get(body.buffer) ?? [];
  }

  /** The same writer, whose notes are kept for each body. */
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
}
