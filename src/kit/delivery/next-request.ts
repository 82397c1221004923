import type { Slab, Written } from "../../series/writer.ts";
import type { Slabs } from "./slabs.ts";

/** A request as it is posted. */
export interface Made {
  /** As taken from the pool; undefined: the body is a batch's own bytes. */
  readonly slab: Slab | undefined;
  /** What was written. */
  readonly body: Uint8Array;
  readonly written: Written;
}

/** Items of a range, as far as their next request is concerned. */
export interface Upcoming {
  /** Whether there is one beside the one that is out. */
  readonly hasMore: boolean;
  /** Writes it in a later turn of the event loop, unless something else has come first. */
  writeNext(): Promise<void>;
}

/** What else a request depends on. */
export interface Terms {
  /** What the destination takes. */
  readonly mostBytes: number;
  /** Of the backend. */
  readonly lessons: number;
}

/**
 * The request of a route with a single lane that is written while the one before it is out: nothing else would use that time. It is
 * posted when its turn comes and never earlier, and only as it would be written then; else it is written again.
 */
export class NextRequest {
  readonly #slabs: Slabs;
  readonly #isOn: boolean;
  /** With a request out. */
  #range: Upcoming | undefined;
  /** Read already; nothing of it was sent. */
  #after: Upcoming | undefined;
  #part: object | undefined;
  #kept: { readonly made: Made; readonly terms: Terms } | undefined;

  /** With several lanes it is off: one of them writes while another one waits. */
  constructor(slabs: Slabs, isOn: boolean) {
    this.#slabs = slabs;
    this.#isOn = isOn;
  }

  /** Whether there is time to write it: a request is out, and none is kept. */
  get isDue(): boolean {
    return this.#range !== undefined && this.#kept === undefined;
  }

  /** A request of this range is out until the result is disposed of. */
  sendOf(range: Upcoming): Disposable {
    if (this.#isOn) this.#range = range;
    this.#write();
    return {
      [Symbol.dispose]: () => {
        this.#range = undefined;
      },
    };
  }

  /** The range behind the one that is sent; undefined: there is none yet. */
  readAhead(after: Upcoming | undefined): void {
    this.#after = after;
    this.#write();
  }

  /** Whether it is the one of this part, an object of its own for all items that are sent together. */
  isOf(part: object): boolean {
    return this.#part === part;
  }

  keep(part: object, made: Made, terms: Terms): void {
    this.#part = part;
    this.#kept = { made, terms };
  }

  /** The request of this part, if less is not taken by now, and the writer has learned nothing; who takes it gives back its slab. */
  take(part: object, { mostBytes, lessons }: Terms): Made | undefined {
    const kept = this.#kept;
    if (kept === undefined || this.#part !== part) return undefined;
    const isGood = kept.terms.mostBytes <= mostBytes && kept.terms.lessons === lessons;
    if (isGood) this.#kept = undefined;
    this.drop();
    return isGood ? kept.made : undefined;
  }

  /** It will be written when its turn comes: until then it would only take memory, and grow old. */
  drop(): void {
    this.#slabs.give(this.#kept?.made.slab);
    this.#kept = undefined;
    this.#part = undefined;
  }

  #write(): void {
    if (!this.isDue) return;
    const upcoming = this.#range?.hasMore === true ? this.#range : this.#after;
    upcoming?.writeNext().catch(() => {}); // what fails here fails again when its turn comes, and is said then
  }
}
