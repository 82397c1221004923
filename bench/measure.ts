/** CPU time of this process (user and system, GC and JIT threads included) per unit, because wall time lies on shared machines. */
export interface Figure {
  /** Nanoseconds of CPU per record: median of the rounds. */
  readonly ns: number;
  readonly best: number;
  readonly worst: number;
}

export interface Rounds {
  readonly warmMs: number;
  readonly rounds: number;
  readonly roundMs: number;
}

export const FULL: Rounds = { warmMs: 1_000, rounds: 9, roundMs: 150 };
export const QUICK: Rounds = { warmMs: 500, rounds: 5, roundMs: 100 };

/** Runs `job`, which returns how many records it did, for the given rounds. */
export function measure(job: () => number, { warmMs, rounds, roundMs }: Rounds): Figure {
  run(job, warmMs);
  const figures = Array.from({ length: rounds }, () => run(job, roundMs)).sort((a, b) => a - b);
  return {
    ns: figures[rounds >> 1] as number,
    best: figures[0] as number,
    worst: figures[rounds - 1] as number,
  };
}

function run(job: () => number, ms: number): number {
  const before = process.cpuUsage();
  const end = performance.now() + ms;
  let records = 0;
  do records += job();
  while (performance.now() < end);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / records;
}

/** Bytes of heap that stay behind per record, after a forced collection. Needs --expose-gc. */
export function heapGrowth(job: () => number, runs: number): number {
  if (globalThis.gc === undefined) throw new Error("run node with --expose-gc");
  for (let i = 0; i < runs; i++) job();
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  let records = 0;
  for (let i = 0; i < runs; i++) records += job();
  globalThis.gc();
  return (process.memoryUsage().heapUsed - before) / records;
}
