import type { HttpAnswer } from "../../kit/server/http-server.ts";
import type { Running } from "../../pipeline/factory.ts";
import { type Tallies, tally } from "./tallies.ts";

/** What pages are made of. */
export interface Status {
  readonly isReady: boolean;
  readonly uptimeMs: number;
  readonly nowMs: number;
  readonly running: Running;
}

type Page = (status: Status) => HttpAnswer;

/** Pages by path: those of Fluent Bit, and /api/v1/config, which it does not have but documents ask for. */
export const PAGES: ReadonlyMap<string, Page> = new Map<string, Page>([
  ["/", about],
  ["/api/v1/health", health],
  ["/api/v2/health", health],
  ["/api/v1/uptime", uptime],
  ["/api/v1/metrics", metrics],
  ["/api/v1/metrics/prometheus", prometheus],
  ["/api/v2/metrics", lines],
  ["/api/v2/metrics/prometheus", prometheus],
  ["/api/v1/storage", storage],
  ["/api/v1/plugins", plugins],
  ["/api/v1/config", config],
  ["/api/v2/reload", () => json({ hot_reload_count: 0 })],
]);

/** The answer to whoever asks for a reload. */
export const NO_RELOAD: HttpAnswer = json({ reload: "not enabled", status: -1 });

function json(value: object): HttpAnswer {
  return { status: 200, contentType: "application/json", body: JSON.stringify(value) };
}

function text(body: string, contentType: string, status = 200): HttpAnswer {
  return { status, contentType, body };
}

function about({ running }: Status): HttpAnswer {
  return json({ "fluent-bit": { version: running.version, edition: "weir", flags: [] } });
}

function health({ isReady }: Status): HttpAnswer {
  return isReady ? text("ok\n", "text/plain") : text("error\n", "text/plain", 500);
}

function uptime({ uptimeMs }: Status): HttpAnswer {
  const seconds = Math.floor(uptimeMs / 1_000);
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24];
  const minutes = Math.floor(seconds / 60) % 60;
  const words = `${days} days, ${hours} hours, ${minutes} minutes and ${seconds % 60} seconds`;
  return json({ uptime_sec: seconds, uptime_hr: `weir has been running: ${words}` });
}

function metrics({ running }: Status): HttpAnswer {
  const { input, output } = tally(running.figures());
  return json({ input, output });
}

/** Name, help, type and the values by component, of all that is counted. */
function families({ input, output }: Tallies) {
  const of = <T>(kind: Readonly<Record<string, T>>, key: keyof T) =>
    Object.entries(kind).map(([name, tally]) => [name, tally[key]] as const);
  return [
    ["fluentbit_input_records_total", "Records that inputs took.", of(input, "records")],
    [
      "fluentbit_output_proc_records_total",
      "Records that outputs sent.",
      of(output, "proc_records"),
    ],
    [
      "fluentbit_output_dropped_records_total",
      "Records that were given up.",
      of(output, "dropped_records"),
    ],
    [
      "fluentbit_output_retried_records_total",
      "Records that were sent again.",
      of(output, "retried_records"),
    ],
  ] as const;
}

/** Prometheus text 0.0.4. Ids of components hold nothing that a label must escape but what JSON escapes too. */
function prometheus({ running, uptimeMs }: Status): HttpAnswer {
  const parts = families(tally(running.figures())).flatMap(([name, help, values]) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} counter`,
    ...values.map(([component, value]) => `${name}{name=${JSON.stringify(component)}} ${value}`),
  ]);
  parts.push(
    "# HELP fluentbit_uptime Seconds since the start.",
    "# TYPE fluentbit_uptime counter",
    `fluentbit_uptime ${Math.floor(uptimeMs / 1_000)}`,
  );
  return text(`${parts.join("\n")}\n`, "text/plain; version=0.0.4; charset=utf-8");
}

/** The text form of Fluent Bit's second version: a time, a name, a value. */
function lines({ running, nowMs }: Status): HttpAnswer {
  const time = new Date(nowMs).toISOString();
  const all = families(tally(running.figures())).flatMap(([name, , values]) =>
    values.map(
      ([component, value]) => `${time} ${name}{name=${JSON.stringify(component)}} = ${value}\n`,
    ),
  );
  return text(all.join(""), "text/plain; charset=utf-8");
}

/** Chunks are segments of journals. */
function storage({ running }: Status): HttpAnswer {
  const { memorySegments, diskSegments } = tally(running.figures());
  const chunks = {
    total_chunks: memorySegments + diskSegments,
    mem_chunks: memorySegments,
    fs_chunks: diskSegments,
    fs_chunks_up: 0,
    fs_chunks_down: diskSegments,
  };
  return json({ storage_layer: { chunks }, input_chunks: {} });
}

function plugins({ running }: Status): HttpAnswer {
  const pipelines = [...running.pipelines.values()];
  const all = (kind: "receivers" | "processors" | "exporters") => [
    ...new Set(pipelines.flatMap((pipeline) => pipeline[kind])),
  ];
  return json({ inputs: all("receivers"), filters: all("processors"), outputs: all("exporters") });
}

/** Which components make the pipelines; not their options, some of which are secret. */
function config({ running }: Status): HttpAnswer {
  const pipelines = [...running.pipelines].map(([id, { receivers, processors, exporters }]) => [
    id,
    { receivers, processors, exporters },
  ]);
  return json({ version: running.version, pipelines: Object.fromEntries(pipelines) });
}
