import type { Figure } from "../../pipeline/telemetry.ts";

/** What a receiver took; Fluent Bit's "input". */
export interface InputTally {
  records: number;
}

/** What an exporter did, in Fluent Bit's words. */
export interface OutputTally {
  proc_records: number;
  /** Given up or dead-lettered. */
  dropped_records: number;
  /** Sent again. */
  retried_records: number;
}

/** What came in and went out, by component, and what waits. */
export interface Tallies {
  readonly input: Readonly<Record<string, InputTally>>;
  readonly output: Readonly<Record<string, OutputTally>>;
  /** Segments of journals in memory and on disk. */
  readonly memorySegments: number;
  readonly diskSegments: number;
}

const ITEMS = ["log_records", "metric_points", "spans"];
const named = (start: string) => new Set(ITEMS.map((items) => `${start}_${items}`));
const ACCEPTED = named("otelcol_receiver_accepted");
const SENT = named("otelcol_exporter_sent");
const FAILED = named("otelcol_exporter_send_failed");

/** Adds up what the service has counted. Fluent Bit also counts bytes and tries; these are not known here, and left out. */
export function tally(figures: Iterable<Figure>): Tallies {
  const input: Record<string, InputTally> = {};
  const output: Record<string, OutputTally> = {};
  const segments = { memory: 0, disk: 0 };
  for (const { name, labels, value } of figures) {
    const { receiver, exporter, storage } = labels;
    if (receiver !== undefined) {
      input[receiver] ??= { records: 0 };
      if (ACCEPTED.has(name)) input[receiver].records += value;
    } else if (exporter !== undefined) {
      output[exporter] ??= { proc_records: 0, dropped_records: 0, retried_records: 0 };
      addOutput(output[exporter], name, value);
    } else if (name === "weir_journal_segments")
      segments[storage === "memory" ? "memory" : "disk"] += value;
  }
  return { input, output, memorySegments: segments.memory, diskSegments: segments.disk };
}

function addOutput(tally: OutputTally, name: string, value: number): void {
  if (SENT.has(name)) tally.proc_records += value;
  else if (FAILED.has(name)) tally.dropped_records += value;
  else if (name === "weir_exporter_resent_items_total") tally.retried_records += value;
}
