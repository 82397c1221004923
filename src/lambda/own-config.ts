import type { Buffering } from "./extensions-api.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** What the environment of the function says to the extension. */
export interface Settings {
  readonly functionName: string;
  readonly minBatch: number;
  readonly flushMs: number;
  readonly buffering: Buffering;
  readonly sources: readonly string[];
  /** Whether the sources are what the environment stands for, and no whole configuration. */
  readonly isOwn: boolean;
}

/** What the environment says wrongly; the text is for whoever reads the function's log. */
export class SettingsError extends Error {}

/** Half an hour: longer than an invocation; what waits for a full batch goes out at the end of the sandbox at the latest. */
const BATCH_WAIT = "30m";
const LABEL = /^OTEL_LABEL_([A-Za-z_][A-Za-z0-9_]*)$/;
/** Ends that addresses of the seed's versions may have; the exporter adds Loki's path. */
const LOKI_PATH = /(?:\/loki)?(?:\/api\/(?:v1|prom)\/push)?\/*$/;
const LABELS_MAX = 10;

/** Reads the names that the Lambda-Telemetry-API-Loki extension has, and ours beside them. `sources`: of the command line. */
export function readSettings(env: Env, sources: readonly string[]): Settings {
  const functionName = env["AWS_LAMBDA_FUNCTION_NAME"] ?? "";
  const minBatch = numberIn(env, "DISPATCH_MIN_BATCH_SIZE", 1, 1, 32_767);
  const file = env["WEIR_CONFIG"] ?? "";
  const given = sources.length > 0 ? sources : file === "" ? [] : [file];
  return {
    functionName,
    minBatch,
    flushMs: numberIn(env, "WEIR_FLUSH_TIMEOUT_MS", 1_000, 0, 60_000),
    buffering: {
      maxItems: numberIn(env, "WEIR_BUFFER_MAX_ITEMS", 1_000, 1_000, 10_000),
      maxBytes: numberIn(env, "WEIR_BUFFER_MAX_BYTES", 262_144, 262_144, 1_048_576),
      timeoutMs: numberIn(env, "WEIR_BUFFER_TIMEOUT_MS", 25, 25, 30_000),
    },
    isOwn: given.length === 0,
    sources:
      given.length > 0 ? given : [`yaml:${JSON.stringify(toLoki(env, functionName, minBatch))}`],
  };
}

function numberIn(env: Env, name: string, usual: number, least: number, most: number): number {
  const text = env[name] ?? "";
  if (text === "") return usual;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new SettingsError(
      `${name} is "${text.slice(0, 50)}": expected a whole number from ${least} to ${most}`,
    );
  return value;
}

/** The configuration that LOKI_IP stands for: lines of the function, with the labels and the text of the seed's extension. */
function toLoki(env: Env, functionName: string, minBatch: number): object {
  const address = env["LOKI_IP"] ?? "";
  if (address === "") throw new SettingsError("LOKI Ip undefined");
  const labels = Object.entries(env).flatMap(([name, value = ""]) => {
    const label = LABEL.exec(name)?.[1];
    return label === undefined || value === "" ? [] : [[label.toLowerCase(), value] as const];
  });
  if (labels.length > LABELS_MAX)
    throw new SettingsError(
      `${labels.length} variables OTEL_LABEL_…: at most ${LABELS_MAX} labels`,
    );
  const attributes = { source: "Lambda", function: functionName, ...Object.fromEntries(labels) };
  const batch = { min_size: minBatch, flush_timeout: BATCH_WAIT };
  return {
    receivers: {
      telemetry_api: {
        endpoint: `${env["WEIR_HOST"] || "0.0.0.0"}:${numberIn(env, "WEIR_PORT", 4_323, 0, 65_535)}`,
        types: ["function"],
        function_name: plain(functionName),
        line_format: env["WEIR_LINE_FORMAT"] || "promtail",
        resource_attributes: Object.fromEntries(
          Object.entries(attributes).map(([key, value]) => [key, plain(value)]),
        ),
      },
    },
    exporters: {
      loki: {
        endpoint: endpointOf(address),
        // Snappy is native code of 1 MB, for batches of some kilobytes.
        encoding: "json",
        labels: labels.map(([name]) => name).filter((name) => !OWN_LABELS.has(name)),
        sending_queue: {
          num_consumers: 1,
          queue_size: 16 << 20,
          sizer: "bytes",
          ...(minBatch > 1 && { batch }),
        },
        retry_on_failure: { initial_interval: "100ms", max_interval: "2s" },
        timeout: "5s",
      },
    },
    service: {
      telemetry: { logs: { level: "warn" }, metrics: { level: "none" } },
      pipelines: {
        logs: { receivers: ["telemetry_api"], exporters: ["loki"] },
      },
    },
  };
}

/** Labels that the exporter sets without being told. */
const OWN_LABELS = new Set(["source", "function", "service_name", "level", "deployment_env"]);

/** An address, as the first version of the seed's extension takes it, or a URL, as the last one does. */
function endpointOf(address: string): string {
  if (!address.includes("://")) return plain(`http://${address}:3100`);
  return plain(address.replace(LOKI_PATH, ""));
}

/** As text of the configuration grammar, in which a dollar sign begins something. */
function plain(text: string): string {
  return text.replaceAll("$", "$$$$");
}
