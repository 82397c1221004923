import { hash } from "node:crypto";
import { outOfMemory } from "../../kit/budget.ts";
import { Exporting } from "../../kit/doors/exporting.ts";
import { RareLog } from "../../kit/doors/rare-log.ts";
import { ReplacedCounts } from "../../kit/doors/replaced-counts.ts";
import { admitBody } from "../../kit/server/admitted-body.ts";
import type { Body } from "../../kit/server/compression.ts";
import type { HttpAnswer, HttpRequest } from "../../kit/server/http-server.ts";
import { retryPauseSeconds } from "../../kit/server/retry-pause.ts";
import type { Batch } from "../../otlp/batch.ts";
import { isRefusal, PipelineError, type Refusal, STATUS } from "../../otlp/status.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import { BatchMaker, type Made } from "./batch.ts";
import { type Config, STREAMS, type Stream } from "./config.ts";
import { Sandbox } from "./sandbox.ts";

const LOG_EVERY_MS = 60_000;
/** Batches that are remembered, so that one which comes again is taken only once. */
const REMEMBERED_BATCHES = 128;
/** Of what is left behind when the receiver stops: some rows and spans. */
const SWEEP_BYTES = 1 << 16;
const TAKEN: HttpAnswer = { status: 200 };

/** Who hears that the runtime is done with an invocation, when all that came before is in the queue. */
export type DoneListener = (requestId: string) => void;

