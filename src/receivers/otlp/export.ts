import type { Body } from "../../kit/compression.ts";
import { PipelineError, type Refusal } from "../../otlp/status.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";

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

/** What the sender is told of a request that was taken. */
export interface Taken {
  readonly rejected: number;
  readonly why: string;
}

/** The part of an export that gRPC and HTTP share. The same code for the three signals. */
export class Exporting {
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #transport: "http" | "grpc";
  readonly #requests: ReadonlyMap<Outcome, Counter>;

  constructor(context: Context, intake: Intake, transport: "http" | "grpc") {
    this.#context = context;
    this.#intake = intake;
    this.#transport = transport;
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

  admit(signal: Signal, bytes: number): Lease | Refusal {
    return this.#intake.admit(signal, bytes + REQUEST_BYTES, this.#transport);
  }

  /** Indexes and submits. Resolves when the data is durable; rejects with a PipelineError when nothing of it was kept. */
  async take(signal: Signal, { bytes, length }: Body, lease: Lease): Promise<Taken> {
    const indexed = this.#context.indexer.index(signal, bytes, length);
    if ("refused" in indexed) {
      const kind = indexed.refused === "malformed" ? "invalid" : "too_large";
      throw new PipelineError({ kind, retryAfterMs: 0, why: indexed.why });
    }
    const { batch, rejected, why } = indexed;
    if (batch.items > 0) {
      if (!lease.grow(batch.tape.byteLength))
        throw new PipelineError({
          kind: "refused",
          retryAfterMs: 1000,
          why: "the memory for requests in flight is used up: send again after a pause",
        });
      await this.#intake.submit([batch], lease);
    }
    if (rejected > 0) this.#intake.rejected(signal, rejected, why, this.#transport);
    this.count(rejected > 0 ? "partial" : "accepted");
    return { rejected, why };
  }
}
