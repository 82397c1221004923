import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";

/** Counts what is replaced in the records that a receiver takes. */
export class ReplacedCounts {
  readonly #times: Counter;
  readonly #texts: Counter;

  constructor({ id, meter }: Context, transport: string) {
    const labels = { receiver: id, transport };
    this.#times = meter.counter(
      "weir_records_replaced_times_total",
      "Records whose time is before 1677 or after 2262: they carry the time of their arrival.",
      labels,
    );
    this.#texts = meter.counter(
      "weir_records_replaced_texts_total",
      "Records with bytes that are no UTF-8: these became U+FFFD.",
      labels,
    );
  }

  /** Of a request that was taken. */
  add(read: { readonly replacedTimes: number; readonly replacedTexts: number }): void {
    if (read.replacedTimes > 0) this.#times.add(read.replacedTimes);
    if (read.replacedTexts > 0) this.#texts.add(read.replacedTexts);
  }
}
