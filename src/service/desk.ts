import { z } from "zod";
import type { KnownRoute } from "../journal/journal.ts";
import type { DeadLetterNote, KeptLetter } from "../kit/delivery/dead-letters.ts";
import { SIGNALS, type Signal } from "../otlp/tape.ts";
import { writeRequestJson } from "../otlp/write-json.ts";
import { backfill, backfillRoutes, type Progress } from "./backfill.ts";
import { dropRoute } from "./drop-route.ts";
import { letterFilter, wanted } from "./letter-filter.ts";
import { isReplayRoute, type Replays } from "./replays.ts";
import type { Storage } from "./storage.ts";
import { itemsWith, type Sighting, sightings } from "./where.ts";

/** A dead letter as commands see it. */
export interface LetterLine extends Omit<DeadLetterNote, "arrivalMs"> {
  readonly id: string;
  readonly signal: Signal;
  readonly receivedMs: number;
  /** The item, as an OTLP/JSON request; only in `show`. */
  readonly request?: unknown;
}

/** A route of the queue's journal. */
export interface RouteLine extends Omit<KnownRoute, "room"> {
  /** An exporter of the running service takes from it. */
  readonly isRead: boolean;
}

export interface JournalLine {
  readonly id: string;
  readonly bytes: number;
  readonly segments: number;
  readonly frames: number;
  readonly newest: number;
}

/** One line of an answer: something found, a failure, or at the end what was done, in numbers. */
export interface Line {
  readonly letter?: LetterLine;
  readonly route?: RouteLine;
  readonly journal?: JournalLine;
  readonly sighting?: Sighting;
  /** So far: it also shows that somebody still listens. */
  readonly progress?: Progress;
  readonly error?: string;
  readonly end?: Readonly<Record<string, number>>;
}

type Question = (request: unknown) => AsyncGenerator<Line>;

const listing = letterFilter.extend({ limit: z.int().min(0) });
const replaying = letterFilter.extend({ to: z.string().optional() });
const naming = z.strictObject({ route: z.string() });
const finding = z.strictObject({ id: z.string().min(1).max(1_024) });
const again = z.strictObject({
  fromMs: z.number(),
  untilMs: z.number().optional(),
  to: z.string(),
  of: z.string().optional(),
});

/**
 * What an operator may ask of one storage: the same whether a service runs (through its control socket) or not. Every answer is a
 * number of lines, the last of them with `end`.
 */
