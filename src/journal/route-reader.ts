import type { Range, Stored } from "../otlp/range.ts";
import { PipelineError } from "../otlp/status.ts";
import type { Signal } from "../otlp/tape.ts";
import type { FrameCache } from "./frame-cache.ts";
import type { FrameReader, Wanted } from "./frame-reader.ts";
import type { Reader, ReadLimits, RouteCounts, Tally } from "./journal.ts";
import { type Flight, type RouteState, tallySum } from "./route-state.ts";
import type { JournalState } from "./state.ts";

/** What a reader needs of its journal. */
export interface ReaderHost {
  readonly state: JournalState;
  readonly cache: FrameCache;
  readonly frames: FrameReader;
  /** Aborted when the journal stops. */
  readonly stopped: AbortSignal;
  nowMs(): number;
  /** A checkpoint is due; readers have moved on. */
  moved(): void;
  /** A frame could not be read back: counts and logs it. */
  damaged(reason: string, segment: number, offset: number): void;
}

interface Picked {
  readonly wanted: readonly Wanted[];
  readonly flight: Flight;
}

const NO_TALLY: Tally = { delivered: 0, unconfirmed: 0, deadLettered: 0, dropped: new Map() };

/** A route as its exporter sees it. Several reads may wait at once; each range goes to one of them. */
export class RouteReader<S extends Signal> implements Reader<S> {
  readonly name: string;
  readonly route: number;
  readonly signal: S;
  readonly state: RouteState;
  readonly #host: ReaderHost;

  constructor(state: RouteState, signal: S, host: ReaderHost) {
    this.name = state.name;
    this.route = state.number;
    this.signal = signal;
    this.state = state;
    this.#host = host;
  }

  async read(limits: ReadLimits, stop: AbortSignal): Promise<Range<S>> {
    for (;;) {
      this.#throwIfStopped(stop);
      if (this.#patienceMs(limits) > 0) {
        await this.#wait(limits, stop);
        continue;
      }
      const picked = this.#pick(limits);
      if (picked === undefined) continue;
      const range = await this.#fetch(picked);
      this.#host.moved();
      if (range !== undefined) return range;
    }
  }

  rest(isResting: boolean): void {
    if (this.state.isResting === isResting) return;
    this.state.isResting = isResting;
    this.#host.moved();
  }

  settle(range: Range<S>, tally: Tally): void {
    this.state.land(this.flightOf(range, tally), tally);
    this.state.flights.delete(range);
    this.#host.moved();
  }

  /** The flight that this settlement would end. Throws when the range is not in flight or the tally does not sum to its items. */
  flightOf(range: Range, tally: Tally): Flight {
    const flight = this.state.flights.get(range);
    if (flight === undefined)
      throw new Error(
        `route ${this.name}: frames ${range.first}–${range.last} are not in flight; a range is settled once, as it was read`,
      );
    const sum = tallySum(tally);
    if (sum !== range.items)
      throw new Error(
        `route ${this.name}: the tally of frames ${range.first}–${range.last} sums to ${sum}, the range has ${range.items} items`,
      );
    return flight;
  }

  counts(): RouteCounts {
    return this.state.counts(this.#host.state.segments, this.#host.nowMs());
  }

  #throwIfStopped(stop: AbortSignal): void {
    if (stop.aborted) throw stop.reason;
    if (this.#host.stopped.aborted)
      throw new PipelineError({
        kind: "unavailable",
        retryAfterMs: 0,
        why: `route ${this.name}: the journal has stopped`,
      });
  }

  /** How long to wait before taking what there is: 0 = take it now. */
  #patienceMs(limits: ReadLimits): number {
    const { unread, unreadSince } = this.state;
    if (unread.frames === 0) return Number.POSITIVE_INFINITY;
    const { minItems = 0, minBytes = Number.POSITIVE_INFINITY, waitMs = 0 } = limits;
    if (unread.items >= Math.min(minItems, limits.items)) return 0;
    if (unread.bytes >= Math.min(minBytes, limits.bytes)) return 0;
    return Math.max(0, waitMs - (performance.now() - unreadSince));
  }

  /** Until there is enough, the time since the first frame is over, or somebody stops. */
  #wait(limits: ReadLimits, stop: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const { stopped } = this.#host;
      const { wakers } = this.state;
      let timer: NodeJS.Timeout | undefined;
      const look = () => {
        const patienceMs = this.#patienceMs(limits);
        if (patienceMs === 0) done();
        else if (timer === undefined && Number.isFinite(patienceMs))
          timer = setTimeout(done, Math.ceil(patienceMs));
      };
      const done = () => {
        clearTimeout(timer);
        wakers.delete(look);
        stop.removeEventListener("abort", done);
        stopped.removeEventListener("abort", done);
        resolve();
      };
      wakers.add(look);
      stop.addEventListener("abort", done);
      stopped.addEventListener("abort", done);
      look();
    });
  }

  /** Takes the next frames, synchronously, so that two lanes never take the same. */
  #pick(limits: ReadLimits): Picked | undefined {
    const { state } = this;
    const { progress } = state;
    const { redo } = progress;
    const wanted: Wanted[] = [];
    let items = 0;
    let bytes = 0;
    let isWhole = true;
    this.#host.state.segments.walk(redo?.[0] ?? progress.upTo + 1, (segment, index) => {
      if (redo !== undefined && segment.seq(index) > redo[1]) return false;
      if (!state.belongs(segment, index)) return true;
      const moreItems = items + segment.items(index);
      const moreBytes = bytes + segment.payload(index);
      if (wanted.length > 0 && (moreItems > limits.items || moreBytes > limits.bytes)) {
        isWhole = false;
        return false;
      }
      wanted.push({ segment, index });
      items = moreItems;
      bytes = moreBytes;
      return true;
    });
    const last = wanted.at(-1);
    if (last === undefined) {
      // Nothing of the route is left in what the process before had open.
      if (redo !== undefined) state.skip(redo);
      else state.recount(this.#host.state.segments);
      return undefined;
    }
    const upTo = redo !== undefined && isWhole ? redo[1] : last.segment.seq(last.index);
    return { wanted, flight: state.takeOut(upTo, items, bytes, wanted.length) };
  }

  /** Undefined when not one of the frames could be had; those are settled as dropped. */
  async #fetch({ wanted, flight }: Picked): Promise<Range<S> | undefined> {
    const { cache, frames } = this.#host;
    const found = wanted.map(({ segment, index }) => cache.get(segment.seq(index)));
    const missing = wanted.filter((_, index) => found[index] === undefined);
    const read = missing.length > 0 ? await frames.read<S>(missing) : [];
    const stored: Stored<S>[] = [];
    let items = 0;
    let lost = 0;
    let nextRead = 0;
    for (const [index, { segment, index: at }] of wanted.entries()) {
      const frame = (found[index] as Stored<S> | undefined) ?? read[nextRead++];
      if (frame === undefined || "unreadable" in frame) {
        this.#host.damaged(frame?.unreadable ?? "unreadable", segment.id, segment.offset(at));
        lost += segment.items(at);
        continue;
      }
      lost += segment.items(at) - frame.batch.items;
      items += frame.batch.items;
      stored.push(frame);
    }
    const first = stored[0];
    const last = stored.at(-1);
    if (first === undefined || last === undefined) {
      this.state.land({ ...flight, lost }, NO_TALLY);
      return undefined;
    }
    const range: Range<S> = { first: first.seq, last: last.seq, frames: stored, items };
    this.state.flights.set(range, { ...flight, lost });
    return range;
  }
}
