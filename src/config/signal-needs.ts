import type { Written } from "./components.ts";
import type { PipelineConfig } from "./config.ts";
import type { Problems } from "./problem.ts";
import { placeAt } from "./tree.ts";

/** Reports receivers in use whose options need a signal that no pipeline takes from them. */
export function checkSignalNeeds(
  { receivers }: Written,
  pipelines: Iterable<PipelineConfig>,
  problems: Problems,
): void {
  const taken = new Map<string, Set<string>>();
  for (const { signal, receivers } of pipelines)
    for (const id of receivers) taken.set(id, (taken.get(id) ?? new Set()).add(signal));
  for (const { id, schema, config, node } of receivers.values()) {
    const signals = taken.get(id);
    if (signals === undefined || config === undefined) continue;
    for (const { signal, path, why } of schema?.needs?.(config.options) ?? [])
      if (!signals.has(signal))
        problems.error(
          placeAt(node, path),
          `${why}: add receiver "${id}" to a pipeline of ${signal}`,
        );
  }
}
