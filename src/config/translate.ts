import type { Written, WrittenComponent } from "./components.ts";
import type { ComponentConfig, PipelineConfig } from "./config.ts";
import type { Problems } from "./problem.ts";
import {
  type BatchOptions,
  budgetBytes,
  type MemoryLimiterOptions,
  translated,
} from "./translated.ts";

export interface Translation {
  readonly pipelines: ReadonlyMap<string, PipelineConfig>;
  readonly processors: ReadonlyMap<string, ComponentConfig>;
  readonly exporters: ReadonlyMap<string, ComponentConfig>;
  readonly budgetBytes: number | undefined;
}

/** Turns `batch` into the queues' `batch` and `memory_limiter` into the byte budget, and says so. */
export function translate(
  pipelines: ReadonlyMap<string, PipelineConfig>,
  written: Written,
  problems: Problems,
): Translation {
  const exporters = configs(written.exporters);
  let budget: number | undefined;
  for (const { id, processors, exporters: fed } of pipelines.values()) {
    for (const name of processors) {
      const processor = written.processors.get(name)?.config;
      if (processor?.type === "batch")
        for (const exporter of fed) giveBatch(processor, exporter, id, exporters, problems);
      if (processor?.type !== "memory_limiter") continue;
      const bytes = budgetBytes(processor.options as MemoryLimiterOptions);
      budget = Math.min(budget ?? bytes, bytes);
      problems.warn(
        processor.where,
        `${name} becomes the byte budget of all requests in flight: ${bytes} bytes, 25 % of its limit. What does not fit is refused before it is read`,
      );
    }
  }
  const stays = (name: string) => !translated.has(written.processors.get(name)?.config?.type ?? "");
  return {
    pipelines: new Map(
      [...pipelines].map(([id, pipeline]) => [
        id,
        { ...pipeline, processors: pipeline.processors.filter(stays) },
      ]),
    ),
    processors: new Map([...configs(written.processors)].filter(([id]) => stays(id))),
    exporters,
    budgetBytes: budget,
  };
}

function giveBatch(
  { id, options, where }: ComponentConfig,
  exporterId: string,
  pipeline: string,
  exporters: Map<string, ComponentConfig>,
  problems: Problems,
): void {
  const exporter = exporters.get(exporterId);
  const whole = exporter?.options as { readonly sending_queue?: object } | undefined;
  const queue = whole?.sending_queue as { readonly batch?: unknown } | undefined;
  if (exporter === undefined || queue === undefined) return;
  if (queue.batch !== undefined) {
    problems.warn(
      where,
      `${id} in pipeline ${pipeline} changes nothing for ${exporterId}, which has its own sending_queue.batch: take ${id} out`,
    );
    return;
  }
  const { send_batch_size, send_batch_max_size, timeout } = options as BatchOptions;
  const batch = {
    flush_timeout: timeout,
    min_size: send_batch_size,
    max_size: send_batch_max_size,
    sizer: "items",
  } as const;
  exporters.set(exporterId, {
    ...exporter,
    options: { ...whole, sending_queue: { ...queue, batch } },
  });
  problems.warn(
    where,
    `${id} becomes sending_queue.batch of ${exporterId}: flush_timeout ${timeout}ms, min_size ${send_batch_size}, max_size ${send_batch_max_size}`,
  );
}

/** The components whose options are right, by id. */
export function configs(
  written: ReadonlyMap<string, WrittenComponent>,
): Map<string, ComponentConfig> {
  const found = new Map<string, ComponentConfig>();
  for (const [id, { config }] of written) if (config) found.set(id, config);
  return found;
}
