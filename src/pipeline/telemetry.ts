/** Labels of one time series. */
export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(n: number): void;
}

/** Where components register what they count. Names are final (`otelcol_…`, `weir_…`); the service renders them. */
export interface Meter {
  counter(name: string, help: string, labels: Labels): Counter;
  /** Read at scrape time. `type` says how Prometheus should treat it. */
  observe(
    name: string,
    help: string,
    labels: Labels,
    type: "counter" | "gauge",
    read: () => number,
  ): void;
}

/** One number that the service has counted or measured. */
export interface Figure {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** WARN = unexpected, nothing lost. ERROR = loss, or an operator is needed. Static text, data in fields. */
export interface Logger {
  debug(fields: LogFields, text: string): void;
  info(fields: LogFields, text: string): void;
  warn(fields: LogFields, text: string): void;
  error(fields: LogFields, text: string): void;
}
