import { z } from "zod";
import type { DeadLetterNote, KeptLetter } from "../kit/dead-letters.ts";
import { SIGNALS, type Signal } from "../otlp/tape.ts";
import { writeRequestJson } from "../otlp/write-json.ts";
import { letterFilter, wanted } from "./letter-filter.ts";
import type { Replays } from "./replays.ts";
import type { Storage } from "./storage.ts";

/** A dead letter as commands see it. */
export interface LetterLine extends Omit<DeadLetterNote, "arrivalMs"> {
  readonly id: string;
  readonly signal: Signal;
  readonly receivedMs: number;
  /** The item, as an OTLP/JSON request; only in `show`. */
  readonly request?: unknown;
}

/** One line of an answer: something found, a failure, or at the end what was done, in numbers. */
export interface Line {
  readonly letter?: LetterLine;
  readonly error?: string;
  readonly end?: Readonly<Record<string, number>>;
}

type Question = (request: unknown) => AsyncGenerator<Line>;

const listing = letterFilter.extend({ limit: z.int().min(0) });
const replaying = letterFilter.extend({ to: z.string().optional() });

/**
 * What an operator may ask of one storage: the same whether a service runs (through its control socket) or not. Every answer is a
 * number of lines, the last of them with `end`.
 */
export class Desk {
  readonly #storage: Storage;
  readonly #replays: Replays;
  readonly #stopped = new AbortController();
  readonly #questions: Readonly<Record<string, Question>> = {
    "dead-letter/list": (request) => this.#list(listing.parse(request)),
    "dead-letter/show": (request) => this.#show(letterFilter.parse(request)),
    "dead-letter/replay": (request) => this.#replay(replaying.parse(request)),
    "dead-letter/drop": (request) => this.#drop(letterFilter.parse(request)),
  };

  constructor(storage: Storage, replays: Replays) {
    this.#storage = storage;
    this.#replays = replays;
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
