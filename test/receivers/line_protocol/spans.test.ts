import { describe, expect, test } from "vitest";
import { createComponents } from "../../../src/components.ts";
import { lineSpanIntake } from "../../../src/kit/doors/line-span-intake.ts";
import type { Batch } from "../../../src/otlp/batch.ts";
import { isRefusal, type Refusal } from "../../../src/otlp/status.ts";
import type { Signal } from "../../../src/otlp/tape.ts";
import type { Intake, Lease } from "../../../src/pipeline/contracts.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { load, messages } from "../../config/loading.ts";
import { lineDoor } from "../../support/line-door.ts";
import { batchOf, indexer } from "../../support/line-writing.ts";

const TABLE = (spans: string) => `measurement: jobs
doc: One row for each job.
identity: exact
match: {}
spans: ${spans}
columns:
  took_ms: { kind: float, unit: ms, doc: How long., from: [took_ms, { span: duration_ms }] }
`;

describe("the check of a configuration", () => {
  const check = async (options: string, pipelines: string, table = TABLE("true")) =>
    messages(
      await load(
        [
          `receivers:
  line_protocol:
    udp:
    ${options}
exporters: { debug: }
service:
  pipelines:
    ${pipelines}
`,
        ],
        { catalog: createComponents },
        { "jobs.yaml": table },
      ),
    );
  const LOGS = "logs: { receivers: [line_protocol], exporters: [debug] }";
  const TRACES = "traces: { receivers: [line_protocol], exporters: [debug] }";

  test.each([
    ["spans: [requests, function_logs]", `${LOGS}\n    ${TRACES}`, []],
    ["tables: [./jobs.yaml]", `${LOGS}\n    ${TRACES}`, []],
    ["spans: [requests]", TRACES, []],
    [
      "spans: [requests]",
      LOGS,
      [
        'a.yaml:4:12: spans: lines become spans, and there is no pipeline for them: add receiver "line_protocol" to a pipeline of traces',
      ],
    ],
    [
      "tables: [./jobs.yaml]",
      LOGS,
      [
        'a.yaml:4:14: table "jobs" has spans: true, so its lines become spans, and there is no pipeline for them: add receiver "line_protocol" to a pipeline of traces',
      ],
    ],
    [
      "precision: ns",
      `${LOGS}\n    ${TRACES}`,
      [
        'a.yaml:9:27: receiver "line_protocol" cannot take traces: its lines become log records; name the tables whose lines are to be spans, for example spans: [requests]',
      ],
    ],
  ])("%s with %s", async (options, pipelines, expected) => {
    expect(await check(options, pipelines)).toEqual(expected);
  });

  test("names of no table, and of a file's", async () => {
    const [mistake] = await check("spans: [request]", LOGS);
    expect(mistake).toMatch(
      /^a\.yaml:4:13: .*no series table is called "request" \(did you mean "requests"/,
    );
    const options = "tables: [./jobs.yaml]\n    spans: [jobs]";
    expect(await check(options, `${LOGS}\n    ${TRACES}`, TABLE("false"))).toEqual([]);
  });

  test.each(["influxdb", "datakit"])("%s has the same option", async (type) => {
    const text = `receivers: { ${type}: { spans: [requests] } }
exporters: { debug: }
service: { pipelines: { PIPE: { receivers: [${type}], exporters: [debug] } } }
`;
    const of = async (signal: string) =>
      messages(await load([text.replace("PIPE", signal)], { catalog: createComponents }));
    expect(await of("traces")).toEqual([]);
    expect(await of("logs")).toEqual([
      `a.yaml:1:${25 + type.length}: spans: lines become spans, and there is no pipeline for them: add receiver "${type}" to a pipeline of traces`,
    ]);
  });

  test("a receiver that no pipeline uses needs none", async () => {
    const otherwise = await load(
      [
        `receivers: { line_protocol: { udp: , spans: [requests] }, otlp: { protocols: { http: } } }
exporters: { debug: }
service: { pipelines: { logs: { receivers: [otlp], exporters: [debug] } } }
`,
      ],
      { catalog: createComponents },
    );
    expect(messages(otherwise)).toEqual([]);
  });
});

/** What got through, for pipelines of the given signals; some of them may be full. */
class Recorder implements Intake {
  readonly signals: ReadonlySet<Signal>;
  readonly taken: string[] = [];
  readonly lost: string[] = [];
  held = 0;
  limit = 1 << 20;
  full = new Set<Signal>();
  constructor(...signals: Signal[]) {
    this.signals = new Set(signals);
  }
  admit(signal: Signal, bytes: number): Lease | Refusal {
    if (this.full.has(signal)) return { kind: "refused", retryAfterMs: 1, why: `${signal} full` };
    let own = bytes;
    this.held += bytes;
    return {
      bytes,
      grow: (more) => {
        if (this.held + more > this.limit) return false;
        own += more;
        this.held += more;
        return true;
      },
      isBeyondBudget: false,
      [Symbol.dispose]: () => {
        this.held -= own;
      },
    };
  }
  async submit(batches: readonly Batch[]): Promise<void> {
    this.taken.push(...batches.map(({ signal, items }) => `${signal} ${items}`));
  }
  rejected(signal: Signal, items: number): void {
    this.lost.push(`${signal} ${items}`);
  }
}

describe("the intake", () => {
  const tables = shippedTables().filter(({ measurement }) => measurement === "requests");
  const lines = lineDoor(shippedTables(), "ns");
  const batch = batchOf(lines("requests,service=s v=1 5\nplant v=1 5\nplant v=2 5", 0));
  const open = (recorder: Recorder) => {
    const intake = lineSpanIntake(recorder, tables, { indexer });
    const lease = intake.admit("logs", 10);
    if (isRefusal(lease)) throw new Error(lease.why);
    return { intake, lease };
  };

  test("lines of the tables are submitted as spans, with the others, at once; their memory is leased", async () => {
    const recorder = new Recorder("logs", "traces");
    const { intake, lease } = open(recorder);
    await intake.submit([batch], lease);
    expect(recorder.taken).toEqual(["logs 2", "traces 1"]);
    expect(recorder.held).toBeGreaterThan(100);
    lease[Symbol.dispose]();
    expect(recorder.held).toBe(0);
  });

  test("without memory for the spans, nothing is submitted", async () => {
    const recorder = new Recorder("logs", "traces");
    recorder.limit = 50;
    const { intake, lease } = open(recorder);
    await expect(intake.submit([batch], lease)).rejects.toMatchObject({ kind: "refused" });
    expect(recorder.taken).toEqual([]);
  });

  test("a full queue of traces refuses before the lines are read", () => {
    const recorder = new Recorder("logs", "traces");
    recorder.full.add("traces");
    const intake = lineSpanIntake(recorder, tables, { indexer });
    expect(intake.admit("logs", 10)).toMatchObject({ why: "traces full" });
    expect(recorder.held).toBe(0);
  });

  test("without a pipeline of logs, the other lines are counted as refused", async () => {
    const recorder = new Recorder("traces");
    const { intake, lease } = open(recorder);
    await intake.submit([batch], lease);
    expect([recorder.taken, recorder.lost]).toEqual([["traces 1"], ["logs 2"]]);
  });

  test("without such tables it is the intake itself", () => {
    const recorder = new Recorder("logs");
    expect(lineSpanIntake(recorder, [], { indexer })).toBe(recorder);
  });
});
