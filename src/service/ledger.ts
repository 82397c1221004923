import { getOrMake } from "../lib/get-or-make.ts";
import type { Signal } from "../otlp/tape.ts";
import type { Counter, Meter } from "../pipeline/telemetry.ts";

/** How the Collector's metric names call the items of a signal. */
export const ITEM_NAMES: Readonly<Record<Signal, string>> = {
  logs: "log_records",
  traces: "spans",
  metrics: "metric_points",
};

/** What a receiver's edge counts, per transport and signal, under the Collector's names. */
export class ReceiverCounts {
  readonly accepted: Counter;
  readonly refused: Counter;
  readonly failed: Counter;
  constructor(meter: Meter, receiver: string, transport: string, signal: Signal) {
    const labels = { receiver, transport };
    const name = ITEM_NAMES[signal];
    this.accepted = meter.counter(
      `otelcol_receiver_accepted_${name}`,
      "Items that were made durable and acknowledged.",
      labels,
    );
    this.refused = meter.counter(
      `otelcol_receiver_refused_${name}`,
      "Items that were refused or rejected; the sender was told.",
      labels,
    );
    this.failed = meter.counter(
      `otelcol_receiver_failed_${name}`,
      "Items that failed for a reason of our own.",
      labels,
    );
  }
}

/** The law of one pipeline before the journal: received = appended + filtered + rejected + refused. */
export class PipelineCounts {
  readonly received: Counter;
  readonly appended: Counter;
  readonly rejected: Counter;
  readonly refused: Counter;
  readonly #meter: Meter;
  readonly #pipeline: string;
  readonly #filtered = new Map<string, Counter>();
  constructor(meter: Meter, pipeline: string) {
    const labels = { pipeline };
    this.#meter = meter;
    this.#pipeline = pipeline;
    this.received = meter.counter(
      "weir_pipeline_received_items_total",
      "Items that entered the pipeline.",
      labels,
    );
    this.appended = meter.counter(
      "weir_pipeline_appended_items_total",
      "Items that were appended to the journal.",
      labels,
    );
    this.rejected = meter.counter(
      "weir_pipeline_rejected_items_total",
      "Malformed items, cut out and reported.",
      labels,
    );
    this.refused = meter.counter(
      "weir_pipeline_refused_items_total",
      "Items of requests that were refused as a whole.",
      labels,
    );
  }

  filtered(processor: string, items: number): void {
    const labels = { pipeline: this.#pipeline, processor };
    const make = () =>
      this.#meter.counter(
        "weir_pipeline_filtered_items_total",
        "Items that a processor dropped.",
        labels,
      );
    getOrMake(this.#filtered, processor, make).add(items);
  }
}

/** What the Collector counts around each processor. */
export class ProcessorCounts {
  readonly incoming: Counter;
  readonly outgoing: Counter;
  constructor(meter: Meter, processor: string, signal: Signal) {
    const labels = { processor, otel_signal: signal };
    this.incoming = meter.counter(
      "otelcol_processor_incoming_items",
      "Items that entered the processor.",
      labels,
    );
    this.outgoing = meter.counter(
      "otelcol_processor_outgoing_items",
      "Items that left the processor.",
      labels,
    );
  }
}
