import { nearest } from "../lib/nearest.ts";
import { CONFIG_FLAGS, parseArguments, UsageError } from "./arguments.ts";
import { printHelp } from "./help.ts";
import { endWithReader, goOnWithoutReader, type Output, standardOutput } from "./output.ts";
import { printVersion } from "./version.ts";

type Command = (args: readonly string[], output: Output) => number | Promise<number>;

/** Each command reads its code only when it is asked for: help is quick, and the service carries no store. */
const COMMANDS: Readonly<Record<string, Command>> = {
  help: (_args, { out }) => printHelp(out),
  version: (_args, { out }) => printVersion(out),
  validate: async (args, output) =>
    (await import("./validate.ts")).runValidate(args, await catalog(), output),
  components: async (args, output) =>
    (await import("./components.ts")).runComponents(args, await catalog(), output),
  "dead-letter": async (args, output) =>
    (await import("./dead-letter.ts")).runDeadLetter(args, output),
  journal: async (args, output) => (await import("./journal.ts")).runJournal(args, output),
  where: async (args, output) => (await import("./where.ts")).runWhere(args, output),
  replay: async (args, output) => (await import("./replay.ts")).runReplay(args, output),
  "print-config": printConfig,
  "print-initial-config": printConfig,
  "warm-up": warmUp,
  query: async (args) => (await import("./query.ts")).runQuery(args),
  series: async (args, output) => (await import("./series.ts")).runSeries(args, output),
  "lambda-extension": async (args) =>
    (await import("./lambda-extension.ts")).runLambdaExtension(args),
  store: async (args) => (await import("./store.ts")).runStore(args),
};

/** Runs what the command line says; resolves with the exit code. Mistakes in it are one line on stderr, and 1. */
export async function main(
  args: readonly string[],
  output: Output = standardOutput,
): Promise<number> {
  if (output === standardOutput) endWithReader();
  try {
    return await dispatch(args, output);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    output.err(`weir: ${error.message}\n`);
    return 1;
  }
}

async function dispatch(args: readonly string[], output: Output): Promise<number> {
  const [first, ...rest] = args;
  if (first === undefined) {
    output.err("weir: nothing to do: weir --config otel-config.yaml, or weir --help\n");
    return 1;
  }
  if (first.startsWith("-")) return service(args, output);
  const command = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  if (command === undefined) {
    const near = nearest(first, Object.keys(COMMANDS));
    const hint = near === undefined ? "see weir --help" : `did you mean "${near}"?`;
    throw new UsageError(`unknown command "${first}" (${hint})`);
  }
  // These say themselves how they are used.
  const ownHelp = [
    "store",
    "query",
    "series",
    "dead-letter",
    "journal",
    "where",
    "replay",
    "lambda-extension",
  ].includes(first);
  if (!ownHelp && (rest.includes("--help") || rest.includes("-h"))) return printHelp(output.out);
  return command(rest, output);
}

async function service(args: readonly string[], output: Output): Promise<number> {
  const { out } = output;
  const flags = { ...CONFIG_FLAGS, help: "switch", version: "switch" } as const;
  const plain = args.map((arg) => (arg === "-h" ? "--help" : arg === "-v" ? "--version" : arg));
  const { list, has } = parseArguments(plain, flags);
  if (has("help")) return printHelp(out);
  if (has("version")) return printVersion(out);
  if (output === standardOutput) goOnWithoutReader();
  const { runService } = await import("./run.ts");
  return runService({ sources: list("config"), sets: list("set") });
}

async function printConfig(args: readonly string[], output: Output): Promise<number> {
  return (await import("./print-config.ts")).runPrintConfig(args, await catalog(), output);
}

/** Reads the code of the service and of all components, and nothing else; main.ts uses it to fill the compile cache. Help does not name it. */
async function warmUp(): Promise<number> {
  await import("./run.ts");
  await catalog();
  return 0;
}

async function catalog() {
  return (await import("../components.ts")).createComponents();
}
