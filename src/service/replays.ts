import { setTimeout as sleep } from "node:timers/promises";
import type { Frame, Journal, KnownRoute, Reader, Tally } from "../journal/journal.ts";
import { hasRoute, routesOf, UNLIMITED, unionRoutes } from "../journal/routes.ts";
import type { KeptLetter, LetterBox } from "../kit/delivery/dead-letters.ts";
import type { Range, Seq, Stored } from "../otlp/range.ts";
import { isRefusal, PipelineError, type Refusal } from "../otlp/status.ts";
import type { Signal } from "../otlp/tape.ts";
import { isOfRoute } from "./letter-filter.ts";

/** The `note` of a frame that is a dead letter's second try, as JSON. */
export interface ReplayNote {
  /** Of the letter. */
  readonly letter: string;
  readonly place: number;
  /** Where the item was first: `<exporter id>/<signal>`, frame and item. */
  readonly route: string;
  readonly seq: number;
  readonly item: number;
}

/** The `note` of a retained frame that was queued once more, as JSON. */
interface AgainNote {
  /** Its first number. */
  readonly frame: Seq;
}

/** Letters in one group. */
const GROUP_LETTERS = 128;
const GROUP_BYTES = 1 << 20;
/** How long one letter waits for room in a queue that somebody empties. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 50;
const NEVER = new AbortController().signal;
const READ = { bytes: 8 << 20, items: 65_536 };

/** Name of the route that remembers which frames of a signal are replays. No exporter has such a name. */
export function replayRoute(signal: Signal): string {
  return `replays//${signal}`;
}

/** Whether a route of the journal is one of ours and not an exporter's. */
export function isReplayRoute(name: string): boolean {
  return name.startsWith("replays//");
}

/**
 * Puts dead letters into the queue of their route again, each exactly once, whenever the process dies. A replayed frame belongs to its
 * exporter's route and to a route of ours, which is passed only when the letter is gone for good: what waits there after a crash was
 * appended, and its letters only have to be removed.
 */
export class Replays {
  readonly #journal: Journal;
  readonly #letters: LetterBox;
  readonly #markers: ReadonlyMap<Signal, Reader>;
  readonly #readers: ReadonlySet<string>;
  /** Read and not settled: removing its letters has failed. */
  #unfinished: { readonly marker: Reader; readonly range: Range } | undefined;

  private constructor(
    journal: Journal,
    letters: LetterBox,
    markers: ReadonlyMap<Signal, Reader>,
    readers: ReadonlySet<string>,
  ) {
    this.#journal = journal;
    this.#letters = letters;
    this.#markers = markers;
    this.#readers = readers;
  }

  /**
   * After the exporters' routes are named and before anything is appended. Finishes what a crash has interrupted. `readers`: routes that
   * somebody empties.
   */
  static async open(
    journal: Journal,
    letters: LetterBox,
    readers: ReadonlySet<string>,
  ): Promise<Replays> {
    const signals = new Set(journal.routes().map(({ signal }) => signal));
    const markers = new Map(
      [...signals].map((signal) => {
        const marker = journal.route(replayRoute(signal), signal, "end", UNLIMITED);
        return [signal, marker] as const;
      }),
    );
    const replays = new Replays(journal, letters, markers, readers);
    await letters.exclusive(() => replays.#finish());
    return replays;
  }

  /** Items that were ever replayed, by signal. */
  counts(): readonly (readonly [Signal, () => number])[] {
    return [...this.#markers].map(([signal, marker]) => [signal, () => marker.counts().appended]);
  }

  /** Replays every letter that is wanted to the route it came from, or to `to`. Rejects when a queue stays full; `onReplayed` has counted what is done. */
  async letters(
    isWanted: (letter: KeptLetter) => boolean,
    to: string | undefined,
    onReplayed: (items: number) => void,
    stop: AbortSignal,
  ): Promise<void> {
    await this.#letters.exclusive(async () => {
      await this.#finish();
      let group: KeptLetter[] = [];
      let bytes = 0;
      const flush = async () => {
        await this.#append(group, to, onReplayed, stop);
        group = [];
        bytes = 0;
        stop.throwIfAborted();
      };
      for await (const letter of this.#letters.kept()) {
        if (!isWanted(letter)) continue;
        group.push(letter);
        bytes += letter.batch.length;
        if (group.length >= GROUP_LETTERS || bytes >= GROUP_BYTES) await flush();
      }
      if (group.length > 0) await flush();
    });
  }

