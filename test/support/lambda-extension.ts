import { spawn } from "node:child_process";
import { join } from "node:path";
import { uncompressSync } from "snappy";
import { decodePush } from "../series/loki/push-proto.ts";
import { FakeLambda } from "./fake-lambda.ts";
import { type HttpSink, httpSink } from "./http-sink.ts";

const ROOT = join(import.meta.dirname, "..", "..");

type Env = Readonly<Record<string, string>>;

/** A command line: the program and its arguments. */
type Command = readonly [string, ...string[]];

const FROM_SOURCES: Command = [process.execPath, "src/main.ts", "lambda-extension"];

/** The extension as a child process, with this environment and no other; `ended`: its exit code and what it printed. */
export function runExtension(env: Env, [program, ...args]: Command = FROM_SOURCES) {
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { PATH: process.env["PATH"] ?? "", WEIR_PORT: "0", ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (text) => {
    said += String(text);
  });
  const ended = new Promise<{ code: number | null; said: string }>((resolve) =>
    child.once("close", (code) => resolve({ code, said })),
  );
  return { child, ended };
}

/** A running extension with a Lambda and a Loki of its own. `before`: what the start needs of that Loki. */
export async function startExtension(options: {
  readonly env?: Env;
  readonly before?: (loki: HttpSink) => Promise<void>;
  readonly command?: Command;
}) {
  const lambda = await FakeLambda.start();
  const loki = await httpSink({ status: 204 });
  await options.before?.(loki);
  const env = {
    AWS_LAMBDA_RUNTIME_API: lambda.address,
    AWS_LAMBDA_FUNCTION_NAME: "resize",
    LOKI_IP: loki.url,
    WEIR_FLUSH_TIMEOUT_MS: "60000", // a busy machine needs more than the usual second
    ...options.env,
  };
  const { child, ended } = runExtension(env, options.command);
  const died = ended.then(({ said }) => Promise.reject(new Error(said)));
  died.catch(() => undefined);
  await Promise.race([lambda.asked(1), died]);
  return {
    lambda,
    loki,
    ended,
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await lambda.close();
      await loki[Symbol.asyncDispose]();
    },
  };
}

/** A stream of a push: its labels, and its entries with their structured metadata. */
interface Stream {
  readonly stream: Env;
  readonly values: readonly (readonly [time: string, line: string, metadata: Env])[];
}

/** All streams that were pushed, by readers that are not ours. */
export function streamsOf({ requests }: HttpSink): Stream[] {
  return requests.flatMap(({ body }) =>
    decodePush(uncompressSync(body) as Buffer).map(({ labels, entries }) => ({
      stream: Object.fromEntries(
        [...labels.matchAll(/(\w+)=("(?:[^"\\]|\\.)*")/g)].map(([, name, value]) => [
          name,
          JSON.parse(value ?? '""'),
        ]),
      ),
      values: entries.map(
        ({ nanos, line, metadata }) => [String(nanos), line, Object.fromEntries(metadata)] as const,
      ),
    })),
  );
}
