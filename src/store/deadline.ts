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
}

/** Waits for work on a connection until the deadline; then interrupts it, and gives the process up when that does not help. */
export async function untilDeadline<T>(
  connection: DuckDBConnection,
  work: Promise<T>,
  { limitMs, atMs, graceMs, onStuck }: Deadline,
): Promise<T> {
  let isLate = false;
  let stuck: NodeJS.Timeout | undefined;
  const late = setTimeout(
    () => {
      isLate = true;
      connection.interrupt();
      stuck = setTimeout(onStuck, graceMs);
    },
    Math.max(0, atMs - performance.now()),
  );
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
  }
}
