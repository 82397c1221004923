import { suggestion } from "../lib/nearest.ts";
import type { PipelineSignal, Section } from "./config.ts";

export const SIGNALS: readonly PipelineSignal[] = ["logs", "metrics", "traces"];

/** The sections that hold components, and what one of them is called. */
export const SECTIONS: Readonly<Record<Section, string>> = {
  receivers: "receiver",
  processors: "processor",
  exporters: "exporter",
  connectors: "connector",
  extensions: "extension",
};

/** The Collector's old names, still accepted, with one warning each. */
const ALIASES: Readonly<Record<Section, Readonly<Record<string, string>>>> = {
  receivers: {
    filelog: "file_log",
    fluentforward: "fluent_forward",
    otlpjsonfile: "otlp_json_file",
    tcplog: "tcp_log",
    telemetryapi: "telemetry_api",
    udplog: "udp_log",
  },
  processors: {
    logdedup: "log_dedup",
    tailsampling: "tail_sampling",
    probabilisticsampler: "probabilistic_sampler",
  },
  exporters: {
    loadbalancing: "load_balancing",
    logging: "debug",
    otlp: "otlp_grpc",
    otlpgrpc: "otlp_grpc",
    otlphttp: "otlp_http",
  },
  connectors: {
    signaltometrics: "signal_to_metrics",
    spanmetrics: "span_metrics",
  },
  extensions: {
    basicauth: "basic_auth",
    bearertokenauth: "bearer_token_auth",
    filestorage: "file_storage",
    healthcheck: "health_check",
  },
};

/** Today's name of an old one; undefined when it is no old name. */
export function aliasOf(section: Section, type: string): string | undefined {
  const names = ALIASES[section];
  return Object.hasOwn(names, type) ? names[type] : undefined;
}

export interface ComponentId {
  /** Without the spaces that the Collector allows around both parts. */
  readonly id: string;
  readonly type: string;
  readonly name: string | undefined;
}

const TYPE = /^[a-zA-Z][0-9a-zA-Z_]{0,62}$/;
const NAME = /^[^\p{Z}\p{C}\p{S}]+$/u;
const MAX_NAME = 1024;

/** Reads `type` or `type/name`; a text is what is wrong with it. */
export function parseId(text: string): ComponentId | string {
  const slash = text.indexOf("/");
  const type = (slash < 0 ? text : text.slice(0, slash)).trim();
  const name = slash < 0 ? undefined : text.slice(slash + 1).trim();
  if (text.trim() === "") return "an id must not be empty: write type or type/name";
  if (type === "") return `in "${text}" the part before / must not be empty`;
  if (name === "") return `in "${text}" the part after / must not be empty`;
  if (!TYPE.test(type))
    return `in "${text}" the type "${type}" may have letters, digits and _ only, must start with a letter and end before 64 characters`;
  if (name === undefined) return { id: type, type, name };
  if (name.length > MAX_NAME) return `the name of an id has at most ${MAX_NAME} characters`;
  if (!NAME.test(name))
    return `in "${text}" the name "${name}" must have no spaces, symbols or control characters`;
  return { id: `${type}/${name}`, type, name };
}

/** Reads `logs` or `logs/name`; a text is what is wrong with it. */
export function parsePipelineId(
  text: string,
): { readonly id: string; readonly signal: PipelineSignal } | string {
  const parsed = parseId(text);
  if (typeof parsed === "string") return parsed;
  const signal = SIGNALS.find((known) => known === parsed.type);
  if (signal) return { id: parsed.id, signal };
  if (parsed.type === "profiles") return "pipelines of profiles are not supported";
  return `unknown signal "${parsed.type}"${suggestion(parsed.type, SIGNALS)}`;
}
