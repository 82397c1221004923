import { z } from "zod";
import { parseDuration } from "../lib/duration.ts";

/** Vocabulary of the component schemas: the option blocks that the Collector's components share. One name in YAML, docs, code and errors. */

const wantsDuration = (got: unknown) =>
  `expected a duration such as 200ms, 5s or 1h30m, got ${typeof got === "number" || typeof got === "string" ? JSON.stringify(got) : "something else"}`;

const rawDuration = z
  .union([z.string(), z.literal(0)], { error: ({ input }) => wantsDuration(input) })
  .transform((text, context) => {
    const ms = parseDuration(String(text));
    if (ms !== undefined && ms >= 0) return ms;
    context.addIssue({ code: "custom", message: wantsDuration(text) });
    return z.NEVER;
  });

/** A duration option; the parsed value is milliseconds. */
export function duration(what: string, fallback: string) {
  return rawDuration.prefault(fallback).describe(what);
}

/** Longest path of a socket (sun_path, less its end), with "unix:" before it. */
const SOCKET_BYTES = 107 + "unix:".length;

const NO_PORT = "a port is a number up to 65535";

function hasPort(place: string): boolean {
  return place.startsWith("unix:") || Number(/\d+$/.exec(place)?.[0]) <= 65_535;
}

/** `host:port`, with or without a scheme in front; port 0 lets the system choose. */
export function listenEndpoint(what: string, fallback: string) {
  return z
    .string()
    .regex(
      /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]]*):\d{1,5}$/,
      'expected host:port, for example "127.0.0.1:4317"',
    )
    .refine(hasPort, { error: NO_PORT })
    .prefault(fallback)
    .describe(what);
}

/** The same, or a socket in the file system: `unix:///path`, also without `unix://` (as the Collector takes it). It comes out as `unix:/path`. */
export function listenPlace(what: string, fallback: string) {
  return z
    .string()
    .regex(
      /^(?:(?:unix:\/\/)?\/[^\0]+|(?:\[[0-9a-fA-F:.]+\]|[^:[\]/]*):\d{1,5})$/,
      'expected host:port, for example "127.0.0.1:24224", or a socket, for example "unix:///run/weir.sock"',
    )
    .transform((text) => text.replace(/^(?:unix:\/\/)?\//, "unix:/"))
    .refine((text) => !text.startsWith("unix:") || Buffer.byteLength(text) <= SOCKET_BYTES, {
      error: "the path of a socket has at most 107 bytes",
    })
    .refine(hasPort, { error: NO_PORT })
    .prefault(fallback)
    .describe(what);
}

export function url(what: string) {
  return z
    .url({ protocol: /^https?$/, error: 'expected a URL, for example "http://127.0.0.1:8181"' })
    .describe(what);
}

/** A value that never prints. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  /** The text itself: only where it goes on the wire. */
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return "[REDACTED]";
  }
  toJSON(): string {
    return "[REDACTED]";
  }
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[REDACTED]";
  }
}

export function secret(what: string) {
  return z
    .string()
    .nullable()
    .transform((text) => new Secret(text ?? ""))
    .prefault("")
    .describe(what);
}

/** `retry_on_failure`, as in the Collector's configretry; but retries do not end unless max_elapsed_time says so (DESIGN §7). */
export const retryOnFailure = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Whether failed sends are tried again."),
    initial_interval: duration("Pause before the first retry.", "200ms"),
    randomization_factor: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe("Jitter: each pause is multiplied by 1 ± this."),
    multiplier: z
      .number()
      .min(1)
      .default(1.5)
      .describe("Each pause is this many times the one before."),
    max_interval: duration("Longest pause.", "30s"),
    max_elapsed_time: duration("Give up (drop, counted) after this long; 0s = never.", "0s"),
  })
  .prefault({})
  .describe("What happens when the destination answers that it is busy or does not answer.");
export type RetryOnFailure = z.output<typeof retryOnFailure>;

