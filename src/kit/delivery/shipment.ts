import type { Tally } from "../../journal/journal.ts";
import type { Backoff } from "../../lib/backoff.ts";
import { sleep } from "../../lib/sleep.ts";
import type { Range } from "../../otlp/range.ts";
import type { Signal } from "../../otlp/tape.ts";
import type { Written } from "../../series/writer.ts";
import { attempt } from "./attempt.ts";
import type { Sending, Verdict } from "./backend.ts";
import type { DeliveryRoute } from "./delivery-route.ts";
import type { Made, Upcoming } from "./next-request.ts";
import { placeOf } from "./range-place.ts";
import { RangeRequests } from "./range-requests.ts";
import { RangeTally } from "./range-tally.ts";

/** What arrived so long ago is of a backlog, and gives way to what is fresh. */
const LATE_MS = 1_000;
/** Failures in a row after which a part of a poisoned range is halved again. */
const POISON_AGAIN = 3;
/** So many with successes of others in between, and the answer is about the items of the part. */
const SUSPECT_AFTER = 3;
const ANSWER_MAX = 1_024;
/** How often one part is sent again because the writer has learned: a destination names one mistake at a time. */
const LESSONS_MAX = 16;
/** More separate pieces than this are not sent by themselves, but as the whole part that they are of. */
const PIECES_MAX = 16;

/** Items [from, to) of the range that still have to go. */
interface Part {
  readonly from: number;
  readonly to: number;
  attempts: number;
  /** Retry verdicts in a row, each with another success of the route since the one before, and `successes` at the last of them. */
  failures: number;
  successesSeen: number;
  readonly poisoned: boolean;
  /** Times it was sent again because the writer had learned. */
  readonly lessons: number;
  readonly backoff: Backoff;
}

/**
 * Delivers one range: writes as much as fits, posts it, acts on the verdict, until every item is delivered, dropped by a rule or
 * dead-lettered. Holds a body during an attempt only; one that is written ahead is its route's.
 */
export class Shipment<S extends Signal> implements Upcoming {
  readonly range: Range<S>;
  readonly #route: DeliveryRoute<S>;
  readonly #requests: RangeRequests<S>;
  #startedMs: number;
  /** Of telemetry. */
  readonly #bytes: number;
  /** A stack: the next part is the last element. */
  readonly #parts: Part[] = [];
  /** One per lane that sends or has sent parts; false = stopped. */
  readonly #inLanes: Promise<boolean>[] = [];
  readonly #tally = new RangeTally();

  constructor(route: DeliveryRoute<S>, range: Range<S>) {
    this.range = range;
    this.#route = route;
    this.#startedMs = route.options.nowMs();
    this.#bytes = range.frames.reduce((sum, { batch }) => sum + batch.length, 0);
    this.#requests = new RangeRequests(route, range, this.#bytes);
    this.#push(0, range.items);
  }

  /** The tally once every item has its end; undefined when stopped before: the range stays queued. Gives back the lane taken for it. */
  async run(): Promise<Tally | undefined> {
    this.#startedMs = this.#route.options.nowMs();
    const tapes = this.range.frames.reduce((sum, { batch }) => sum + batch.tape.byteLength, 0);
    using _held = this.#route.lanes.hold(this.#bytes + tapes);
    this.#sendInLane();
    let isDone = true;
    for (const lane of this.#inLanes) isDone = (await lane) && isDone;
    return isDone ? this.#tally.result() : undefined;
  }

  get hasMore(): boolean {
    return this.#parts.length > 0;
  }

  async writeNext(): Promise<void> {
    const { next } = this.#route;
    await this.#turn();
    const part = this.#parts.at(-1);
    if (part === undefined || !next.isDue) return;
    const { terms } = this.#route;
    const made = this.#requests.write(part.from, part.to);
    if (typeof made !== "string") next.keep(part, made, terms);
  }

  async #sendParts(): Promise<boolean> {
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop())
      if (!(await this.#send(part))) return false;
    return true;
  }

  /** What did not fit into this request goes out at the same time, while there are free lanes. */
  #sendAlongside(): void {
    const { lanes, span } = this.#route;
    if (this.#parts.length > 0 && !span.isWide(this.range) && lanes.tryTake()) this.#sendInLane();
  }

  /** A lane with nothing left to send is given back, whatever the other lanes of the range still do. */
  #sendInLane(): void {
    const sending = this.#sendParts().finally(() => this.#route.lanes.give());
    sending.catch(() => {}); // run() throws it
    this.#inLanes.push(sending);
  }

