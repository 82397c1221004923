import { createBudget } from "../../src/kit/budget.ts";
import type { Batch } from "../../src/otlp/batch.ts";
import { createIndexer } from "../../src/otlp/indexing.ts";
import type { Refusal } from "../../src/otlp/status.ts";
import type { Authenticator } from "../../src/pipeline/auth.ts";
import type { Intake } from "../../src/pipeline/contracts.ts";
import type { Context } from "../../src/pipeline/factory.ts";
import type { LogFields } from "../../src/pipeline/telemetry.ts";
import { decodeRequest } from "./otlp.ts";

/** A log record as tests compare it. */
export interface PlainRecord {
  readonly event: string;
  /** Nanoseconds. */
  readonly time: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** What a receiver of logs sees of the house: a budget, an intake that keeps what it gets, and everything that is counted or said. */
export class ReceiverRig {
  readonly budget = createBudget(256 << 20);
  readonly batches: Batch[] = [];
  readonly rejected: { items: number; why: string }[] = [];
  readonly said: string[] = [];
  readonly counts = new Map<string, number>();
  readonly context: Context;
  /** Scripts: what the next admissions answer, and what happens to a submission. */
  readonly refusals: Refusal[] = [];
  submitting: () => Promise<void> = async () => {};
  authenticator: Authenticator | undefined;

  constructor(id: string) {
    const say = (fields: LogFields, text: string) =>
      void this.said.push(`${text} ${JSON.stringify(fields)}`);
    this.context = {
      id,
      log: { debug: say, info: say, warn: say, error: say },
      meter: {
        counter: (name, _help, labels) => {
          const key = [name, ...Object.values(labels)].join(" ");
          return { add: (n) => void this.counts.set(key, (this.counts.get(key) ?? 0) + n) };
        },
        observe: () => {},
      },
      indexer: createIndexer(),
      nowMs: Date.now,
      fail: (error) => this.said.push(`failed: ${error.message}`),
      authenticator: () => {
        if (this.authenticator === undefined) throw new Error("no such extension");
        return this.authenticator;
      },
    };
  }

  get intake(): Intake {
    return {
      signals: new Set(["logs"]),
      admit: (_signal, bytes) =>
        this.refusals.shift() ??
        this.budget.take(bytes) ?? { kind: "refused", retryAfterMs: 1_000, why: "budget is full" },
      submit: async (batches) => {
        await this.submitting();
        this.batches.push(...batches);
      },
      rejected: (_signal, items, why) => void this.rejected.push({ items, why }),
    };
  }

  /** Requests of this receiver over HTTP that ended so. */
  outcome(outcome: string): number {
    return this.counts.get(`weir_receiver_requests_total ${this.context.id} http ${outcome}`) ?? 0;
  }

  get items(): number {
    return this.batches.reduce((sum, { items }) => sum + items, 0);
  }

  get lost(): number {
    return this.rejected.reduce((sum, { items }) => sum + items, 0);
  }

  /** Everything that was submitted. */
  records(): PlainRecord[] {
    return this.batches.flatMap(({ bytes, length }) => {
      const request = decodeRequest("logs", bytes.subarray(0, length)) as Request;
      return (request.resourceLogs ?? []).flatMap(({ resource, scopeLogs }) =>
        scopeLogs.flatMap(({ logRecords }) =>
          logRecords.map(({ eventName = "", timeUnixNano = "", attributes = [] }) => ({
            event: eventName,
            time: String(timeUnixNano),
            resource: plain(resource?.attributes ?? []),
            attributes: plain(attributes),
          })),
        ),
      );
    });
  }
}

type Pairs = { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
interface Request {
  readonly resourceLogs?: {
    readonly resource?: { readonly attributes: Pairs };
    readonly scopeLogs: {
      readonly logRecords: {
        readonly eventName?: string;
        readonly timeUnixNano?: unknown;
        readonly attributes?: Pairs;
      }[];
    }[];
  }[];
}

function plain(pairs: Pairs): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));
}
