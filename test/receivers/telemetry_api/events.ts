export const TRACE_ROOT = "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05";
export const TRACE_ID = "62e900b2710d76f009d6e7785905449a";

/** The time `ms` after the start of the tests' day. */
export function at(ms: number): string {
  return new Date(Date.UTC(2026, 10, 21, 12) + ms).toISOString();
}

/** The events of one invocation, 100 ms after another, beginning at `ms`. */
export function invocation(requestId: string, ms = 0, more: object = {}) {
  const tracing = { type: "X-Amzn-Trace-Id", value: `${TRACE_ROOT};Sampled=1` };
  return [
    {
      time: at(ms),
      type: "platform.start",
      record: { requestId, version: "$LATEST", tracing },
    },
    { time: at(ms + 20), type: "function", record: `hello from ${requestId}\n` },
    {
      time: at(ms + 80),
      type: "platform.runtimeDone",
      record: {
        requestId,
        status: "success",
        metrics: { durationMs: 79.5, producedBytes: 4 },
        spans: [{ name: "responseLatency", start: at(ms + 1), durationMs: 70.25 }],
        tracing,
      },
    },
    {
      time: at(ms + 81),
      type: "platform.report",
      record: {
        requestId,
        status: "success",
        metrics: {
          durationMs: 80.25,
          billedDurationMs: 81,
          memorySizeMB: 128,
          maxMemoryUsedMB: 49,
        },
        tracing,
        ...more,
      },
    },
  ];
}

export const ID = "886789a8-dfdd-4762-97ed-5c2e91debc35";
export const OTHER = "c74621af-c0e9-46ec-bbd3-34069f945a77";