  /** As many at once as there is room for; waits for room where somebody makes it. */
  async #append(
    group: readonly KeptLetter[],
    to: string | undefined,
    onReplayed: (items: number) => void,
    stop: AbortSignal,
  ): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const frames = group.map((letter) => this.#frame(letter, to));
      const refusal = await this.#put(frames, group);
      if (refusal === undefined) return onReplayed(group.length);
      if (group.length > 1) break;
      const isRead = group.every(({ note, batch }) =>
        this.#readers.has(this.#target(to ?? note.route, batch.signal).name),
      );
      if (!isRead || performance.now() > end) throw new PipelineError(refusal);
      await sleep(PAUSE_MS, undefined, { signal: stop });
    }
    const middle = group.length >>> 1;
    await this.#append(group.slice(0, middle), to, onReplayed, stop);
    await this.#append(group.slice(middle), to, onReplayed, stop);
  }

  /** Queues retained frames for a route once more; a refusal when its queue is full. */
  again(frames: readonly Stored[], to: KnownRoute): Promise<Refusal | undefined> {
    const marker = this.#marker(to.signal);
    const routes = routesOf([to.number, marker.route]);
    return this.#letters.exclusive(() =>
      this.#put(
        frames.map(({ seq, batch, arrivalMs }) => ({
          ...{ batch, arrivalMs, routes },
          note: new TextEncoder().encode(JSON.stringify({ frame: seq } satisfies AgainNote)),
        })),
        [],
      ),
    );
  }

  /** Never at the cost of what is queued, or of these frames, whatever the route's `on_full` says: with too little room, nothing is done. */
  async #put(
    frames: readonly Frame[],
    letters: readonly KeptLetter[],
  ): Promise<Refusal | undefined> {
    const routes = frames.reduce((all, frame) => unionRoutes(all, frame.routes), routesOf([]));
    const bytes = frames.reduce((sum, { batch }) => sum + batch.length, 0);
    const items = frames.reduce((sum, { batch }) => sum + batch.items, 0);
    const tooSmall = this.#journal
      .routes()
      .find(
        ({ number, room }) => hasRoute(routes, number) && !fits(room, bytes, items, frames.length),
      );
    if (tooSmall !== undefined) return noRoom(tooSmall);
    const space = this.#journal.reserve(routes, bytes, items);
    if (isRefusal(space)) return space;
    using _space = space;
    await this.#journal.append(frames);
    await this.#finish(letters);
    return undefined;
  }

  #marker(signal: Signal): Reader {
    const marker = this.#markers.get(signal);
    if (marker === undefined) throw new Error(`no route of this storage carries ${signal}`);
    return marker;
  }

  #frame({ id, place, note, batch }: KeptLetter, to: string | undefined): Frame {
    const { route, seq, item, arrivalMs } = note;
    const target = this.#target(to ?? route, batch.signal);
    const told: ReplayNote = { letter: id, place, route, seq, item };
    return {
      batch,
      arrivalMs,
      routes: routesOf([target.number, this.#marker(batch.signal).route]),
      note: new TextEncoder().encode(JSON.stringify(told)),
    };
  }

  /** The route of this name, or that of the exporter for the signal. */
  #target(name: string, signal: Signal): KnownRoute {
    const routes = this.#journal.routes();
    const named = routes.filter(
      (route) => isOfRoute(route.name, name) && !isReplayRoute(route.name),
    );
    const [other] = named;
    if (other === undefined) throw unknownRoute(name, routes, "--to");
    const fit = named.filter((route) => route.signal === signal);
    const target = fit.find((route) => route.name === name) ?? fit[0];
    if (target === undefined)
      throw new Error(
        `route ${name} carries ${other.signal}; a letter of ${signal} cannot go there`,
      );
    return target;
  }

  /** Removes the letters of all frames that our routes still hold, then lets go of the frames. `atHand`: letters that need not be looked for. */
  async #finish(atHand: readonly KeptLetter[] = []): Promise<void> {
    for (const marker of this.#markers.values()) {
      while (marker.counts().queuedItems > 0) {
        this.#unfinished ??= { marker, range: await marker.read(READ, NEVER) };
        const held = this.#unfinished;
        await this.#letters.remove(await this.#lettersOf(held.range, atHand), "replayed");
        held.marker.settle(held.range, allDelivered(held.range.items));
        this.#unfinished = undefined;
      }
    }
  }

  /** Letters of replayed frames that are still kept. */
  async #lettersOf(range: Range, atHand: readonly KeptLetter[]): Promise<readonly KeptLetter[]> {
    const ids = new Map<number, string>();
    for (const { note } of range.frames) {
      const told = readReplayNote(note);
      if (told !== undefined) ids.set(told.place, told.letter);
    }
    const found = atHand.filter(({ id, place }) => ids.get(place) === id);
    if (found.length === ids.size) return found;
    found.length = 0;
    const places = [...ids.keys()];
    const last = places.reduce((a, b) => Math.max(a, b));
    for await (const letter of this.#letters.kept(places.reduce((a, b) => Math.min(a, b)))) {
      if (letter.place > last) break;
      if (ids.get(letter.place) === letter.id) found.push(letter);
    }
    return found;
  }
}

