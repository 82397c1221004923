import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import type { Settings } from "../lambda/own-config.ts";
import type { TelemetryListener } from "../receivers/telemetry_api/receiver.ts";
import { createLogger } from "../service/log.ts";
import { createAllLambdaComponents } from "./lambda-all-components.ts";
import type { LambdaStart } from "./lambda-start.ts";

/** Reads and checks the configuration as the service does. Throws what is wrong with it. */
export async function wholeStart(
  { sources }: Settings,
  listener: TelemetryListener,
): Promise<LambdaStart> {
  const components = createAllLambdaComponents(listener);
  const { env } = process;
  const loaded = await loadConfig({
    sources,
    sets: [],
    env,
    catalog: components,
    cwd: process.cwd(),
  });
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  const { config, warnings } = loaded;
  const log = createLogger(config.service.telemetry.logs);
  for (const { message } of warnings) log.warn({}, message);
  return { config, components, log };
}