/** As in the Collector: `batch:` with nothing behind it is on, with the defaults. */
const batch = z.strictObject({
  enabled: z.boolean().default(true).describe("false: as if the block were absent."),
  flush_timeout: duration(
    "How long a send may wait for more items: half of it is what an item waits where little comes in. Without the block nothing waits.",
    "200ms",
  ),
  min_size: z.int().min(0).default(8192).describe("Items that end the wait."),
  max_size: z
    .int()
    .min(0)
    .default(0)
    .describe("Most items per send; 0 = as many as fit the exporter's limits."),
  sizer: z
    .enum(["items", "bytes"])
    .optional()
    .describe(
      "Unit of min_size and max_size. Default: the queue's; items where that counts requests.",
    ),
});

/** `sending_queue`, as in the Collector's exporterhelper. `lanes`: the default of num_consumers. */
const sendingQueueOf = (lanes: number) =>
  z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe("false: an item waits in memory only until its request's answer."),
      num_consumers: z
        .int()
        .min(1)
        .default(lanes)
        .describe("Requests in flight at once (lanes). 1 keeps the order."),
      queue_size: z
        .int()
        .min(1)
        .optional()
        .describe("Limit in units of `sizer`. Default: 1 GiB of bytes."),
      sizer: z
        .enum(["requests", "items", "bytes"])
        .default("requests")
        .describe("Unit of queue_size: frames, items or bytes."),
      block_on_overflow: z
        .boolean()
        .default(false)
        .describe(
          "Accepted for compatibility; a full queue always refuses at once, with Retry-After.",
        ),
      wait_for_result: z
        .boolean()
        .default(false)
        .describe("Only without storage: acknowledge after the destination's answer."),
      storage: z
        .string()
        .optional()
        .describe(
          "Id of a file_storage extension: the queue is durable. Without it the queue is in memory.",
        ),
      on_full: z
        .enum(["refuse", "drop_oldest", "skip"])
        .default("refuse")
        .describe(
          "What a full queue does: refuse the request, drop its oldest frames, or skip this exporter (both counted).",
        ),
      batch: batch
        .nullable()
        .optional()
        .transform((given) => {
          const block = given === null ? batch.parse({}) : given;
          if (!block?.enabled) return undefined;
          const { enabled: _, ...settings } = block;
          return settings;
        })
        .optional()
        .describe("Wait a little to send more at once."),
    })
    .superRefine(({ enabled, storage, wait_for_result, on_full }, context) => {
      const issue = (name: string, message: string) =>
        context.addIssue({ code: "custom", path: [name], message });
      if (enabled && wait_for_result && storage !== undefined)
        issue(
          "wait_for_result",
          "works only without storage, as in the Collector: with it, what is on the disk is acknowledged; leave out one of the two",
        );
      if ((!enabled || wait_for_result) && on_full !== "refuse")
        issue(
          "on_full",
          `${on_full} would drop what a sender waits for: leave it out with ${enabled ? "wait_for_result: true" : "enabled: false"}`,
        );
    })
    .prefault({})
    .describe("The queue between the pipelines and this exporter.");
export const sendingQueue = sendingQueueOf(4);
export type SendingQueue = z.output<typeof sendingQueue>;

/** What every exporter's configuration has: the graph reads these, the exporter the rest. */
export interface Delivery {
  readonly sending_queue: SendingQueue;
  readonly retry_on_failure: RetryOnFailure;
  /** Milliseconds. */
  readonly timeout: number;
}

export const delivery = {
  sending_queue: sendingQueue,
  retry_on_failure: retryOnFailure,
  timeout: duration("How long one attempt may take; 0s = no limit.", "5s"),
};

/** The same for a destination that answers late, so that more requests are on their way by default. */
export const deliveryInLanes = (lanes: number) => ({
  ...delivery,
  sending_queue: sendingQueueOf(lanes),
});
