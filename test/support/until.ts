import { setTimeout as sleep } from "node:timers/promises";

/** What a machine that does ten other things needs at most; who waits for a state, never for a time, can afford to be patient. */
export const PATIENCE_MS = 60_000;

/** Waits until `condition` holds; rejects, naming it, after `limitMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  limitMs = PATIENCE_MS,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await sleep(2);
  }
}
