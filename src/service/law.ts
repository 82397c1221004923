import { monitorEventLoopDelay } from "node:perf_hooks";
import type { SendingQueue } from "../config/blocks.ts";
import type { Journal } from "../journal/journal.ts";
import { SIGNALS } from "../otlp/tape.ts";
import type { Labels, Meter } from "../pipeline/telemetry.ts";
import { renderLabels } from "./metrics.ts";
import type { Replays } from "./replays.ts";
import { type Route, routeLimits } from "./routes.ts";
import type { Storage } from "./storage.ts";

const LOOP_RESOLUTION_MS = 20;

/** Registers the terms of the law for a route: appended = delivered + unconfirmed + dropped + dead-lettered + queued, in items. */
export function observeRoute(meter: Meter, route: Route): void {
  const labels = { exporter: route.exporter, signal: route.signal };
  const { reader } = route;
  const total = (term: string, help: string, read: () => number) =>
    meter.observe(`weir_route_${term}_items_total`, help, labels, "counter", read);
  total(
    "appended",
    "Items appended to the journal for this route.",
    () => reader.counts().appended,
  );
  total("delivered", "Items that the destination confirmed.", () => reader.counts().delivered);
  total(
    "unconfirmed",
    "Items of requests that were stored minus an unknown few.",
    () => reader.counts().unconfirmed,
  );
  total(
    "dead_lettered",
    "Items set aside because the destination rejects them.",
    () => reader.counts().deadLettered,
  );
  meter.observe(
    "weir_route_queued_items",
    "Items waiting, from frame headers.",
    labels,
    "gauge",
    () => reader.counts().queuedItems,
  );
  meter.observe(
    "weir_route_queued_bytes",
    "Bytes waiting, from frame headers.",
    labels,
    "gauge",
    () => reader.counts().queuedBytes,
  );
  meter.observe(
    "weir_route_held_bytes",
    "Bytes of segment files that only this route still holds.",
    labels,
    "gauge",
    () => route.journal.heldBytes(reader.route),
  );
  meter.observe(
    "weir_route_oldest_age_seconds",
    "Age of the oldest waiting item.",
    labels,
    "gauge",
    () => reader.counts().oldestAgeMs / 1_000,
  );
}

/** The Collector's metrics of a queue, in the unit of its `sizer`. */
export function observeQueue(meter: Meter, route: Route, queue: SendingQueue): void {
  const labels = { exporter: route.exporter, data_type: route.signal };
  const { bytes, items, frames } = routeLimits(queue);
  const counts = () => route.reader.counts();
  const [capacity, size] =
    frames < Number.POSITIVE_INFINITY
      ? [frames, () => counts().queuedFrames]
      : items < Number.POSITIVE_INFINITY
        ? [items, () => counts().queuedItems]
        : [bytes, () => counts().queuedBytes];
  meter.observe(
    "otelcol_exporter_queue_size",
    "Waiting in the queue, in the unit of its sizer.",
    labels,
    "gauge",
    size,
  );
  meter.observe(
    "otelcol_exporter_queue_capacity",
    "Limit of the queue, in the unit of its sizer.",
    labels,
    "gauge",
    () => capacity,
  );
}

/** Reasons appear as they happen, so the dropped items of a route are rendered from its counts at each scrape. */
export function droppedLines(routes: readonly Route[]): string {
  const name = "weir_route_dropped_items_total";
  const lines = [`# HELP ${name} Items given up, by reason.`, `# TYPE ${name} counter`];
  for (const { exporter, signal, reader } of routes) {
    const { dropped } = reader.counts();
    const line = (reason: string, items: number) =>
      lines.push(`${name}${renderLabels({ exporter, reason, signal })} ${items}`);
    if (dropped.size === 0) line("none", 0);
    for (const [reason, items] of dropped) line(reason, items);
  }
  return `${lines.join("\n")}\n`;
}

