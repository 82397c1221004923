import type { Delivery } from "../../config/blocks.ts";
import type { Seq } from "../../otlp/range.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Component } from "../../pipeline/contracts.ts";
import type { Context, Declaration } from "../../pipeline/factory.ts";
import type { TypeRegistry } from "../../series/type-registry.ts";
import type { Writer } from "../../series/writer.ts";

/** What an exporter component is: a writer, limits, and one way to post a body. The export loop does the rest. */
export interface Backend<S extends Signal = Signal> extends Component {
  readonly writer: Writer<S>;
  readonly limits: {
    /** Of a request. */
    readonly bytes: number;
    readonly items: number;
    readonly lanes: number;
    /** An item of more bytes on the wire is a dead letter: writing it would keep the event loop too long. Default: none is. */
    readonly itemBytes?: number;
    /** What is in flight at a time arrived so close together (ms): the destination takes nothing too old beside what it has. Default: no limit. */
    readonly spanMs?: number;
  };
  /** Grows with each answer after which the writer writes the same items otherwise. Default: there are none. */
  readonly lessons?: number;
  /** A transport error is a verdict, not a throw. `stop` aborts the attempt (timeout or shutdown). */
  post(body: Uint8Array, sending: Sending, stop: AbortSignal): Promise<Verdict>;
}

/** What a request may need to say about itself: X-Weir-Range, tenant headers, the attempt number. */
export interface Sending {
  readonly journal: string;
  readonly route: string;
  /** First item: frame and item number within that frame. */
  readonly from: readonly [Seq, number];
  /** Last item, inclusive. */
  readonly to: readonly [Seq, number];
  readonly rows: number;
  /** 1, 2, 3 … */
  readonly attempt: number;
}

export type Verdict =
  // unconfirmed: Loki's 400: stored, minus an unknown few. dropped: items that the destination says it did not keep, by reason.
  | {
      readonly is: "sent";
      readonly unconfirmed: boolean;
      readonly dropped?: ReadonlyMap<string, number>;
    }
  // alarm: it will not get better without an operator (wrong address, missing database): logged as ERROR.
  | {
      readonly is: "retry";
      readonly afterMs?: number;
      readonly why: string;
      readonly alarm?: boolean;
      /** It is told to send less, whatever the items are: never a sign that something is wrong with them. */
      readonly throttled?: boolean;
    }
  | { readonly is: "split"; readonly why: string } // 413
  // rows: 0-based; the rest is stored. reasons: one per row, where the destination gives them. again: those of the rows that the writer
  // writes differently from now on, as it has learned from the answer.
  | {
      readonly is: "rows_rejected";
      readonly rows: readonly number[];
      readonly why: string;
      readonly reasons?: readonly string[];
      readonly again?: ReadonlySet<number>;
    }
  // nothing stored: bisect, then dead-letter. again: first write and send it once more, as above.
  | { readonly is: "rejected"; readonly why: string; readonly again?: boolean }
  | { readonly is: "pause"; readonly why: string }; // 401, 403: keep all, alarm

/** Declares an exporter: the loop, the queue and the retries are the graph's, from the `delivery` options of its configuration. */
export interface ExporterFactory<C extends Delivery> extends Declaration<C> {
  readonly kind: "exporter";
  create<S extends Signal>(config: C, context: ExporterContext<S>): Backend<S>;
}

export interface ExporterContext<S extends Signal = Signal> extends Context {
  readonly signal: S;
  /** `<exporter id>/<signal>`: the name of the route. */
  readonly route: string;
  /** Types of the fields in a database, shared by the signals of the exporter and kept as long as its queue. Absent: they are not kept. */
  readonly types?: (database: string) => TypeRegistry;
}
