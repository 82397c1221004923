import { createIndexer } from "../../src/otlp/indexing.ts";
import { PipelineError } from "../../src/otlp/status.ts";
import { BatchMaker } from "../../src/receivers/telemetry_api/batch.ts";
import { config } from "../../src/receivers/telemetry_api/config.ts";
import { Sandbox } from "../../src/receivers/telemetry_api/sandbox.ts";
import { withSlack } from "../../src/wire/slack.ts";
import { ID, invocation, OTHER } from "../receivers/telemetry_api/events.ts";
import { expectText } from "./otlp-text.ts";
import { damagedCopy, seeded } from "./seeded.ts";

/**
 * Child process: batches of Lambda with a value of another type at some place, members twice or missing, and damaged bytes, `rounds` times.
 * Each ends; what is taken is fit for the pipelines; lines of good batches are all there; no batch throws but for its size.
 */
const rounds = Number(process.argv[2]);
const random = seeded(Number(process.argv[3] ?? 1));
const indexer = createIndexer();
const signals = new Set(["logs", "traces"] as const);
const formats = ["record", "promtail"] as const;
const makers = formats.map(
  (line_format) =>
    new BatchMaker(config.parse({ line_format, platform_logs: true, function_name: "f" }), signals),
);
const ODD: readonly unknown[] = [
  null,
  true,
  -1,
  1e300,
  Number.MAX_SAFE_INTEGER,
  "",
  "x".repeat(300),
  "1677-01-01T00:00:00Z",
  "2262-12-31T23:59:59.999999999Z",
  "Root=1-00000000-000000000000000000000000;Parent=0000000000000000",
  "\ud800\u0000\u2028",
  [],
  [[1], { a: 1 }],
  {},
  { durationMs: -5, start: "never", name: 7 },
];
const MORE = [
  { time: "2026-11-21T12:00:00Z", type: "platform.initStart", record: { functionName: "g" } },
  { time: "2026-11-21T12:00:00Z", type: "platform.initReport", record: { status: "error" } },
  { time: "2026-11-21T12:00:00Z", type: "platform.logsDropped", record: { droppedBytes: 1 } },
  { time: "2026-11-21T12:00:00Z", type: "function", record: { status: 1, message: "{}" } },
  { time: "2026-11-21T12:00:00Z", type: "platform.later", record: {} },
];

/** The value with one place of it replaced. */
function withOddPlace(value: unknown): unknown {
  if (random(4) === 0 || typeof value !== "object" || value === null)
    return ODD[random(ODD.length)];
  const entries = Object.entries(value);
  const chosen = random(Math.max(1, entries.length));
  const changed = entries.map(
    ([name, of], n) => [name, n === chosen ? withOddPlace(of) : of] as const,
  );
  return Array.isArray(value) ? changed.map(([, of]) => of) : Object.fromEntries(changed);
}

function check(content: Uint8Array, sandbox: Sandbox, what: string): number {
  const body = { bytes: withSlack(Uint8Array.from(content)), length: content.length };
  const maker = makers[random(makers.length)] as BatchMaker;
  try {
    const made = maker.make(body, sandbox, 1_800_000_000_000 + random(1_000_000));
    let items = 0;
    for (const signal of ["logs", "traces"] as const) {
      const part = made[signal];
      if (part === undefined) continue;
      expectText(signal, part.bytes.subarray(0, part.length));
      const indexed = indexer.index(signal, part.bytes, part.length);
      if ("refused" in indexed || indexed.rejected > 0)
        throw new Error("refused" in indexed ? indexed.why : `rejected: ${indexed.why}`);
      if (signal === "logs") items = indexed.batch.items;
    }
    return items;
  } catch (error) {
    if (error instanceof PipelineError && error.kind === "too_large") return 0;
    throw new Error(`${what} ${Buffer.from(content).toString("base64")}`, { cause: error });
  }
}

let sandbox = new Sandbox("");
for (let round = 0; round < rounds; round++) {
  if (random(20) === 0) sandbox = new Sandbox("");
  const events = [
    ...invocation(random(2) === 0 ? ID : OTHER, random(10_000)),
    ...MORE.slice(random(MORE.length)),
  ].sort(() => random(3) - 1);
  const good = Buffer.from(JSON.stringify(events));
  const lines = events.filter(({ type }) => type === "function").length;
  if (check(good, sandbox.fork(), "good") < lines) throw new Error(`lines are missing: ${good}`);
  check(Buffer.from(JSON.stringify(withOddPlace(events))), sandbox, "odd");
  check(damagedCopy(good, random), sandbox, "damaged");
}
process.stdout.write(`${rounds} rounds\n`);
