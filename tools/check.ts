/**
 * `npm run check`: everything about the project that is not a test. Each step is one command and counts as one;
 * the last line is the total, for .ci/run. A step that hangs is ended with everything it started, and has failed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { delimiter, join } from "node:path";

interface Step {
  readonly what: string;
  readonly command: readonly [string, ...string[]];
  readonly limitS: number;
  /** Whether what it prints is shown also when all is well. */
  readonly isShown?: boolean;
}

const ROOT = join(import.meta.dirname, "..");
const STEPS: readonly Step[] = [
  { what: "types", command: ["tsc", "--noEmit"], limitS: 120 },
  {
    what: "format and lint",
    command: ["biome", "check", "--error-on-warnings"],
    limitS: 120,
  },
  { what: "dead code and dependencies", command: ["knip"], limitS: 120 },
  { what: "field tags", command: ["node", "tools/gen-tags.ts", "--check"], limitS: 60 },
  { what: "generated documents", command: ["node", "tools/docs.ts", "--check"], limitS: 60 },
  {
    what: "bench gates",
    command: ["npm", "run", "--silent", "bench", "--", "--gate"],
    limitS: 300,
    isShown: true,
  },
];
/** Much more than any step says. */
const OUTPUT_MAX = 1 << 20;

// The packages' commands, and the Node that runs this: also without npm.
const env = {
  ...process.env,
  PATH: [join(ROOT, "node_modules", ".bin"), process.env["PATH"]].join(delimiter),
};
let running: ChildProcess | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => {
    end(running);
    process.exit(1);
  });

let failed = 0;
for (const step of STEPS) {
  const { why, output } = await run(step);
  if (why !== undefined) failed++;
  console.log(why === undefined ? `ok     ${step.what}` : `FAILED ${step.what} (${why})`);
  if (why !== undefined || step.isShown) process.stdout.write(output);
}
console.log(`${STEPS.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Resolves when the step has ended, however: with why it failed, or undefined. */
function run(step: Step): Promise<{ readonly why: string | undefined; readonly output: string }> {
  const [program, ...args] = step.command;
  // A process group of its own: whatever it starts can be ended with it.
  const child = spawn(program, args, {
    cwd: ROOT,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running = child;
  let output = "";
  const take = (text: string) => {
    if (output.length < OUTPUT_MAX) output += text;
  };
  child.stdout.setEncoding("utf8").on("data", take);
  child.stderr.setEncoding("utf8").on("data", take);
  const { promise, resolve } = Promise.withResolvers<{ why: string | undefined; output: string }>();
  const answer = (why: string | undefined) => {
    clearTimeout(late);
    resolve({ why, output });
  };
  const late = setTimeout(() => {
    end(child);
    answer(`not done after ${step.limitS} s`);
  }, step.limitS * 1_000);
  child.once("error", (error) => answer(error.message));
  // "exit" and then the rest of the output; a grandchild that keeps the pipe open is not waited for longer than the limit.
  child.once("close", (code, signal) =>
    answer(code === 0 ? undefined : (signal ?? `exit code ${code}`)),
  );
  return promise;
}

function end(child: ChildProcess | undefined): void {
  if (child?.pid === undefined) return;
  child.stdout?.destroy();
  child.stderr?.destroy();
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
