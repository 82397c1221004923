import type { Seq } from "../otlp/range.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { Identity } from "./identity.ts";
import { Memos } from "./memos.ts";
import type { RouteState } from "./route-state.ts";
import { Segments } from "./segment.ts";

/** The part of a logger that the journal needs. WARN = unexpected, nothing lost; ERROR = loss, or an operator is needed. */
export interface JournalLog {
  info(fields: Readonly<Record<string, unknown>>, text: string): void;
  warn(fields: Readonly<Record<string, unknown>>, text: string): void;
  error(fields: Readonly<Record<string, unknown>>, text: string): void;
}

/** Places of counted damage that are remembered, so that a restart does not count them again. */
const DAMAGE_MAX = 4_096;

/** Everything the journal knows without reading frames. Recovery builds it, commits and settlements move it. */
export class JournalState {
  /** 32 hexadecimal digits, for ever. */
  readonly id: string;
  readonly routes = new Map<number, RouteState>();
  readonly segments = new Segments();
  readonly memos = new Memos();
  readonly quarantined = new Map<string, number>();
  readonly damage: (readonly [id: number, offset: number])[] = [];
  nextSeq: Seq = 1;
  nextSegment = 1;
  /** The last checkpoint does not say it all. */
  isDamageNew = false;
  /** The identity file does not know all routes. */
  isIdentityStale = true;

  constructor(id: string) {
    this.id = id;
  }

  /** Whether a checkpoint would say something new. */
  get isDirty(): boolean {
    return this.isDamageNew || [...this.routes.values()].some((route) => route.isDirty);
  }

  /** Counts damage once, also across restarts. */
  quarantine(reason: string, segment: number, offset: number): boolean {
    if (!this.note(segment, offset)) return false;
    this.quarantined.set(reason, (this.quarantined.get(reason) ?? 0) + 1);
    return true;
  }

  /** Remembers a place, so that it is not counted (again). False when it was known. */
  note(segment: number, offset: number): boolean {
    if (this.damage.some(([id, at]) => id === segment && at === offset)) return false;
    if (this.damage.length >= DAMAGE_MAX) this.damage.shift();
    this.damage.push([segment, offset]);
    this.isDamageNew = true;
    return true;
  }

  checkpoint(full: boolean): Checkpoint {
    const asOf = this.nextSeq - 1;
    const routes = [...this.routes.values()].filter((route) => full || route.isDirty);
    const saved = routes.map((route) => route.save(asOf));
    const quarantined = Object.fromEntries(this.quarantined);
    const { damage } = this;
    if (!full) return { routes: saved, quarantined, ...(this.isDamageNew ? { damage } : {}) };
    const segments = this.segments.list.map(({ id, length }) => [id, length] as const);
    // Places in removed segments cannot be met again.
    const first = this.segments.list[0]?.id ?? Number.POSITIVE_INFINITY;
    const kept = damage.filter(([id]) => id === 0 || id >= first);
    const memos = this.memos.entries;
    const all = { routes: saved, quarantined, segments, damage: kept };
    return memos.length === 0 ? all : { ...all, memos };
  }

  identity(closed?: readonly [segment: number, length: number]): Identity {
    const routes = [...this.routes.values()].map(({ number, name, signal }) => ({
      ...{ number, name, signal },
    }));
    const { id, nextSeq, nextSegment } = this;
    return { id, routes, nextSeq, nextSegment, ...(closed ? { closed } : {}) };
  }
}
