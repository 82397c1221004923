import type { Seq } from "../otlp/range.ts";
import { SIGNALS, type Signal } from "../otlp/tape.ts";
import {
  type Checkpoint,
  type Delta,
  decodeCheckpoint,
  decodeDeltas,
  decodeMemos,
} from "./checkpoint.ts";
import { RecordType } from "./layout.ts";
import { memoOf } from "./memos.ts";
import { RouteState } from "./route-state.ts";
import { routeNumbers } from "./routes.ts";
import type { JsonRecord, ScannedGroup } from "./scan.ts";
import type { FrameEntry, Segment } from "./segment.ts";
import type { JournalState } from "./state.ts";

/** Builds totals and cursors again, group by group in the order of the journal: the last checkpoint of a route holds, later frames and deltas are added. */
export class Replay {
  readonly #state: JournalState;
  readonly #asOf = new Map<number, Seq>();
  #newest: Seq = 0;
  /** Highest number that anything mentioned. */
  lastSeq: Seq = 0;

  constructor(state: JournalState) {
    this.#state = state;
  }

  group(segment: Segment, group: ScannedGroup): void {
    for (const frame of group.frames) {
      // Copied to another file, and the old one is still there: each frame counts once.
      if (frame.seq <= this.#newest) continue;
      this.#newest = frame.seq;
      segment.add(frame);
      this.count(frame);
    }
    for (const record of group.json) this.#json(record);
  }

  /** Adds a frame to `appended` of its routes, unless a checkpoint did. */
  count(frame: FrameEntry): void {
    this.#saw(frame.seq);
    const signal = SIGNALS[frame.signal] ?? "logs";
    for (const number of routeNumbers(frame.routes)) {
      const route = this.#route(number, signal);
      if (frame.seq > (this.#asOf.get(number) ?? 0)) route.appended += frame.items;
    }
  }

  define(number: number, name: string, signal: Signal, adopt: Seq = 0): RouteState {
    const known = this.#state.routes.get(number);
    if (known?.name === name && known.signal === signal && known.adopt === adopt) return known;
    const route = new RouteState(number, name, signal, adopt);
    this.#state.routes.set(number, route);
    return route;
  }

  #json({ type, bytes }: JsonRecord): void {
    if (type === RecordType.checkpoint) {
      const checkpoint = decodeCheckpoint(bytes);
      if (checkpoint !== undefined) this.#checkpoint(checkpoint);
      return;
    }
    if (type === RecordType.memos) this.#state.memos.put((decodeMemos(bytes) ?? []).map(memoOf));
    else for (const delta of decodeDeltas(bytes) ?? []) this.#delta(delta);
  }

  #checkpoint(checkpoint: Checkpoint): void {
    for (const saved of checkpoint.routes) {
      this.define(saved.number, saved.name, saved.signal, saved.adopt).restore(saved);
      this.#asOf.set(saved.number, saved.asOf);
      this.#saw(Math.max(saved.asOf, saved.upTo));
    }
    for (const [reason, count] of Object.entries(checkpoint.quarantined))
      this.#state.quarantined.set(reason, count);
    if (checkpoint.segments !== undefined) this.#state.memos.restore(checkpoint.memos ?? []);
    for (const [id, offset] of checkpoint.damage ?? []) this.#state.note(id, offset);
  }

  #delta(delta: Delta): void {
    const route = this.#state.routes.get(delta.route);
    if (route === undefined) return;
    if (delta.settle !== undefined) route.progress.settle(delta.settle);
    route.appended += delta.appended;
    const { delivered, unconfirmed, deadLettered } = delta;
    const dropped = new Map(Object.entries(delta.dropped));
    route.addTally({ delivered, unconfirmed, deadLettered, dropped });
  }

  /** A route that only frames name keeps its number and its data. */
  #route(number: number, signal: Signal): RouteState {
    return this.#state.routes.get(number) ?? this.define(number, `unknown-${number}`, signal);
  }

  #saw(seq: Seq): void {
    this.lastSeq = Math.max(this.lastSeq, seq);
  }
}
