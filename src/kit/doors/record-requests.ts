import { setImmediate as turn } from "node:timers/promises";
import { SLICED_BYTES } from "../../otlp/indexer.ts";
import { PipelineError } from "../../otlp/status.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import { ArrivalTime } from "../../series/records/arrival-time.ts";
import type { GivenAttributes } from "../../series/records/given-attributes.ts";
import { RecordDoor, type RecordRequest } from "../../series/records/record-door.ts";
import { outOfMemory } from "../budget.ts";
import { shortened } from "./bad-lines.ts";
import type { Exporting, Taken } from "./exporting.ts";
import { RareLog } from "./rare-log.ts";
import { ReplacedCounts } from "./replaced-counts.ts";

const LOG_EVERY_MS = 60_000;
/** Bytes of an example in the log. */
const EXAMPLE_MAX = 512;
/** Bytes of a large body between two turns of the event loop. */
const STEP_BYTES = 1 << 18;
/** Longest request that is made of one body: lengths in it have at most 28 bits, and one record may follow. */
export const REQUEST_MAX: number = 128 << 20;

function ignore(): void {}

/** The records of one body, on their way through the door. */
export interface RecordSource {
  /** Bytes of the body: large ones go in steps. */
  readonly bytes: number;
  /** Records that could not be taken so far. */
  readonly bad: number;
  /** Sentence about the first of them; "" when there is none. */
  readonly firstBad: string;
  /** What is wrong with it, where the sentence differs from one to the next of the same kind, as one with a time does: by this they are counted in the log. */
  readonly reason?: string;
  /** Gives the door about the next `size` bytes. False when there are no more. */
  fill(door: RecordDoor, size: number): boolean;
}

/** What became of a body. */
export interface RecordsTaken extends Taken {
  /** Records that are durable. */
  readonly items: number;
}

/**
 * Bodies of records, from the decoded body until it is durable. Small ones share a door; large ones have another, one at a time, and others
 * have their turn between its steps. Bad records cost themselves: they are counted, and said in the log once a minute.
 */
export class RecordRequests {
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #exporting: Exporting;
  readonly #doorOptions: { readonly serviceName?: string; readonly arrival: ArrivalTime };
  readonly #door: RecordDoor;
  /** For large bodies, one at a time. A door is costly to make, and knows the shapes of the records that it had. */
  #largeDoor: RecordDoor;
  /** Ends with the last large body that is read. */
  #turn: Promise<void> = Promise.resolve();
  readonly #bad = new RareLog(LOG_EVERY_MS);
  readonly #replaced: ReplacedCounts;

  constructor(
    context: Context,
    intake: Intake,
    exporting: Exporting,
    named: { readonly serviceName?: string },
  ) {
    this.#context = context;
    this.#intake = intake;
    this.#exporting = exporting;
    // Records without a time differ in the nanosecond: a store that keys rows by tags and time would make one of many, and what mapping 1.7
    // moves apart by content loses its order. Rule 1.6 leaves open which moment of the arrival it is; a time that a sender gave stays.
    this.#doorOptions = { ...named, arrival: new ArrivalTime(true) };
    this.#door = new RecordDoor(this.#doorOptions);
    this.#largeDoor = new RecordDoor(this.#doorOptions);
    this.#replaced = new ReplacedCounts(context, exporting.transport);
  }

  /** Resolves when the good records are durable, or when there are none; rejects with a PipelineError when the same body may come again. */
  async take(source: RecordSource, given: GivenAttributes, lease: Lease): Promise<RecordsTaken> {
    const isSliced = source.bytes > SLICED_BYTES;
    const read = isSliced
      ? await this.#readSlowly(source, given, lease)
      : this.#read(source, given);
    if (!isSliced && !lease.grow(read.length)) throw new PipelineError(outOfMemory(lease));
    const { bad, firstBad, reason = firstBad } = source;
    if (read.items === 0) {
      this.#exporting.count(bad > 0 ? "invalid" : "accepted");
      if (bad > 0) this.#intake.rejected("logs", bad, reason, this.#exporting.transport);
      this.#say(bad, reason, firstBad);
      return { items: 0, rejected: bad, why: firstBad };
    }
    const before = { rejected: bad, why: reason };
    const { rejected, why } = await this.#exporting.take("logs", read, lease, before);
    this.#replaced.add(read);
    this.#say(rejected, why, firstBad);
    return { items: read.items - (rejected - bad), rejected, why: firstBad || why };
  }

  #read(source: RecordSource, given: GivenAttributes): RecordRequest {
    this.#begin(this.#door, given);
    try {
      source.fill(this.#door, Number.POSITIVE_INFINITY);
    } catch (reason) {
      // The body is refused as a whole: what was read of it must not come with the next one.
      this.#door.finish();
      throw reason;
    }
    return this.#door.finish();
  }

  /** One at a time: several would share the same time, and hold their memory for longer. */
  #readSlowly(source: RecordSource, given: GivenAttributes, lease: Lease): Promise<RecordRequest> {
    const read = this.#turn.then(() => this.#readSteps(source, given, lease));
    this.#turn = read.then(ignore, ignore);
    return read;
  }

  async #readSteps(
    source: RecordSource,
    given: GivenAttributes,
    lease: Lease,
  ): Promise<RecordRequest> {
    const door = this.#largeDoor;
    this.#begin(door, given);
    let charged = 0;
    try {
      for (let isMore = true; isMore; ) {
        isMore = source.fill(door, STEP_BYTES);
        if (!lease.grow(door.length - charged)) throw new PipelineError(outOfMemory(lease));
        charged = door.length;
        if (charged > REQUEST_MAX)
          throw new PipelineError({
            kind: "too_large",
            retryAfterMs: 0,
            why: `the records of this body take more than ${REQUEST_MAX} bytes: send smaller batches`,
          });
        if (isMore) await turn();
      }
    } catch (reason) {
      // The body is refused as a whole: what was read of it, which may be much, must not come with the next one.
      this.#largeDoor = new RecordDoor(this.#doorOptions);
      throw reason;
    }
    return door.finish();
  }

  #begin(door: RecordDoor, given: GivenAttributes): void {
    door.arrive(this.#context.nowMs());
    door.given = given;
    door.timeLow = door.timeHigh = 0;
    door.isKnownUtf8 = false;
  }

  /** `example`: the whole sentence about one of them. */
  #say(records: number, reason: string, example: string): void {
    if (records === 0) return;
    const isMore = example !== "" && example !== reason;
    this.#bad.say(records, reason, this.#context.nowMs(), (reasons) =>
      this.#context.log.warn(
        {
          receiver: this.#context.id,
          transport: this.#exporting.transport,
          records: reasons,
          ...(isMore && { example: shortened(example, EXAMPLE_MAX) }),
        },
        "records were rejected",
      ),
    );
  }
}
