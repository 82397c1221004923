import { Exporting, type Outcome } from "../../kit/doors/exporting.ts";
import { RareLog } from "../../kit/doors/rare-log.ts";
import { RecordRequests } from "../../kit/doors/record-requests.ts";
import { isRefusal, PipelineError, type Refusal } from "../../otlp/status.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import { NOTHING_GIVEN } from "../../series/records/given-attributes.ts";
import type { Config } from "./config.ts";
import { MessageRecords, type Tags } from "./entries.ts";
import type { Message } from "./message.ts";
import { MsgpackMessages } from "./msgpack-message.ts";

const LOG_EVERY_MS = 60_000;

/** What all connections of a receiver share: the way of messages into the pipelines, the counts, and what is said once a minute. */
export class MessageDoor {
  readonly context: Context;
  readonly reader = new MsgpackMessages();
  readonly #intake: Intake;
  readonly #exporting: Exporting;
  readonly #records: RecordRequests;
  readonly #ended = new RareLog(LOG_EVERY_MS);
  readonly #foreign = new RareLog(LOG_EVERY_MS);
  readonly #lost = new RareLog(LOG_EVERY_MS);

  constructor(config: Config, context: Context, intake: Intake) {
    const { service_name: serviceName } = config;
    this.context = context;
    this.#intake = intake;
    this.#exporting = new Exporting(context, intake, "tcp");
    const named = serviceName === undefined ? {} : { serviceName };
    this.#records = new RecordRequests(context, intake, this.#exporting, named);
  }

  admit(bytes: number): Lease | Refusal {
    return this.#exporting.admit("logs", bytes);
  }

  /**
   * Resolves when all records of the messages that can be kept are durable: undefined, or why nothing of them was kept. Rejects where
   * nobody knows.
   */
  async take(messages: readonly Message[], tags: Tags): Promise<Refusal | undefined> {
    const admitted = this.admit(0);
    if (isRefusal(admitted)) return this.refused(admitted);
    using lease = admitted;
    try {
      await this.#records.take(new MessageRecords(messages, tags), NOTHING_GIVEN, lease);
      return undefined;
    } catch (reason) {
      const error = PipelineError.from(reason);
      if (error.kind === "internal") throw error;
      return this.refused(error);
    }
  }

  /** Counts it. */
  refused(refusal: Refusal): Refusal {
    this.#exporting.count(refusal.kind);
    return refusal;
  }

  /** Messages of which nothing is stored, although their sender will not send them again. */
  lost(messages: number, why: string): void {
    const { transport } = this.#exporting;
    this.#intake.rejected("logs", messages, why, transport);
    const { id, nowMs, log } = this.context;
    this.#lost.say(messages, why, nowMs(), (reasons) =>
      log.error({ receiver: id, transport, messages: reasons }, "messages were lost"),
    );
  }

  /** Metrics or traces: the sender is told that they arrived, as it would send them for ever. */
  foreign(tag: string): void {
    this.#exporting.count("unimplemented");
    const { id, nowMs, log } = this.context;
    const why = `tag ${JSON.stringify(tag)}: send metrics and traces with the output opentelemetry to the receiver otlp`;
    this.#foreign.say(1, why, nowMs(), (messages) =>
      log.warn({ receiver: id, messages }, "messages with metrics or traces were not taken"),
    );
  }

  /** A connection was ended by us, or by its sender in the midst of a message ("gone"). */
  ended(outcome: Outcome, why: string): void {
    this.#exporting.count(outcome);
    const { id, nowMs, log } = this.context;
    this.#ended.say(1, why, nowMs(), (connections) =>
      log.warn({ receiver: id, connections }, "connections ended before their time"),
    );
  }

  failed(reason: unknown): void {
    const error = PipelineError.from(reason);
    this.#exporting.count(error.kind);
    this.context.log.error(
      { receiver: this.context.id, error: String(error.stack) },
      "messages failed inside weir",
    );
  }
}
