import { setImmediate as turn } from "node:timers/promises";
import type { Batch } from "../../otlp/batch.ts";
import { type Indexed, SLICED_BYTES } from "../../otlp/indexer.ts";
import { JsonReader } from "../../otlp/read-json.ts";
import { PipelineError, type Refusal } from "../../otlp/status.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import { outOfMemory } from "../budget.ts";
import type { Body } from "../server/compression.ts";
import { ClientGone } from "../server/http-server-body.ts";

/** Charged to every request beside its bytes: its objects, so that floods of tiny requests are bounded too. */
const REQUEST_BYTES = 2 * 1024;

const OUTCOMES = [
  "accepted",
  "partial",
  "invalid",
  "too_large",
  "refused",
  "unavailable",
  "unauthorized",
  "unimplemented",
  "internal",
  "gone",
] as const;

/** How a request ended; "gone" = the client left before it was complete. */
export type Outcome = (typeof OUTCOMES)[number];

const NOTHING_LOST: Taken = { rejected: 0, why: "" };

/** What the sender is told of a request that was taken. */
export interface Taken {
  readonly rejected: number;
  readonly why: string;
}

/** A request from its admission to the answer: the part that doors over gRPC, HTTP and plain connections share. The same code for the three signals. */
export class Exporting {
  /** The label of what is counted here. */
  readonly transport: "http" | "grpc" | "tcp";
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #requests: ReadonlyMap<Outcome, Counter>;
  readonly #json = new JsonReader();

  constructor(context: Context, intake: Intake, transport: "http" | "grpc" | "tcp") {
    this.#context = context;
    this.#intake = intake;
    this.transport = transport;
    const counter = (outcome: Outcome) =>
      context.meter.counter("weir_receiver_requests_total", "Requests by how they ended.", {
        receiver: context.id,
        transport,
        outcome,
      });
    this.#requests = new Map(OUTCOMES.map((outcome) => [outcome, counter(outcome)]));
  }

  count(outcome: Outcome): void {
    this.#requests.get(outcome)?.add(1);
  }

  /**
   * Why a request over HTTP failed, for its answer; what nobody foresaw is said in the log. Who left before its request was complete is
   * counted and gets none: the reason is thrown again.
   */
  failure(reason: unknown): PipelineError {
    if (reason instanceof ClientGone) {
      this.count("gone");
      throw reason;
    }
    const error = PipelineError.from(reason);
    if (error.kind === "internal")
      this.#context.log.error(
        { receiver: this.#context.id, error: String(error.stack) },
        "a request failed inside weir",
      );
    return error;
  }

  admit(signal: Signal, bytes: number): Lease | Refusal {
    return this.#intake.admit(signal, bytes + REQUEST_BYTES, this.transport);
  }

  /** OTLP/JSON: written as protobuf at the door, then as any other request. */
  async takeJson(signal: Signal, { bytes, length }: Body, lease: Lease): Promise<Taken> {
    const isSliced = length > SLICED_BYTES;
    const read = isSliced
      ? await this.#json.readSlowly(signal, bytes, length, lease)
      : this.#json.read(signal, bytes, length);
    if ("refused" in read) {
      if (read.refused === "exhausted") throw new PipelineError(outOfMemory(lease));
      throw new PipelineError({ kind: "invalid", retryAfterMs: 0, why: read.why });
    }
    if (!isSliced && !lease.grow(read.bytes.length)) throw new PipelineError(outOfMemory(lease));
    return this.take(signal, read, lease, read);
  }

  /** Indexes and submits. Resolves when the data is durable; rejects with a PipelineError when nothing of it was kept. `before`: items that are lost already. */
  take(signal: Signal, body: Body, lease: Lease, before: Taken = NOTHING_LOST): Promise<Taken> {
    return this.takeParts(signal, [body], lease, before);
  }

  /** The same for a request in several parts, which are kept together or not at all. Others have their turn between them. */
  async takeParts(
    signal: Signal,
    parts: readonly Body[],
    lease: Lease,
    before: Taken,
  ): Promise<Taken> {
    const { indexer } = this.#context;
    const batches: Batch[] = [];
    let { rejected, why } = before;
    for (const part of parts) {
      if (batches.length > 0) await turn();
      const indexed =
        part.length > SLICED_BYTES
          ? await indexer.indexSlowly(signal, part.bytes, part.length, lease)
          : indexer.index(signal, part.bytes, part.length);
      const found = charged(indexed, part, lease);
      rejected += found.rejected;
      why ||= found.why;
      if (found.batch.items > 0) batches.push(found.batch);
    }
    if (batches.length > 0) await this.#intake.submit(batches, lease);
    if (rejected > 0) this.#intake.rejected(signal, rejected, why, this.transport);
    this.count(rejected > 0 ? "partial" : "accepted");
    return { rejected, why };
  }
}

/** What was indexed, taken from the lease. Throws when it was refused, or there is no room for it. */
function charged(indexed: Indexed<Signal>, { bytes, length }: Body, lease: Lease) {
  if ("refused" in indexed) {
    if (indexed.refused === "exhausted") throw new PipelineError(outOfMemory(lease));
    const kind = indexed.refused === "malformed" ? "invalid" : "too_large";
    throw new PipelineError({ kind, retryAfterMs: 0, why: indexed.why });
  }
  const { batch } = indexed;
  // A request that had to be put right is in memory twice until its answer.
  const copied = batch.bytes.buffer === bytes.buffer ? 0 : batch.length;
  const isCharged = length > SLICED_BYTES || batch.items === 0;
  if (!isCharged && !lease.grow(batch.tape.byteLength + copied))
    throw new PipelineError(outOfMemory(lease));
  return indexed;
}
