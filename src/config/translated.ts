import { totalmem } from "node:os";
import { z } from "zod";
import { duration } from "./blocks.ts";
import type { ComponentSchema } from "./config.ts";

const MIB = 1 << 20;
/** Share of the memory limit that requests in flight may take (the same share as without a memory_limiter). */
const BUDGET_SHARE = 0.25;

const batch = z
  .strictObject({
    send_batch_size: z.int().min(0).default(8192).describe("Items that end the wait."),
    timeout: duration("How long a send may wait for more items.", "200ms"),
    send_batch_max_size: z.int().min(0).default(0).describe("Most items per send; 0 = no limit."),
    metadata_keys: z
      .array(z.string())
      .default([])
      .describe("Accepted for compatibility, without effect."),
    metadata_cardinality_limit: z
      .int()
      .min(0)
      .default(1000)
      .describe("Accepted for compatibility, without effect."),
  })
  .refine(({ send_batch_size: size, send_batch_max_size: most }) => most === 0 || most >= size, {
    path: ["send_batch_max_size"],
    error: "must be at least send_batch_size, or 0",
  });
export type BatchOptions = z.output<typeof batch>;

const percent = z.number().min(0).max(100);
const memoryLimiter = z
  .strictObject({
    check_interval: duration("Accepted for compatibility: every request is checked.", "1s"),
    limit_mib: z.int().min(0).default(0).describe("Memory of the process, in MiB."),
    limit_percentage: percent
      .default(0)
      .describe("The same, in percent of the machine's or container's memory."),
    spike_limit_mib: z
      .int()
      .min(0)
      .default(0)
      .describe("Accepted for compatibility, without effect."),
    spike_limit_percentage: percent
      .default(0)
      .describe("Accepted for compatibility, without effect."),
    min_gc_interval_when_soft_limited: duration(
      "Accepted for compatibility, without effect.",
      "10s",
    ),
    min_gc_interval_when_hard_limited: duration(
      "Accepted for compatibility, without effect.",
      "0s",
    ),
    max_gc_interval_when_soft_limited: duration(
      "Accepted for compatibility, without effect.",
      "30s",
    ),
    max_gc_interval_when_hard_limited: duration(
      "Accepted for compatibility, without effect.",
      "30s",
    ),
  })
  .refine(({ limit_mib: mib, limit_percentage: share }) => mib > 0 || share > 0, {
    error: "limit_mib or limit_percentage must be above 0",
  });
export type MemoryLimiterOptions = z.output<typeof memoryLimiter>;

const everySignal = { logs: "stable", metrics: "stable", traces: "stable" } as const;

/** Processors that are accepted in the YAML and become something else: no instance of them ever runs. */
export const translated: ReadonlyMap<string, ComponentSchema> = new Map<string, ComponentSchema>([
  ["batch", { type: "batch", schema: batch, stability: everySignal }],
  ["memory_limiter", { type: "memory_limiter", schema: memoryLimiter, stability: everySignal }],
]);

/** Bytes that requests in flight may hold when the process may use what a memory_limiter says. */
export function budgetBytes({
  limit_mib: mib,
  limit_percentage: share,
}: MemoryLimiterOptions): number {
  const constrained = process.constrainedMemory();
  const whole = constrained > 0 && constrained < totalmem() ? constrained : totalmem();
  const limit = mib > 0 ? mib * MIB : (whole * share) / 100;
  return Math.max(MIB, Math.floor(limit * BUDGET_SHARE));
}