  #push(from: number, to: number, after?: Part): void {
    if (from >= to) return;
    this.#parts.push({
      from,
      to,
      attempts: after?.attempts ?? 0,
      failures: 0,
      successesSeen: -1,
      poisoned: after?.poisoned ?? false,
      lessons: after?.lessons ?? 0,
      backoff: this.#route.backoff(),
    });
  }

  /** A turn of the event loop to write in. */
  async #turn(): Promise<void> {
    const { lanes, options } = this.#route;
    const [oldest] = this.range.frames;
    const isLate = oldest !== undefined && this.#startedMs - oldest.arrivalMs > LATE_MS;
    await lanes.turn(isLate ? options.lateTurns : undefined);
  }

  async #send(part: Part): Promise<boolean> {
    const { gate, outage, stop, deadline, slabs, next } = this.#route;
    if (!next.isOf(part)) await this.#turn();
    await gate.pass(stop);
    await outage.quiet(stop);
    if (deadline.aborted || (stop.aborted && (gate.paused || outage.isHeld))) return false;
    const made = next.take(part, this.#route.terms) ?? this.#requests.write(part.from, part.to);
    if (typeof made === "string") return await this.#narrow(part, "writer_failed", made);
    const { slab, written } = made;
    if (written.to === part.from) {
      slabs.give(slab);
      this.#push(part.from + 1, part.to);
      return await this.#deadLetter(part.from, "does_not_fit", "the item alone is over the limit");
    }
    this.#push(written.to, part.to);
    this.#sendAlongside();
    const whole = written.to === part.to ? part : { ...part, to: written.to };
    if (written.rows === 0) {
      slabs.give(slab);
      this.#count(whole, written, false);
      return true;
    }
    return await this.#judge(whole, written, await this.#post(whole, made));
  }

  async #post(part: Part, { slab, body, written }: Made): Promise<Verdict> {
    const route = this.#route;
    const { backend, timeoutMs } = route.options;
    part.attempts += 1;
    if (part.attempts > 1) route.counters.resent.add(part.to - part.from);
    route.requestsInFlight += 1;
    const sending = this.#sending(part, written.rows);
    const begun = performance.now();
    const attempting = attempt(backend, body, sending, timeoutMs, route.deadline);
    const out = route.next.sendOf(this);
    const done = await attempting;
    out[Symbol.dispose]();
    route.requestsInFlight -= 1;
    if (done.released) route.slabs.give(slab);
    else if (slab !== undefined) route.slabs.abandon();
    const { is } = done.verdict;
    if (is !== "retry") route.fit.answered(performance.now() - begun);
    if (is === "sent" || is === "rows_rejected") route.bodyLimit.taken();
    if (is === "split" && part.to - part.from > 1) route.bodyLimit.tooLarge(body.length);
    return done.verdict;
  }

  #sending(part: Part, rows: number): Sending {
    const { options, name } = this.#route;
    return {
      journal: options.journalId,
      route: name,
      from: placeOf(this.range, part.from),
      to: placeOf(this.range, part.to - 1),
      rows,
      attempt: part.attempts,
    };
  }

  async #judge(part: Part, written: Written, verdict: Verdict): Promise<boolean> {
    const route = this.#route;
    if (verdict.is === "retry") return await this.#retry(part, verdict);
    if (verdict.is === "pause") {
      route.pause(verdict.why);
      this.#parts.push(part);
      return !route.stop.aborted;
    }
    route.resume();
    if (verdict.is === "sent") {
      route.successes += 1;
      route.counters.rows.add(written.rows);
      this.#count(part, written, verdict.unconfirmed, verdict.dropped);
      return true;
    }
    if (verdict.is === "split") return await this.#narrow(part, "too_large", verdict.why);
    if (verdict.is === "rejected") {
      if (verdict.again && this.#repeat(part)) return true;
      return await this.#narrow(part, "rejected", verdict.why);
    }
    return await this.#rowsRejected(part, written, verdict);
  }

  /** Half by half down to the one item that the destination refuses. */
  async #narrow(part: Part, reason: string, why: string): Promise<boolean> {
    if (part.to - part.from === 1) return await this.#deadLetter(part.from, reason, why);
    const middle = (part.from + part.to) >>> 1;
    this.#push(middle, part.to, part);
    this.#push(part.from, middle, part);
    return true;
  }

  async #rowsRejected(
    part: Part,
    written: Written,
    verdict: Verdict & { is: "rows_rejected" },
  ): Promise<boolean> {
    const route = this.#route;
    const { rows, why, reasons } = verdict;
    if (rows.length === 0 || rows.some((row) => !(row >= 0 && row < written.rows)))
      return await this.#narrow(part, "rejected", why);
    const { again } = verdict;
    if (again !== undefined && again.size > PIECES_MAX && this.#repeat(part)) return true;
    const repeated = new Set<number>();
    const items = new Map<number, string>();
    for (const [i, item] of this.#itemsOf(part, rows).entries()) {
      if (item < part.from || item >= part.to) return await this.#narrow(part, "rejected", why);
      if (part.lessons < LESSONS_MAX && again?.has(rows[i] ?? -1)) repeated.add(item);
      else if (!items.has(item)) items.set(item, reasons?.[i] ?? why);
    }
    for (const item of repeated) items.delete(item);
    const letters = [...items].map(([item, said]) => this.#deadLetter(item, "row_rejected", said));
    if ((await Promise.all(letters)).includes(false)) return false;
    for (const item of repeated) this.#push(item, item + 1, { ...part, lessons: part.lessons + 1 });
    route.successes += 1;
    route.counters.rows.add(written.rows - rows.length);
    this.#count(part, written, false, undefined, items.size + repeated.size);
    return true;
  }

  /** Sends the part once more, unless it has taught enough. What is stored already is stored again, which changes nothing. */
  #repeat(part: Part): boolean {
    if (part.lessons >= LESSONS_MAX) return false;
    this.#push(part.from, part.to, { ...part, lessons: part.lessons + 1 });
    return true;
  }

  #itemsOf({ from }: Part, rows: readonly number[]): readonly number[] {
    const { writer } = this.#route.options.backend;
    const range = this.range;
    if (writer.itemsOfRows === undefined)
      return rows.map((row) => writer.itemOfRow(range, from, row));
    const ascending = [...new Set(rows)].sort((a, b) => a - b);
    const items = writer.itemsOfRows(range, from, ascending);
    const itemOf = new Map(ascending.map((row, i) => [row, items[i] ?? -1]));
    return rows.map((row) => itemOf.get(row) ?? -1);
  }

  async #retry(part: Part, verdict: Verdict & { is: "retry" }): Promise<boolean> {
    const route = this.#route;
    const { retry, nowMs } = route.options;
    const mayBeItsItems = verdict.throttled !== true;
    // While nothing else succeeds, a failure says nothing of the items.
    if (mayBeItsItems && route.successes !== part.successesSeen) {
      part.failures += 1;
      part.successesSeen = route.successes;
    }
    const leastMs = route.failed(verdict, part.failures >= SUSPECT_AFTER);
    const pauseMs = Math.max(part.backoff.next(), leastMs);
    const items = part.to - part.from;
    const limitMs = retry.max_elapsed_time || Number.POSITIVE_INFINITY;
    const mostMs = this.#startedMs + limitMs - nowMs();
    if (!route.stop.aborted) {
      if (!retry.enabled) return this.#giveUp(part, "retry_disabled", verdict.why);
      if (pauseMs > mostMs) return this.#giveUp(part, "max_elapsed_time", verdict.why);
      if (mayBeItsItems && this.#isPoison(part)) {
        if (items > 1)
          return await this.#narrow({ ...part, poisoned: true }, "poison", verdict.why);
        return await this.#deadLetter(part.from, "poison", verdict.why);
      }
    }
    const { attempts } = part;
    const level = verdict.alarm === true ? "error" : "warn";
    route.log(
      level,
      `retry ${level}`,
      1,
      () => ({ why: verdict.why, attempts, items, pauseMs: Math.round(pauseMs) }),
      "sending failed and will be tried again; nothing is lost",
    );
    this.#parts.push(part);
    await route.outage.pause({ ms: pauseMs, leastMs, mostMs }, route.stop);
    return !route.stop.aborted;
  }

  /** It keeps failing while the destination takes other requests: the reason may be in it. With one lane nothing else is sent. */
  #isPoison(part: Part): boolean {
    const { poisonAfter } = this.#route;
    const enough =
      part.poisoned && part.to - part.from > 1 ? Math.min(POISON_AGAIN, poisonAfter) : poisonAfter;
    return part.failures >= enough;
  }

  #giveUp(part: Part, reason: string, why: string): true {
    const items = part.to - part.from;
    this.#tally.drop(reason, items);
    this.#route.counters.failed.add(items);
    this.#route.log("error", reason, items, () => ({ reason, why }), "items were given up");
    return true;
  }

  /** First durable in the dead letters, then counted; tried until it works or the loop is stopped. */
  async #deadLetter(item: number, reason: string, answer: string): Promise<boolean> {
    const route = this.#route;
    const { deadLetters, journalId, nowMs } = route.options;
    const backoff = route.backoff();
    const [seq, number] = placeOf(this.range, item);
    const origin = { journal: journalId, route: route.name, seq, item: number };
    for (;;) {
      try {
        const { batch, arrivalMs } = this.#pick(item);
        const told = { reason, answer: answer.slice(0, ANSWER_MAX) };
        await deadLetters.add({ ...origin, batch, ...told, atMs: nowMs(), arrivalMs });
        break;
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        const text =
          "a dead letter cannot be written, and its range waits; why says what would help";
        route.log("error", "dead letters", 1, () => ({ why, seq, item: number }), text);
        await sleep(backoff.next(), route.stop);
        if (route.stop.aborted) return false;
      }
    }
    this.#tally.deadLettered += 1;
    route.counters.failed.add(1);
    route.log(
      "error",
      `dead ${reason}`,
      1,
      () => ({ reason, answer: answer.slice(0, ANSWER_MAX), seq, item: number }),
      "items that the destination will never take are dead letters now: see `weir dead-letter list`",
    );
    return true;
  }

  #pick(item: number) {
    const { indexer, pick } = this.#route.options;
    let first = 0;
    for (const { batch, arrivalMs } of this.range.frames) {
      if (item < first + batch.items)
        return { batch: pick(indexer, batch, item - first, item - first + 1), arrivalMs };
      first += batch.items;
    }
    throw new Error(`item ${item} is not in the range`);
  }

  /** Items of a taken request, less those that went elsewhere. */
  #count(
    part: Part,
    written: Written,
    unconfirmed: boolean,
    left?: ReadonlyMap<string, number>,
    elsewhere = 0,
  ): void {
    const items = part.to - part.from - elsewhere;
    this.#route.counters.sent.add(this.#tally.take(items, written, unconfirmed, left));
  }
}
