import type { RetryOnFailure } from "../../config/blocks.ts";
import type { Reader } from "../../journal/journal.ts";
import { Backoff } from "../../lib/backoff.ts";
import { Seldom } from "../../lib/seldom.ts";
import type { Batch } from "../../otlp/batch.ts";
import type { Indexer } from "../../otlp/indexer.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Counter, Logger, Meter } from "../../pipeline/telemetry.ts";
import { BodyLimit } from "../server/body-limit.ts";
import type { Backend, Verdict } from "./backend.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { FlightSpan } from "./flight-span.ts";
import { Lanes } from "./lanes.ts";
import { NextRequest, type Terms } from "./next-request.ts";
import { Outage } from "./outage.ts";
import { PauseGate } from "./pause-gate.ts";
import { RangeFit } from "./range-fit.ts";
import { Slabs } from "./slabs.ts";
import type { Turns } from "./turns.ts";
import { WritePace } from "./write-pace.ts";

/** What one export loop needs: the route's reader, its destination, and the options of the exporter's delivery blocks. */
export interface ExportLoopOptions<S extends Signal = Signal> {
  readonly reader: Reader<S>;
  readonly backend: Backend<S>;
  /** Id of the reader's journal: first part of X-Weir-Range and of a dead letter's key. */
  readonly journalId: string;
  readonly deadLetters: DeadLetters;
  readonly retry: RetryOnFailure;
  /** Of one attempt; 0 = no limit. */
  readonly timeoutMs: number;
  /** Requests in flight at most; the backend's own limit applies as well. 1 keeps the order. */
  readonly lanes: number;
  /** Wait for more before a send; without it every send takes what is there. */
  readonly batch?: {
    readonly minItems: number;
    readonly minBytes?: number;
    readonly waitMs: number;
    readonly maxItems?: number;
    readonly maxBytes?: number;
  };
  readonly indexer: Indexer;
  readonly log: Logger;
  readonly meter: Meter;
  readonly nowMs: () => number;
  readonly random?: () => number;
  /** Told why nothing is sent while the destination refuses our credentials; undefined when it works again. */
  readonly onPaused?: (why: string | undefined) => void;
  /** Cuts items out of a batch for dead letters. */
  readonly pick: <T extends Signal>(
    indexer: Indexer,
    batch: Batch<T>,
    from: number,
    to: number,
  ) => Batch<T>;
  /** Pause between probes of a paused route; default 10 s. */
  readonly probeMs?: number;
  /** Failed attempts after which a range is suspected of being the reason itself; default 10. */
  readonly poisonAfter?: number;
  /** How long posts in flight may go on after `stop`; default 5 s. */
  readonly graceMs?: number;
  /** Once it aborts, no send waits for more items: what is queued in memory is to go out before a stop. */
  readonly hurry?: AbortSignal;
  /** Ends the grace early. */
  readonly deadline?: AbortSignal;
  /** Shared by all routes of the process: what is behind, of all of them, gets some milliseconds of each turn of the event loop. */
  readonly lateTurns?: Turns;
}

const NOUN = { logs: "log_records", metrics: "metric_points", traces: "spans" } as const;
const PROBE_MS = 10_000;
const POISON_AFTER = 10;
/** Longest pause that a destination can ask for. */
const RETRY_AFTER_MAX_MS = 5 * 60_000;
/** Longest calls of a writer (ms), and the requests in flight from which on a destination counts as slow. */
const QUICK_MS = 12;
const SLOW_MS = 40;
const BUSY_LANES = 4;
const SAME_LINE_EVERY_MS = 10_000;

/** What the lanes of one route share. */
export class DeliveryRoute<S extends Signal> {
  readonly options: ExportLoopOptions<S>;
  readonly stop: AbortSignal;
  /** Aborts when posts in flight must end. */
  readonly deadline: AbortSignal;
  readonly name: string;
  readonly lanes: Lanes;
  readonly slabs: Slabs;
  readonly next: NextRequest;
  readonly gate: PauseGate;
  readonly outage: Outage;
  readonly bodyLimit: BodyLimit;
  readonly fit: RangeFit;
  readonly span: FlightSpan;
  readonly #quick: WritePace;
  readonly #slow: WritePace;
  readonly poisonAfter: number;
  readonly counters: RouteCounters;
  readonly #seldom: Seldom;
  /** Requests that the destination took, of any range: how a range notices that only it fails. */
  successes = 0;
  rangesInFlight = 0;
  requestsInFlight = 0;

  constructor(options: ExportLoopOptions<S>, stop: AbortSignal, deadline: AbortSignal) {
    this.options = options;
    this.stop = stop;
    this.deadline = deadline;
    this.name = options.reader.name;
    const { bytes, spanMs } = options.backend.limits;
    this.span = new FlightSpan(spanMs);
    const lanes = Math.max(1, Math.min(options.lanes, options.backend.limits.lanes));
    this.fit = new RangeFit(Math.min(bytes, options.batch?.maxBytes ?? bytes), lanes === 1);
    this.lanes = new Lanes(lanes, this.fit);
    this.slabs = new Slabs(bytes, 2 * lanes);
    this.next = new NextRequest(this.slabs, lanes === 1);
    this.bodyLimit = new BodyLimit(bytes);
    this.gate = new PauseGate(options.probeMs ?? PROBE_MS, options.nowMs);
    const { initial_interval: initialMs, max_interval: maxMs } = options.retry;
    this.outage = new Outage(initialMs, maxMs, () => this.lanes.wake());
    const { items } = options.backend.limits;
    const most = Math.max(1, Math.min(items, options.batch?.maxItems ?? items));
    this.#quick = new WritePace(most, QUICK_MS);
    this.#slow = new WritePace(most, SLOW_MS);
    this.poisonAfter = options.poisonAfter ?? POISON_AFTER;
    this.#seldom = new Seldom(SAME_LINE_EVERY_MS, options.nowMs);
    this.counters = registerRoute(this);
  }