/** One request from its head to its answer, one after the other: what a batch means depends on those before. */
export class Ingest {
  readonly #config: Config;
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #onDone: DoneListener;
  readonly #exporting: Exporting;
  readonly #maker: BatchMaker;
  readonly #signal: Signal;
  readonly #events: ReadonlyMap<Stream, Counter>;
  readonly #repeated: Counter;
  readonly #replaced: ReplacedCounts;
  readonly #bad = new RareLog(LOG_EVERY_MS);
  #sandbox: Sandbox;
  #known: readonly string[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(config: Config, context: Context, intake: Intake, onDone: DoneListener) {
    this.#config = config;
    this.#context = context;
    this.#intake = intake;
    this.#onDone = onDone;
    this.#exporting = new Exporting(context, intake, "http");
    this.#maker = new BatchMaker(config, intake.signals);
    this.#signal = intake.signals.has("logs") ? "logs" : "traces";
    this.#sandbox = new Sandbox(config.function_name);
    this.#replaced = new ReplacedCounts(context, "http");
    const { meter, id } = context;
    this.#events = new Map(
      STREAMS.map((stream) => [
        stream,
        meter.counter("weir_lambda_events_total", "Events of the Telemetry API.", {
          receiver: id,
          stream,
        }),
      ]),
    );
    this.#repeated = meter.counter(
      "weir_lambda_repeated_batches_total",
      "Batches of the Telemetry API that came again after they were taken.",
      { receiver: id },
    );
  }

  deny(why: string): HttpAnswer {
    return this.#refuse({ kind: "unauthorized", retryAfterMs: 0, why });
  }

  async answer(request: HttpRequest): Promise<HttpAnswer> {
    if (request.method !== "POST") {
      this.#exporting.count("invalid");
      return {
        status: 405,
        headers: { Allow: "POST" },
        ...inJson({ error: `send POST, not ${request.method}` }),
      };
    }
    try {
      const { max_request_body_size: limit } = this.#config;
      const admit = (bytes: number) => this.#exporting.admit(this.#signal, bytes);
      const admitted = await admitBody(request, limit, admit);
      using lease = admitted.lease;
      return await this.#inTurn(() => this.#take(admitted.body, lease));
    } catch (reason) {
      return this.#refuse(this.#exporting.failure(reason));
    }
  }

  /** Writes invocations that will not end any more; with `isOver`, all that are open. Resolves also when there is no room: next time, then. */
  async sweep(isOver: boolean): Promise<void> {
    if (this.#sandbox.open().size === 0) return;
    const lease = this.#exporting.admit(this.#signal, SWEEP_BYTES);
    if (isRefusal(lease)) return this.#sweepFailed(lease.why);
    using held = lease;
    try {
      await this.#inTurn(async () => {
        const sandbox = this.#sandbox.fork();
        const made = this.#maker.sweep(sandbox, this.#context.nowMs(), isOver);
        await this.#submit(made, sandbox, held);
      });
    } catch (reason) {
      this.#sweepFailed(PipelineError.from(reason).why);
    }
  }

  #sweepFailed(why: string): void {
    const { log, id } = this.#context;
    const open = this.#sandbox.open().size;
    log.warn(
      { receiver: id, invocations: open, why },
      "invocations without an end are not written yet",
    );
  }

  async #take(body: Body, lease: Lease): Promise<HttpAnswer> {
    const digest = hash("sha1", body.bytes.subarray(0, body.length), "base64");
    if (this.#known.includes(digest)) {
      this.#repeated.add(1);
      this.#exporting.count("accepted");
      return TAKEN;
    }
    const sandbox = this.#sandbox.fork();
    const made = this.#maker.make(body, sandbox, this.#context.nowMs());
    const lost = await this.#submit(made, sandbox, lease);
    this.#known = [...this.#known, digest].slice(-REMEMBERED_BATCHES);
    this.#replaced.add(made);
    for (const [stream, events] of made.events) this.#events.get(stream)?.add(events);
    this.#tellBad(made.bad, made.firstBad);
    const rejected = made.bad + lost;
    this.#exporting.count(rejected === 0 ? "accepted" : "partial");
    for (const requestId of made.done) this.#onDone(requestId);
    if (made.bad === 0) return TAKEN;
    const answer = inJson({ rejected: made.bad, error: made.firstBad });
    return { status: made.events.size === 0 ? 400 : 200, ...answer };
  }

  /** Logs and spans in one group: both are durable, or none is and the sandbox is as it was. Resolves with the items that were lost. */
  async #submit({ logs, traces }: Made, sandbox: Sandbox, lease: Lease): Promise<number> {
    const batches: Batch[] = [];
    const cut: (readonly [Signal, number, string])[] = [];
    for (const [signal, body] of [
      ["logs", logs],
      ["traces", traces],
    ] as const) {
      if (body === undefined) continue;
      if (!lease.grow(body.length)) throw new PipelineError(outOfMemory(lease));
      const indexed = await this.#context.indexer.indexSlowly(
        signal,
        body.bytes,
        body.length,
        lease,
      );
      if ("refused" in indexed)
        throw new PipelineError({ kind: "too_large", retryAfterMs: 0, why: indexed.why });
      if (indexed.batch.items > 0) batches.push(indexed.batch);
      if (indexed.rejected > 0) cut.push([signal, indexed.rejected, indexed.why]);
    }
    if (batches.length > 0) await this.#intake.submit(batches, lease);
    this.#sandbox = sandbox;
    for (const [signal, items, why] of cut) this.#intake.rejected(signal, items, why, "http");
    return cut.reduce((sum, [, items]) => sum + items, 0);
  }

  /** After all that came before, however that ended. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  #tellBad(events: number, why: string): void {
    if (events === 0) return;
    this.#intake.rejected(this.#signal, events, why, "http");
    const { log, id, nowMs } = this.#context;
    this.#bad.say(events, why, nowMs(), (reasons) =>
      log.warn({ receiver: id, events: reasons }, "events of the Telemetry API were rejected"),
    );
  }

  /** Lambda sends again what was not answered with 2xx, until its buffer is full. */
  #refuse({ kind, why, retryAfterMs }: Refusal): HttpAnswer {
    this.#exporting.count(kind);
    const isRetryable = kind === "refused" || kind === "unavailable";
    return {
      status: STATUS[kind].http,
      ...inJson({ error: kind === "internal" ? "internal error" : why }),
      ...(isRetryable && { headers: { "Retry-After": String(retryPauseSeconds(retryAfterMs)) } }),
    };
  }
}

function inJson(value: object): { readonly contentType: string; readonly body: string } {
  return { contentType: "application/json", body: `${JSON.stringify(value)}\n` };
}
