/**
 * `npm run bench`: CPU time per record of every stage, beside a calibration loop and the obvious twin in the same run.
 * `--gate`: only the ratios that hold on noisy machines; fails when one is missed. `--service`: the whole service over real sockets.
 */
import { parseArgs } from "node:util";
import {
  decodeJob,
  doorJob,
  indexJob,
  type Job,
  linesJob,
  linesToLinesJob,
  objectsJob,
  payloads,
  readLinesJob,
  renameJob,
  touchJob,
} from "./cases.ts";
import { journalRow } from "./journal.ts";
import { type Figure, FULL, heapGrowth, measure, QUICK } from "./measure.ts";

/** A ratchet: these only move up (ratios) or down (renames, heap). DESIGN §12 has the goals. */
const GATES = { index: 12, lines: 8, renames: 3, mixed: 0.6, heapBytes: 4 };

const { values } = parseArgs({
  options: { gate: { type: "boolean" }, service: { type: "boolean" } },
});
const rounds = values.gate ? QUICK : FULL;
const plain = payloads.plain(1000);
const mixed = payloads.mixed(100);
const FUNCTION_LOGS = ["function_logs"];

if (values.gate) gate();
else {
  if (!values.service) await micro();
  const { serviceBench } = await import("./service.ts");
  await serviceBench();
}

function gate(): void {
  const [bytes] = plain as [Uint8Array];
  const decode = time("protobufjs decode", decodeJob(bytes, 1000));
  const index = time("index", indexJob("logs", plain));
  const objects = time("protobufjs + template strings", objectsJob(bytes, 1000));
  const lines = time("wire → lines", linesJob(plain, FUNCTION_LOGS));
  const linesMixed = time("wire → lines, mixed", linesJob(mixed, FUNCTION_LOGS));
  const lines100 = time(
    "wire → lines, 100 a request",
    linesJob(payloads.plain(100), FUNCTION_LOGS),
  );
  const touch = time("touch every byte", touchJob(bytes, 1000));
  const renames = time("four renames", renameJob(bytes));
  const heap = heapGrowth(linesJob(plain, FUNCTION_LOGS), 300);
  const checks: [string, number, string, number][] = [
    ["index ÷ protobufjs decode", decode.ns / index.ns, "≥", GATES.index],
    ["wire → lines ÷ protobufjs + strings", objects.ns / lines.ns, "≥", GATES.lines],
    ["mixed speed ÷ plain speed", lines100.ns / linesMixed.ns, "≥", GATES.mixed],
    ["four renames ÷ touch every byte", renames.ns / touch.ns, "≤", GATES.renames],
    ["heap growth, bytes per record", heap, "≤", GATES.heapBytes],
  ];
  let failed = 0;
  for (const [what, value, relation, limit] of checks) {
    const isMet = relation === "≥" ? value >= limit : value <= limit;
    if (!isMet) failed++;
    console.log(
      `${isMet ? "ok    " : "MISSED"} ${what}: ${value.toFixed(2)} (${relation} ${limit})`,
    );
  }
  process.exitCode = failed === 0 ? 0 : 1;
}

async function micro(): Promise<void> {
  const rows: Record<string, string>[] = [];
  const row = (what: string, job: Job) => {
    const { ns, best, worst } = measure(job, rounds);
    rows.push({
      what,
      "ns per record": ns.toFixed(0),
      "M records/s per core": (1_000 / ns).toFixed(2),
      spread: `${best.toFixed(0)}–${worst.toFixed(0)}`,
    });
  };
  const [bytes] = plain as [Uint8Array];
  row("calibration: touch every byte", touchJob(bytes, 1000));
  row("twin: protobufjs decode, logs", decodeJob(bytes, 1000));
  row("twin: protobufjs + template strings → lines", objectsJob(bytes, 1000));
  for (const n of [10, 100, 1000])
    row(`index, logs, ${n} a request`, indexJob("logs", payloads.plain(n)));
  for (const n of [10, 100, 1000])
    row(`index, mixed logs, ${n} a request`, indexJob("logs", payloads.mixed(n)));
  row("index, spans", indexJob("traces", payloads.spans(1000)));
  row("index, data points", indexJob("metrics", payloads.metrics(1000)));
  for (const n of [10, 100, 1000])
    row(`wire → function_logs lines, ${n} a request`, linesJob(payloads.plain(n), FUNCTION_LOGS));
  for (const n of [10, 100, 1000])
    row(
      `wire → function_logs lines, mixed, ${n} a request`,
      linesJob(payloads.mixed(n), FUNCTION_LOGS),
    );
  row("wire → lines, all tables", linesJob(plain, ["function_logs", "logs"]));
  row("draft, four renames, seal", renameJob(bytes));
  row("line reader, 264-byte lines", readLinesJob(1000));
  for (const n of [1, 20]) row(`line door, ${n} a datagram: lines → OTLP`, doorJob(1000, n));
  row("lines → OTLP → index → lines, 1 a datagram", linesToLinesJob(1000, 1));
  for (const isDurable of [false, true])
    for (const n of [10, 100, 1000]) {
      const { what, nsPerRecord } = await journalRow(n, isDurable);
      rows.push({
        what,
        "ns per record": nsPerRecord.toFixed(0),
        "M records/s per core": (1_000 / nsPerRecord).toFixed(2),
        spread: "",
      });
    }
  console.table(rows);
}

function time(what: string, job: Job): Figure {
  const figure = measure(job, rounds);
  console.log(
    `       ${what}: ${figure.ns.toFixed(0)} ns per record (${figure.best.toFixed(0)}–${figure.worst.toFixed(0)})`,
  );
  return figure;
}