/** Reads a frame's note; undefined when the frame is no letter's replay. */
export function readReplayNote(note: Uint8Array): ReplayNote | undefined {
  const { letter, place, route, seq, item } = readNote<ReplayNote>(note);
  const numbers = [place, seq, item].every((number) => typeof number === "number");
  if (typeof letter !== "string" || typeof route !== "string" || !numbers) return undefined;
  return { letter, route, place: Number(place), seq: Number(seq), item: Number(item) };
}

/** The first number of a frame that was queued once more; undefined for others. */
export function readAgainNote(note: Uint8Array): Seq | undefined {
  const { frame } = readNote<AgainNote>(note);
  return typeof frame === "number" ? frame : undefined;
}

/** What a note may say; none of it is sure. */
function readNote<T>(note: Uint8Array): { readonly [K in keyof T]?: unknown } {
  try {
    const value: unknown = note.length === 0 ? {} : JSON.parse(new TextDecoder().decode(note));
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

function fits(room: KnownRoute["room"], bytes: number, items: number, frames: number): boolean {
  return bytes <= room.bytes && items <= room.items && frames <= room.frames;
}

function noRoom({ name, queuedItems, queuedBytes }: KnownRoute): Refusal {
  return {
    kind: "refused",
    retryAfterMs: 1_000,
    why: `route ${name}: the queue has too little room (${queuedItems} items, ${queuedBytes} bytes wait); try again when it is shorter`,
  };
}

/** For the operator who named it: which ones there are. */
export function unknownRoute(name: string, routes: readonly KnownRoute[], flag = ""): Error {
  const names = routes.map((route) => route.name).filter((known) => !isReplayRoute(known));
  const advice = flag === "" ? "there are" : `name another with ${flag}:`;
  return new Error(`this storage has no route ${name}; ${advice} ${names.join(", ") || "none"}`);
}

function allDelivered(items: number): Tally {
  return { delivered: items, unconfirmed: 0, deadLettered: 0, dropped: new Map() };
}