  /** Bytes of the next request at most. */
  get requestBytes(): number {
    return Math.min(this.bodyLimit.bytes, this.options.batch?.maxBytes ?? Number.MAX_SAFE_INTEGER);
  }

  /** What a request that is written now depends on. */
  get terms(): Terms {
    return { mostBytes: this.requestBytes, lessons: this.options.backend.lessons ?? 0 };
  }

  /**
   * Items in one request at most. A slow destination, which keeps several lanes waiting, gets requests as large as they may be; to a quick
   * one a backlog goes in smaller pieces, between which the live data of other routes finds its way.
   */
  get pace(): WritePace {
    return this.requestsInFlight < BUSY_LANES ? this.#quick : this.#slow;
  }

  backoff(): Backoff {
    const { retry, random } = this.options;
    return new Backoff(
      {
        initialMs: retry.initial_interval,
        maxMs: retry.max_interval,
        multiplier: retry.multiplier,
        randomization: retry.randomization_factor,
      },
      random,
    );
  }

  /** The destination refuses us, whatever we send. */
  pause(why: string): void {
    this.next.drop();
    if (!this.gate.pause()) return;
    this.options.reader.rest?.(true);
    this.options.onPaused?.(why);
    this.options.log.error(
      { route: this.name, why },
      "the destination refuses every request, so everything stays queued: correct what it complains about; sending resumes by itself",
    );
  }

  /**
   * The destination is not there, or did not take a request. Returns the pause that it asks for, in milliseconds: all lanes keep it,
   * unless the request is suspect and the answer may be about its items alone.
   */
  failed({ afterMs = 0 }: Verdict & { is: "retry" }, isSuspect: boolean): number {
    this.gate.undecided();
    this.outage.failed();
    this.next.drop();
    if (this.outage.isOn) this.options.reader.rest?.(true);
    const askedMs = Math.min(Math.max(afterMs, 0), RETRY_AFTER_MAX_MS);
    if (askedMs > 0 && !isSuspect) this.outage.hold(askedMs);
    return askedMs;
  }

  /** Whether to read more: while nothing is taken, or faster read than written, what there is stays on the disk. */
  mayRead(): boolean {
    if (this.lanes.isBehind) return false;
    const { lanes, gate, outage } = this;
    return lanes.taken === 0 || (!gate.paused && !outage.isHeld && outage.admits());
  }

  /** The destination took or judged a request. */
  resume(): void {
    if (this.outage.isOn || this.gate.paused) this.options.reader.rest?.(false);
    this.outage.answered();
    if (!this.gate.resume()) return;
    this.lanes.wake();
    this.options.onPaused?.(undefined);
    this.options.log.info({ route: this.name }, "the destination accepts requests again");
  }

  /** At most one line per 10 s and key; `count` says how often it happened since the line before. */
  log(
    level: "warn" | "error",
    key: string,
    count: number,
    fields: () => Readonly<Record<string, unknown>>,
    text: string,
  ): void {
    const held = this.#seldom.count(key, count);
    if (held === undefined) return;
    this.options.log[level]({ route: this.name, count: held, ...fields() }, text);
  }
}

interface RouteCounters {
  readonly sent: Counter;
  readonly failed: Counter;
  readonly resent: Counter;
  readonly rows: Counter;
}

function registerRoute<S extends Signal>(route: DeliveryRoute<S>): RouteCounters {
  const { meter, reader } = route.options;
  const noun = NOUN[reader.signal];
  const exporter = route.name.slice(0, Math.max(0, route.name.lastIndexOf("/"))) || route.name;
  const own = { exporter };
  const labels = { exporter, signal: reader.signal };
  meter.observe(
    "otelcol_exporter_in_flight_requests",
    "Requests that wait for the destination's answer.",
    { exporter, data_type: reader.signal },
    "gauge",
    () => route.requestsInFlight,
  );
  meter.observe(
    "weir_exporter_in_flight_ranges",
    "Ranges of the queue that are being delivered.",
    labels,
    "gauge",
    () => route.rangesInFlight,
  );
  meter.observe(
    "weir_exporter_paused",
    "1 while the destination refuses our credentials and everything is kept.",
    labels,
    "gauge",
    () => (route.gate.paused ? 1 : 0),
  );
  return {
    sent: meter.counter(`otelcol_exporter_sent_${noun}`, "Items that the destination took.", own),
    failed: meter.counter(
      `otelcol_exporter_send_failed_${noun}`,
      "Items that were given up or dead-lettered.",
      own,
    ),
    resent: meter.counter(
      "weir_exporter_resent_items_total",
      "Items of requests after the first attempt.",
      labels,
    ),
    rows: meter.counter("weir_exporter_rows_total", "Rows of requests that were taken.", labels),
  };
}
