import { expect, test } from "vitest";
import { startStore, temporaryDirectory } from "./harness.ts";

// Two directories at once: most of the time goes into starting.
test.concurrent.each([12345, 67890])(
  "10 times kill -9 while writing: what was answered is there, and resends change nothing (%i)",
  async (seed) => {
    const { path, remove } = temporaryDirectory();
    const ROWS = 50;
    let seq = 0;
    let random = seed;
    const acknowledged = new Set<number>();
    const open = new Map<number, string>();
    for (let round = 0; round < 10; round++) {
      const store = await startStore(path);
      random = (random * 1103515245 + 12345) % 2 ** 31;
      const end = performance.now() + 10 + (random % 60);
      const send = async (n: number, lines: string) => {
        const headers = { "x-weir-range": `j/r/${n}.0-${n}.${ROWS - 1}` };
        const answer = await store.write(lines, { headers });
        if (answer.status !== 204) throw new Error(answer.body);
        acknowledged.add(n);
        open.delete(n);
      };
      const lane = async () => {
        do {
          const n = ++seq;
          // A new column now and then, so that the shape changes while the process dies.
          const lines = Array.from(
            { length: ROWS },
            (_, i) => `kills,lane=${n % 3} v=${n}i,c${n % 7}=${i} ${n * 1000 + i}`,
          ).join("\n");
          open.set(n, lines);
          await send(n, lines);
        } while (performance.now() < end);
      };
      // Requests whose answer was lost, and some whose answer came.
      for (const [n, lines] of open) await send(n, lines);
      const lanes = [lane(), lane(), lane()].map((work) => work.catch(() => {}));
      await new Promise((resolve) => setTimeout(resolve, 10 + (random % 50)));
      await store.kill();
      await Promise.all(lanes);
    }
    const store = await startStore(path);
    for (const [n, lines] of open)
      await store.write(lines, { headers: { "x-weir-range": `j/r/${n}.0-${n}.${ROWS - 1}` } });
    expect(acknowledged.size).toBeGreaterThan(10);
    const [row] = await store.rows(
      "SELECT count(*) AS n, count(DISTINCT v) AS requests FROM kills",
    );
    expect(row).toEqual({ n: seq * ROWS, requests: seq });
    expect(await store.stop()).toBe(0);
    remove();
  },
  300_000,
);
