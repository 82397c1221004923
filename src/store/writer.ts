import type { Precision } from "../line/time.ts";
import type { Catalog } from "./catalog.ts";
import type { Duck } from "./duck.ts";
import { type LineError, LineRows } from "./line-rows.ts";
import type { MemoryTurns } from "./memory-turns.ts";
import type { ItemRange, StoredRanges } from "./ranges.ts";
import { RowSink } from "./row-sink.ts";
import { partialAnswer, STORED, type WriteAnswer, wholeAnswer } from "./write-answer.ts";

export interface WriteRequest {
  readonly database: string;
  readonly bytes: Buffer;
  readonly precision: Precision;
  readonly acceptPartial: boolean;
  readonly range?: ItemRange | undefined;
  /** Time of lines that have none. */
  readonly nowNs: bigint;
}

interface Waiting {
  readonly request: WriteRequest;
  readonly resolve: (answer: WriteAnswer) => void;
  readonly reject: (error: unknown) => void;
}

/** Limits of one transaction: what waits beyond them goes into the next. */
const GROUP_REQUESTS = 64;
const GROUP_BYTES = 16 << 20;

/**
 * The only writer. Requests that arrive while a transaction runs share the next one (group commit); each is answered after the
 * commit, which DuckDB writes and fsyncs. A group that fails is tried again one request at a time, so that a bad one harms only itself.
 */
export class StoreWriter {
  readonly #duck: Duck;
  readonly #catalog: Catalog;
  readonly #ranges: StoredRanges;
  readonly #turns: MemoryTurns;
  readonly #sink: RowSink;
  readonly #queue: Waiting[] = [];
  /** Other work that must not meet a transaction: before the next group. */
  readonly #others: (() => Promise<void>)[] = [];
  #running: Promise<void> | undefined;

  constructor(duck: Duck, catalog: Catalog, ranges: StoredRanges, turns: MemoryTurns) {
    this.#duck = duck;
    this.#catalog = catalog;
    this.#ranges = ranges;
    this.#turns = turns;
    this.#sink = new RowSink(duck);
  }

  /** Resolves when the rows are durable, or with the reason why they were refused; rejects when the file cannot be written. */
  write(request: WriteRequest): Promise<WriteAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<WriteAnswer>();
    this.#queue.push({ request, resolve, reject });
    this.#running ??= this.#run();
    return promise;
  }

  /** Does other work on the file while no transaction runs. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#others.push(() => work().then(resolve, reject));
    this.#running ??= this.#run();
    return promise;
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // The first request of a burst waits one turn for the others.
    await new Promise(setImmediate);
    while (this.#queue.length + this.#others.length > 0) {
      await this.#others.shift()?.();
      if (this.#queue.length === 0) continue;
      const group = this.#takeGroup();
      try {
        const answers = await this.#inTurn(group.map(({ request }) => request));
        for (const [i, waiting] of group.entries()) waiting.resolve(answers[i] as WriteAnswer);
      } catch (error) {
        if (group.length === 1) group[0]?.reject(error);
        else await this.#oneByOne(group);
      }
    }
    this.#running = undefined;
  }

  /** Requests that are all or nothing stand alone: refusing one must not take others with it. */
  #takeGroup(): Waiting[] {
    let bytes = 0;
    let n = 0;
    for (; n < this.#queue.length && n < GROUP_REQUESTS; n++) {
      const { request } = this.#queue[n] as Waiting;
      bytes += request.bytes.length;
      if (n > 0 && (bytes > GROUP_BYTES || !request.acceptPartial)) break;
      if (!request.acceptPartial) {
        n++;
        break;
      }
    }
    return this.#queue.splice(0, n);
  }

  async #oneByOne(group: readonly Waiting[]): Promise<void> {
    for (const { request, resolve, reject } of group) {
      try {
        const [answer] = await this.#inTurn([request]);
        resolve(answer as WriteAnswer);
      } catch (error) {
        reject(error);
      }
    }
  }

  /** A query that fills the memory does not fail a write: it comes after that query. */
  #inTurn(requests: readonly WriteRequest[]): Promise<WriteAnswer[]> {
    return this.#turns.run(async (leave) => {
      const answers = await this.#commit(requests);
      leave();
      return answers;
    });
  }

  async #commit(requests: readonly WriteRequest[]): Promise<WriteAnswer[]> {
    const rows = new LineRows(this.#catalog);
    const answers: WriteAnswer[] = [];
    const ranges: ItemRange[] = [];
    for (const request of requests) {
      if (request.range !== undefined && this.#ranges.has(request.range)) {
        answers.push(STORED);
        continue;
      }
      const errors = rows.add(request.database, request.bytes, request.precision, request.nowNs);
      if (errors.length > 0 && !request.acceptPartial) {
        await this.#catalog.forget(this.#duck.writer);
        return [wholeAnswer(errors[0] as LineError)];
      }
      answers.push(errors.length > 0 ? partialAnswer(errors) : STORED);
      // A range with refused lines is not kept: a resend must hear of them again. Its rows fall together with the stored ones.
      if (request.range !== undefined && errors.length === 0) ranges.push(request.range);
    }
    await this.#catalog.flush(this.#duck.writer);
    if (rows.tables.size > 0 || ranges.length > 0) await this.#transaction(rows, ranges);
    return answers;
  }

  async #transaction(rows: LineRows, ranges: readonly ItemRange[]): Promise<void> {
    const { writer } = this.#duck;
    try {
      await writer.run("BEGIN");
      for (const table of rows.tables.values()) await this.#sink.put(table);
      for (const range of ranges) for (const sql of this.#ranges.add(range)) await writer.run(sql);
      await writer.run("COMMIT");
    } catch (error) {
      await writer.run("ROLLBACK").catch(() => {});
      await this.#sink.reset();
      await this.#ranges.load(writer);
      throw error;
    }
  }
}