/** What a journal says of itself. `storage` is the id of its file_storage, or "memory". */
export function observeJournal(meter: Meter, storage: string, journal: Journal): void {
  const labels = { storage };
  meter.observe(
    "weir_journal_bytes",
    "Bytes of segments on disk.",
    labels,
    "gauge",
    () => journal.stats().bytes,
  );
  meter.observe(
    "weir_journal_segments",
    "Segment files.",
    labels,
    "gauge",
    () => journal.stats().segments,
  );
  meter.observe(
    "weir_journal_fsyncs_total",
    "Groups made durable.",
    labels,
    "counter",
    () => journal.stats().fsyncs,
  );
  meter.observe(
    "weir_journal_fsync_failures_total",
    "Groups refused because fsync failed.",
    labels,
    "counter",
    () => journal.stats().fsyncFailures,
  );
  meter.observe(
    "weir_journal_quarantined_total",
    "Damaged parts set aside.",
    labels,
    "counter",
    () => {
      let parts = 0;
      for (const n of journal.stats().quarantined.values()) parts += n;
      return parts;
    },
  );
}

/** What a journal says of the sparse segments that it copied. */
export function observeCopies(meter: Meter, storage: string, journal: Journal): void {
  const counter = (name: string, help: string, labels: Labels, read: () => number) =>
    meter.observe(`weir_journal_${name}_total`, help, { storage, ...labels }, "counter", read);
  const copied = () => journal.stats().copied;
  counter(
    "copied_segments",
    "Sparse segments whose waiting frames were copied into another.",
    {},
    () => copied().segments,
  );
  counter(
    "copy_freed_bytes",
    "Bytes of segments that copying gave back.",
    {},
    () => copied().freedBytes,
  );
  for (const reason of ["disk_full", "unreadable", "io"] as const)
    counter(
      "copy_failures",
      "Times that copying gave up; the old segments stayed.",
      { reason },
      () => copied().failures.get(reason) ?? 0,
    );
}

/** What a storage's dead letters say of themselves. */
export function observeLetters(meter: Meter, storage: Storage, replays: Replays): void {
  const { id, deadLetters } = storage;
  for (const signal of SIGNALS) {
    const labels = { storage: id, signal };
    const counts = () => deadLetters.counts(signal);
    const help = "Dead letters that wait for an operator, in items.";
    meter.observe("weir_dead_letters", help, labels, "gauge", () => counts().kept);
    for (const reason of ["operator", "budget"] as const)
      meter.observe(
        "weir_dead_letters_dropped_items_total",
        "Dead letters given up: by an operator, or because their budget was full.",
        { ...labels, reason },
        "counter",
        () => counts().dropped[reason],
      );
  }
  for (const [signal, replayed] of replays.counts())
    meter.observe(
      "weir_replayed_items_total",
      "Dead letters and retained items that were queued again: they count there as appended.",
      { storage: id, signal },
      "counter",
      replayed,
    );
  const bytes = (name: string, help: string, read: () => number) =>
    meter.observe(`weir_dead_letters_${name}`, help, { storage: id }, "gauge", read);
  bytes("bytes", "Bytes of the dead letters on disk.", () => deadLetters.bytes);
  bytes("limit_bytes", "Budget of the dead letters.", () => deadLetters.maxBytes);
}

/** How long the event loop was busy at a stretch. `reset` starts the maximum anew, for example when the start is over. */
export function observeLoop(meter: Meter): { reset(): void } {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - LOOP_RESOLUTION_MS);
  const help = "Longest delay of the event loop since the start.";
  meter.observe(
    "weir_event_loop_delay_max_seconds",
    help,
    {},
    "gauge",
    () => ms(delay.max) / 1_000,
  );
  return {
    reset() {
      delay.reset();
    },
  };
}

/** The Collector's metrics of its own process. */
export function observeProcess(meter: Meter, startedMs: number): void {
  const observe = (name: string, help: string, type: "counter" | "gauge", read: () => number) =>
    meter.observe(`otelcol_process_${name}`, help, {}, type, read);
  observe("uptime", "Seconds since the start.", "counter", () => (Date.now() - startedMs) / 1_000);
  observe("cpu_seconds", "CPU time, user and system.", "counter", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  observe("memory_rss", "Resident memory in bytes.", "gauge", () => process.memoryUsage.rss());
  observe(
    "runtime_heap_alloc_bytes",
    "Bytes in use on the JavaScript heap.",
    "gauge",
    () => process.memoryUsage().heapUsed,
  );
  observe(
    "runtime_total_sys_memory_bytes",
    "Heap and external memory held from the system.",
    "gauge",
    () => {
      const { heapTotal, external } = process.memoryUsage();
      return heapTotal + external;
    },
  );
}
