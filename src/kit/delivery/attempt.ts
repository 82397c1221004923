import type { Backend, Sending, Verdict } from "./backend.ts";

/** How long a post may take to let go after its signal; one that does not keeps its buffer, and the loop goes on without it. */
const LET_GO_MS = 1_000;

export interface Attempted {
  readonly verdict: Verdict;
  /** False when the post never let go of the body: the memory must not be written to again. */
  readonly released: boolean;
}

/** One post with a time limit. Never rejects: a throw, a timeout and the end of the grace are retry verdicts. */
export async function attempt(
  backend: Pick<Backend, "post">,
  body: Uint8Array,
  sending: Sending,
  timeoutMs: number,
  deadline: AbortSignal,
): Promise<Attempted> {
  const abort = new AbortController();
  const stuck = Promise.withResolvers<Attempted>();
  let letGo: NodeJS.Timeout | undefined;
  const end = (why: string) => {
    if (abort.signal.aborted) return;
    abort.abort(new Error(why));
    letGo = setTimeout(
      () => stuck.resolve({ verdict: { is: "retry", why }, released: false }),
      LET_GO_MS,
    );
  };
  const late = `no answer within ${timeoutMs} ms: the destination may or may not have stored the request`;
  const timer = timeoutMs > 0 ? setTimeout(end, timeoutMs, late) : undefined;
  const stopped = () => end("stopped before the destination answered");
  if (deadline.aborted) stopped();
  deadline.addEventListener("abort", stopped);
  try {
    return await Promise.race([posted(backend, body, sending, abort.signal), stuck.promise]);
  } finally {
    clearTimeout(timer);
    clearTimeout(letGo);
    deadline.removeEventListener("abort", stopped);
  }
}

async function posted(
  backend: Pick<Backend, "post">,
  body: Uint8Array,
  sending: Sending,
  stop: AbortSignal,
): Promise<Attempted> {
  try {
    return { verdict: await backend.post(body, sending, stop), released: true };
  } catch (reason) {
    const why = reason instanceof Error ? reason.message : String(reason);
    return { verdict: { is: "retry", why }, released: true };
  }
}
