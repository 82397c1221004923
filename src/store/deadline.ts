import type { DuckDBConnection } from "@duckdb/node-api";
import { QueryError } from "./guard.ts";

export interface Deadline {
  /** For the message: how long the work may take. */
  readonly limitMs: number;
  /** By `performance.now()`. */
  readonly atMs: number;
  /** Time after an interrupt until the process is given up. */
  readonly graceMs: number;
  /** The work ignores its interrupt: nothing but the end of the process stops it. */
  readonly onStuck: () => void;
  /** Aborted when nobody waits for the answer any more. */
  readonly gone: AbortSignal;
}

const INTERRUPT_EVERY_MS = 20;

/** Waits for work on a connection until the deadline, or until nobody wants it; then interrupts it, and gives the process up when that does not help. */
export async function untilDeadline<T>(
  connection: DuckDBConnection,
  work: Promise<T>,
  { limitMs, atMs, graceMs, onStuck, gone }: Deadline,
): Promise<T> {
  let isLate = false;
  let stuck: NodeJS.Timeout | undefined;
  let again: NodeJS.Timeout | undefined;
  const stop = () => {
    connection.interrupt();
    // One that comes between two statements is forgotten when the next one begins.
    again ??= setInterval(() => connection.interrupt(), INTERRUPT_EVERY_MS);
    stuck ??= setTimeout(onStuck, graceMs);
  };
  const late = setTimeout(
    () => {
      isLate = true;
      stop();
    },
    Math.max(0, atMs - performance.now()),
  );
  gone.addEventListener("abort", stop);
  if (gone.aborted) stop();
  try {
    return await work;
  } catch (error) {
    if (!isLate) throw error;
    throw new QueryError(
      `the query was stopped after ${limitMs} ms: ask for a shorter time range or fewer columns`,
    );
  } finally {
    clearTimeout(late);
    clearTimeout(stuck);
    clearInterval(again);
    gone.removeEventListener("abort", stop);
  }
}
