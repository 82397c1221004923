/** Resolves after `ms`, or at once when `stop` aborts. Never rejects; leaves no timer and no listener behind. */
export function sleep(ms: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => {
    clearTimeout(timer);
    stop.removeEventListener("abort", wake);
    resolve();
  };
  const timer = setTimeout(wake, ms);
  stop.addEventListener("abort", wake);
  return promise;
}
