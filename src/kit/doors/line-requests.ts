import { setImmediate as turn } from "node:timers/promises";
import { SLICED_BYTES } from "../../otlp/indexer.ts";
import { PipelineError } from "../../otlp/status.ts";
import type { Intake, Lease } from "../../pipeline/contracts.ts";
import type { Context } from "../../pipeline/factory.ts";
import type { Counter } from "../../pipeline/telemetry.ts";
import type { DoorResult, LineDoor, OnBadLine } from "../../series/doors/door.ts";
import { NO_ATTRIBUTE, type ResourceAttribute } from "../../series/resource-attribute.ts";
import { outOfMemory } from "../budget.ts";
import type { Exporting } from "./exporting.ts";
import { lostCharactersCounter, replacedTimesCounter } from "./line-counts.ts";
import { RareLog } from "./rare-log.ts";

const LOG_EVERY_MS = 60_000;
/** Bytes of a large body between two looks at the clock. */
const STEP_BYTES = 1 << 18;
const DESKS_KEPT = 2;
/**
 * OTLP bytes, and bytes of lines, above which a request is parted: parts below SLICED_BYTES are indexed at once, and their memory is soon
 * free. Never behind a line of a spread table, whose rows are told apart within one batch.
 */
const PART_BYTES = SLICED_BYTES / 2;

/** The lines of one request, on their way through a door. */
export interface LineSource {
  /** Bytes of the request: large ones go in steps. */
  readonly bytes: number;
  /** What was no line and so never came to the door. */
  readonly bad: number;
  /** Sentence about the first of them; "" when there is none. */
  readonly firstBad: string;
  /** Lines that lost their time before they came to the door. */
  readonly replacedTimes: number;
  /** Characters that names and tags lost before that. */
  readonly lostCharacters: number;
  /** Adds about the next `size` bytes. False when there are no more. */
  fill(door: LineDoor, size: number): boolean;
}

/** What became of the lines of a request. */
export interface LinesTaken {
  /** Good ones. */
  readonly items: number;
  readonly bad: number;
  readonly firstBad: string;
  readonly replacedTimes: number;
}

/** Of the good lines of a request: keep them, refuse them with the bad ones, or forget all of it, as it was only asked about. */
export type LineVerdict = "keep" | "refuse" | "forget";

/** What to do with a request. */
export interface LineOrder {
  readonly onBadLine?: OnBadLine;
  /** For the resources of all that is made of it. */
  readonly carried?: ResourceAttribute;
  /** Asked when all lines are read. Default: keep. */
  readonly decide?: (read: LinesTaken) => LineVerdict;
}

/**
 * Requests of lines over HTTP, from their decoded bodies until they are durable. Others have their turn between the slices of a large one.
 */
export class LineRequests {
  readonly #context: Context;
  readonly #intake: Intake;
  readonly #exporting: Exporting;
  readonly #makeDoor: (onBadLine: OnBadLine) => LineDoor;
  /** Those that no request uses. A door is costly to make, and knows the names of the lines it had. */
  readonly #desks: Desk[] = [];
  /** Ends with the last large request that is read. */
  #turn: Promise<void> = Promise.resolve();
  readonly #bad = new RareLog(LOG_EVERY_MS);
  readonly #replacedTimes: Counter;
  readonly #lostCharacters: Counter;

  constructor(
    context: Context,
    intake: Intake,
    exporting: Exporting,
    makeDoor: (onBadLine: OnBadLine) => LineDoor,
  ) {
    this.#context = context;
    this.#intake = intake;
    this.#exporting = exporting;
    this.#makeDoor = makeDoor;
    this.#replacedTimes = replacedTimesCounter(context, "http");
    this.#lostCharacters = lostCharactersCounter(context, "http");
  }

