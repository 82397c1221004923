import type { Buffering } from "./extensions-api.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** What the environment of the function says to the extension. */
export interface Settings {
  readonly functionName: string;
  readonly minBatch: number;
  readonly flushMs: number;
  readonly buffering: Buffering;
  readonly sources: readonly string[];
  /** What the environment says about the way to Loki; undefined where it names a whole configuration. */
  readonly own: OwnValues | undefined;
}

/** The parts of the extension's own configuration that depend on the environment. */
export interface OwnValues {
  /** host:port that Lambda posts to. */
  readonly listen: string;
  readonly functionName: string;
  readonly lineFormat: string;
  /** Of the resource: the labels, and what the exporter makes labels of by itself. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Loki's address, without its path. */
  readonly endpoint: string;
  /** Names of attributes that become labels too. */
  readonly labels: readonly string[];
  readonly minBatch: number;
}

/** What the environment says wrongly; the text is for whoever reads the function's log. */
export class SettingsError extends Error {}

/** Half an hour: longer than an invocation; what waits for a full batch goes out at the end of the sandbox at the latest. */
const BATCH_WAIT = "30m";
const LABEL = /^OTEL_LABEL_([A-Za-z_][A-Za-z0-9_]*)$/;
/** Ends that addresses of the seed's versions may have; the exporter adds Loki's path. */
const LOKI_PATH = /(?:\/loki)?(?:\/api\/(?:v1|prom)\/push)?\/*$/;
const LABELS_MAX = 10;
const LINE_FORMATS = ["promtail", "record"];

/** Reads the names that the Lambda-Telemetry-API-Loki extension has, and ours beside them. `sources`: of the command line. */
export function readSettings(env: Env, sources: readonly string[]): Settings {
  const functionName = env["AWS_LAMBDA_FUNCTION_NAME"] ?? "";
  // 0 is at once, too, as in the seed's extension: an extension that ends here takes its function with it.
  const minBatch = Math.max(1, numberIn(env, "DISPATCH_MIN_BATCH_SIZE", 1, 0, 32_767));
  const file = env["WEIR_CONFIG"] ?? "";
  const given = sources.length > 0 ? sources : file === "" ? [] : [file];
  const own = given.length === 0 ? ownValues(env, functionName, minBatch) : undefined;
  return {
    functionName,
    minBatch,
    flushMs: numberIn(env, "WEIR_FLUSH_TIMEOUT_MS", 1_000, 0, 60_000),
    buffering: {
      maxItems: numberIn(env, "WEIR_BUFFER_MAX_ITEMS", 1_000, 1_000, 10_000),
      maxBytes: numberIn(env, "WEIR_BUFFER_MAX_BYTES", 262_144, 262_144, 1_048_576),
      timeoutMs: numberIn(env, "WEIR_BUFFER_TIMEOUT_MS", 25, 25, 30_000),
    },
    own,
    sources: own === undefined ? given : [`yaml:${JSON.stringify(toLoki(own))}`],
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

function ownValues(env: Env, functionName: string, minBatch: number): OwnValues {
  const address = env["LOKI_IP"] ?? "";
  if (address === "") throw new SettingsError("LOKI Ip undefined");
  const endpoint = endpointOf(address);
  // Its value is not told: there may be a password in it.
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? ""))
    throw new SettingsError(
      "LOKI_IP is no address: expected 10.0.0.5, or a URL such as https://logs.example.com",
    );
  const lineFormat = env["WEIR_LINE_FORMAT"] || "promtail";
  if (!LINE_FORMATS.includes(lineFormat))
    throw new SettingsError(
      `WEIR_LINE_FORMAT is "${lineFormat.slice(0, 50)}": expected ${LINE_FORMATS.join(" or ")}`,
    );
  const labels = Object.entries(env).flatMap(([name, value = ""]) => {
    const label = LABEL.exec(name)?.[1];
    return label === undefined || value === "" ? [] : [[label.toLowerCase(), value] as const];
  });
  if (labels.length > LABELS_MAX)
    throw new SettingsError(
      `${labels.length} variables OTEL_LABEL_…: at most ${LABELS_MAX} labels`,
    );
  return {
    listen: `${env["WEIR_HOST"] || "0.0.0.0"}:${numberIn(env, "WEIR_PORT", 4_323, 0, 65_535)}`,
    functionName,
    lineFormat,
    attributes: { source: "Lambda", function: functionName, ...Object.fromEntries(labels) },
    endpoint,
    labels: labels.map(([name]) => name).filter((name) => !OWN_LABELS.has(name)),
    minBatch,
  };
}

/** The configuration that LOKI_IP stands for: lines of the function, with the labels and the text of the seed's extension. */
function toLoki(values: OwnValues): object {
  const { attributes, minBatch } = values;
  const batch = { min_size: minBatch, sizer: "items", flush_timeout: BATCH_WAIT };
  return {
    receivers: {
      telemetry_api: {
        endpoint: values.listen,
        types: ["function"],
        function_name: plain(values.functionName),
        line_format: values.lineFormat,
        resource_attributes: Object.fromEntries(
          Object.entries(attributes).map(([key, value]) => [key, plain(value)]),
        ),
      },
    },
    exporters: {
      loki: {
        endpoint: plain(values.endpoint),
        labels: values.labels,
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
  if (!address.includes("://")) return `http://${address}:3100`;
  return address.replace(LOKI_PATH, "");
}

/** As text of the configuration grammar, in which a dollar sign begins something. */
function plain(text: string): string {
  return text.replaceAll("$", "$$$$");
}
