import { fileURLToPath } from "node:url";
import { type Components, createComponents } from "../components.ts";
import type { Loaded } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import type { Logger } from "../pipeline/telemetry.ts";
import { createLogger } from "../service/log.ts";
import { Service } from "../service/service.ts";
import { version } from "./version.ts";

export interface RunOptions {
  /** `--config`, in order. */
  readonly sources: readonly string[];
  /** `--set`, in order. */
  readonly sets: readonly string[];
}

/** Runs the service until SIGINT or SIGTERM. Resolves with the exit code: 0 after a clean stop, 1 when it could not start or a part died. */
export async function runService({ sources, sets }: RunOptions): Promise<number> {
  // The code of a component that is not named stays out of memory.
  const read: { components?: Components } = {};
  const loaded = await loadConfig({
    sources,
    sets,
    env: process.env,
    catalog: async (named) => {
      read.components = await createComponents(named);
      return read.components;
    },
    cwd: process.cwd(),
  });
  if (!loaded.ok) return complain(loaded);
  const log = createLogger(loaded.config.service.telemetry.logs);
  for (const { file, line, column, message } of loaded.warnings)
    log.warn({ where: `${file}:${line}:${column}` }, message);
  return serve(loaded, read.components ?? (await createComponents()), log);
}

function complain({ problems }: Extract<Loaded, { ok: false }>): number {
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  return 1;
}

async function serve(
  { config }: Extract<Loaded, { ok: true }>,
  components: Components,
  log: Logger,
): Promise<number> {
  const end = Promise.withResolvers<number>();
  const onFailure = (error: Error) => {
    log.error({ error: chain(error) }, "a part of the service failed; stopping");
    end.resolve(1);
  };
  const self = [process.execPath, fileURLToPath(import.meta.resolve("../main.ts"))];
  const service = new Service({ config, components, version: version(), log, self, onFailure });
  const stopAsked = (signal: NodeJS.Signals) => {
    log.info({ signal }, "stopping: finishing what is in flight");
    end.resolve(0);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stopAsked);
  process.on("SIGHUP", hangUpTold(log));
  // A reader of the log that is gone ends nothing: each line about it would fail in turn, for ever.
  process.stderr.on("error", () => {});
  process.on("uncaughtException", onFailure);
  process.on("unhandledRejection", (reason) =>
    onFailure(reason instanceof Error ? reason : new Error(String(reason))),
  );
  try {
    await service.start();
  } catch (error) {
    process.stderr.write(`cannot start: ${chain(error)}\n`);
    end.resolve(1);
  }
  const code = await end.promise;
  await service.stop();
  log.info({}, "stopped");
  return code;
}

/** Files that exporters write are flushed by those. */
function hangUpTold(log: Logger): (signal: NodeJS.Signals) => void {
  return (signal) =>
    log.info({ signal }, "the configuration is not read again: restart the service to change it");
}

/** The error and its causes in one line, for a person. */
function chain(error: unknown): string {
  const parts: string[] = [];
  for (
    let at: unknown = error;
    at !== undefined && parts.length < 5;
    at = at instanceof Error ? at.cause : undefined
  )
    parts.push(at instanceof Error ? at.message : String(at));
  return parts.join(": ");
}
