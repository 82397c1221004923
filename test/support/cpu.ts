/** CPU time of this process in milliseconds while `work` runs: the clock's would grow with what else the machine does. */
export async function cpuMs(work: () => unknown): Promise<number> {
  const begun = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1_000;
}

/** The least of three runs: a collection of garbage, or a core that is shared, costs some of them more. */
export async function leastCpuMs(work: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 3; run++) least = Math.min(least, await cpuMs(work));
  return least;
}