  /**
   * Resolves when the good lines are durable, or when none is kept; rejects with a PipelineError when the same request may come again,
   * and then nothing of it was kept or counted.
   */
  async take(source: LineSource, lease: Lease, order: LineOrder = {}): Promise<LinesTaken> {
    const parts = await this.#read(source, lease, order);
    const taken = takenOf(source, parts);
    const { items, bad, firstBad } = taken;
    const verdict = order.decide?.(taken) ?? "keep";
    if (items === 0 || verdict !== "keep") {
      if (verdict !== "forget") this.#reject(items + bad, firstBad);
      this.#exporting.count(verdict === "refuse" || bad > 0 ? "invalid" : "accepted");
      return taken;
    }
    const before = { rejected: bad, why: firstBad };
    const { rejected, why } = await this.#exporting.takeParts("logs", parts, lease, before);
    if (taken.replacedTimes > 0) this.#replacedTimes.add(taken.replacedTimes);
    if (source.lostCharacters > 0) this.#lostCharacters.add(source.lostCharacters);
    this.#say(rejected, why);
    return { ...taken, items: items - (rejected - bad), bad: rejected, firstBad: why };
  }

  #reject(lines: number, why: string): void {
    if (lines === 0) return;
    const reason = why || "the request was refused as a whole";
    this.#intake.rejected("logs", lines, reason, "http");
    this.#say(lines, reason);
  }

  /** Large ones come one at a time: several would share the same time, and each would need a door of its own. */
  #read(source: LineSource, lease: Lease, order: LineOrder): Promise<DoorResult[]> {
    if (source.bytes <= PART_BYTES) return this.#readParts(source, lease, order);
    const read = this.#turn.then(() => this.#readParts(source, lease, order));
    this.#turn = read.then(ignore, ignore);
    return read;
  }

  async #readParts(source: LineSource, lease: Lease, order: LineOrder): Promise<DoorResult[]> {
    const desk = this.#desks.pop() ?? new Desk(this.#makeDoor);
    const { door } = desk;
    const parts: DoorResult[] = [];
    desk.onBadLine = order.onBadLine;
    door.carry(order.carried ?? NO_ATTRIBUTE);
    const step = source.bytes > PART_BYTES ? STEP_BYTES : Number.POSITIVE_INFINITY;
    let charged = 0;
    try {
      for (let isMore = true; isMore; ) {
        isMore = source.fill(door, step);
        if (!lease.grow(door.length - charged)) throw new PipelineError(outOfMemory(lease));
        charged = door.length;
        if (isMore && charged > PART_BYTES && !door.hasSpread) {
          parts.push(door.finish());
          charged = 0;
        }
        if (isMore) await turn();
      }
    } finally {
      parts.push(door.finish());
      desk.onBadLine = undefined;
      if (this.#desks.length < DESKS_KEPT) this.#desks.push(desk);
    }
    return parts;
  }

  #say(lines: number, why: string): void {
    if (lines === 0) return;
    this.#bad.say(lines, why, this.#context.nowMs(), (reasons) =>
      this.#context.log.warn(
        { receiver: this.#context.id, transport: "http", lines: reasons },
        "lines were rejected",
      ),
    );
  }
}

function ignore(): void {}

function takenOf(source: LineSource, parts: readonly DoorResult[]): LinesTaken {
  const sum = (count: (part: DoorResult) => number) =>
    parts.reduce((total, part) => total + count(part), 0);
  const first = parts.find(({ firstBad }) => firstBad !== "");
  return {
    items: sum(({ items }) => items),
    bad: source.bad + sum(({ badLines }) => badLines),
    firstBad: source.firstBad || (first?.firstBad ?? ""),
    replacedTimes: source.replacedTimes + sum(({ replacedTimes }) => replacedTimes),
  };
}

/** A door, and who is told of its bad lines at the moment. */
class Desk {
  readonly door: LineDoor;
  onBadLine: OnBadLine | undefined;

  constructor(makeDoor: (onBadLine: OnBadLine) => LineDoor) {
    this.door = makeDoor((line, number) => this.onBadLine?.(line, number));
  }
}

/** The lines of a body as they came. */
export class BodyLines implements LineSource {
  readonly bad = 0;
  readonly firstBad = "";
  readonly replacedTimes = 0;
  readonly lostCharacters = 0;
  readonly bytes: number;
  readonly #begin: (door: LineDoor) => void;
  #hasBegun = false;

  /** `begin` gives the door the body (`LineDoor.begin`). */
  constructor(bytes: number, begin: (door: LineDoor) => void) {
    this.bytes = bytes;
    this.#begin = begin;
  }

  fill(door: LineDoor, size: number): boolean {
    if (!this.#hasBegun) this.#begin(door);
    this.#hasBegun = true;
    return door.appendSome(size);
  }
}