export class Desk {
  readonly #storage: Storage;
  readonly #replays: Replays;
  readonly #readers: ReadonlySet<string>;
  readonly #stopped = new AbortController();
  readonly #questions: Readonly<Record<string, Question>> = {
    "dead-letter/list": (request) => this.#list(listing.parse(request)),
    "dead-letter/show": (request) => this.#show(letterFilter.parse(request)),
    "dead-letter/replay": (request) => this.#replay(replaying.parse(request)),
    "dead-letter/drop": (request) => this.#drop(letterFilter.parse(request)),
    "journal/list": () => this.#routes(),
    "journal/drop": (request) => this.#dropRoute(naming.parse(request)),
    where: (request) => this.#where(finding.parse(request)),
    replay: (request) => this.#again(again.parse(request)),
  };

  /** `readers`: routes that exporters of the running service read. */
  constructor(storage: Storage, replays: Replays, readers: ReadonlySet<string>) {
    this.#storage = storage;
    this.#replays = replays;
    this.#readers = readers;
  }

  /** Undefined when there is no such question. */
  ask(question: string, request: unknown): AsyncGenerator<Line> | undefined {
    return Object.hasOwn(this.#questions, question)
      ? this.#questions[question]?.(request)
      : undefined;
  }

  /** Ends what takes long, between two groups. */
  stop(): void {
    this.#stopped.abort(new Error("the service is stopping"));
  }

  async *#list({ limit, ...filter }: z.output<typeof listing>): AsyncGenerator<Line> {
    const isWanted = wanted(filter);
    let found = 0;
    for await (const letter of this.#storage.deadLetters.kept())
      if (isWanted(letter) && found++ < limit) yield { letter: described(letter) };
    yield { end: { found, ...this.#totals() } };
  }

  async *#show(filter: z.output<typeof letterFilter>): AsyncGenerator<Line> {
    const isWanted = wanted(filter);
    let found = 0;
    for await (const letter of this.#storage.deadLetters.kept()) {
      if (!isWanted(letter)) continue;
      found++;
      const request: unknown = JSON.parse(writeRequestJson(letter.batch));
      yield { letter: { ...described(letter), request } };
    }
    yield { end: { found, ...this.#totals() } };
  }

  async *#replay({ to, ...filter }: z.output<typeof replaying>): AsyncGenerator<Line> {
    let replayed = 0;
    const count = (items: number) => {
      replayed += items;
    };
    try {
      await this.#replays.letters(wanted(filter), to, count, this.#stopped.signal);
    } catch (error) {
      throw new Error(
        `${replayed} letters were replayed and are gone from here, then: ${messageOf(error)}`,
        { cause: error },
      );
    }
    yield { end: { replayed, ...this.#totals() } };
  }

  async *#drop(filter: z.output<typeof letterFilter>): AsyncGenerator<Line> {
    const { deadLetters } = this.#storage;
    const isWanted = wanted(filter);
    let dropped = 0;
    await deadLetters.exclusive(async () => {
      let group: KeptLetter[] = [];
      const flush = async () => {
        await deadLetters.remove(group, "operator");
        dropped += group.length;
        group = [];
      };
      for await (const letter of deadLetters.kept()) {
        if (isWanted(letter)) group.push(letter);
        if (group.length >= DROP_GROUP) await flush();
      }
      await flush();
    });
    yield { end: { dropped, ...this.#totals() } };
  }

  async *#routes(): AsyncGenerator<Line> {
    const { journal } = this.#storage;
    for (const { room: _, ...known } of journal.routes())
      if (!isReplayRoute(known.name))
        yield { route: { ...known, isRead: this.#readers.has(known.name) } };
    const { bytes, segments, frames, newest } = journal.stats();
    yield { journal: { id: journal.id, bytes, segments, frames, newest } };
    yield { end: this.#totals() };
  }

  async *#dropRoute({ route }: z.output<typeof naming>): AsyncGenerator<Line> {
    if (this.#readers.has(route))
      throw new Error(
        `an exporter of the running service reads route ${route}: remove the exporter from its pipelines first`,
      );
    const { journal, deadLetters } = this.#storage;
    // One at a time, as with letters.
    const dropped = await deadLetters.exclusive(() =>
      dropRoute(journal, route, this.#stopped.signal),
    );
    yield { end: { dropped, ...this.#totals() } };
  }

  async *#where({ id }: z.output<typeof finding>): AsyncGenerator<Line> {
    const letters: KeptLetter[] = [];
    for await (const letter of this.#storage.deadLetters.kept())
      if (itemsWith(letter.batch, id).length > 0) letters.push(letter);
    let frames = 0;
    for await (const sighting of sightings(this.#storage, id, letters)) {
      frames++;
      yield { sighting };
    }
    for (const letter of letters) yield { letter: described(letter) };
    yield { end: { frames, letters: letters.length } };
  }

  async *#again({ fromMs, untilMs, to, of }: z.output<typeof again>): AsyncGenerator<Line> {
    let frames = 0;
    let items = 0;
    for (const pair of backfillRoutes(this.#storage.journal.routes(), to, of)) {
      const until = untilMs ?? Number.POSITIVE_INFINITY;
      const isRead = this.#readers.has(pair.to.name);
      const range = { fromMs, untilMs: until, ...pair };
      let last: Progress = { frames: 0, items: 0 };
      for await (const progress of backfill(this.#storage, this.#replays, range, isRead)) {
        this.#stopped.signal.throwIfAborted();
        last = progress;
        yield { progress };
      }
      frames += last.frames;
      items += last.items;
    }
    yield { end: { frames, items } };
  }

  #totals(): NonNullable<Line["end"]> {
    const { deadLetters } = this.#storage;
    const kept = SIGNALS.reduce((sum, signal) => sum + deadLetters.counts(signal).kept, 0);
    return { kept, bytes: deadLetters.bytes, maxBytes: deadLetters.maxBytes };
  }
}

/** Letters that are dropped in one group. */
const DROP_GROUP = 512;

function described({ id, note, batch }: KeptLetter): LetterLine {
  const { atMs, arrivalMs, ...origin } = note;
  return { id, atMs, receivedMs: arrivalMs, signal: batch.signal, ...origin };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
