import type { PushEntry } from "../loki/push-proto.ts";

/** A stream as objects: the obvious reading of a push, for the fast ones to equal. */
export interface SlowStream {
  readonly labels: Readonly<Record<string, string>>;
  readonly entries: readonly PushEntry[];
}

/** A record as it must come out of the door. */
export interface SlowRecord {
  readonly line: string;
  readonly time: string;
  readonly service: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const DISCOVERED =
  "service app application app_name name app_kubernetes_io_name container container_name k8s_container_name component workload job k8s_job_name".split(
    " ",
  );

/** The service's name that Loki finds in labels; "" is none. */
export function serviceOf(labels: Readonly<Record<string, string>>): string {
  const found = ["service_name", ...DISCOVERED].find((name) => (labels[name] ?? "") !== "");
  return found === undefined ? "" : (labels[found] ?? "");
}

/** Records of streams whose names have no meaning but these. */
export function slowRecords(streams: readonly SlowStream[]): SlowRecord[] {
  return streams.flatMap(({ labels, entries }) => {
    const { service_name: _, ...kept } = labels;
    return entries.map(({ nanos, line, metadata }) => ({
      line,
      time: String(nanos),
      service: serviceOf(labels),
      attributes: Object.fromEntries(
        [...Object.entries(kept), ...metadata].filter(([, value]) => value !== ""),
      ),
    }));
  });
}

/** Labels as text, with Go's quotes. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `{${pairs.join(", ")}}`;
}
