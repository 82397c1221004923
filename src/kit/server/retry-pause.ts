const MOST_SECONDS = 5;

/** Pause to ask of a refused sender, in whole seconds (the unit of Retry-After): 1–5 at random, so that senders do not return together; longer when the refusal says so. */
export function retryPauseSeconds(retryAfterMs: number): number {
  const jittered = 1 + Math.floor(Math.random() * MOST_SECONDS);
  return Math.max(jittered, Math.ceil(retryAfterMs / 1000));
}
