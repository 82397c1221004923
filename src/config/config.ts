import type { z } from "zod";
import type { Place, Problem } from "./problem.ts";

/** A signal that pipelines carry. */
export type PipelineSignal = "logs" | "metrics" | "traces";

/** Without a pipeline of this signal, the option at `path` has no effect. */
export interface SignalNeed {
  readonly signal: PipelineSignal;
  readonly path: readonly (string | number)[];
  readonly why: string;
}

/** What the configuration needs to know about a component; every factory of `components.ts` is one. */
export interface ComponentSchema {
  readonly type: string;
  readonly schema: z.ZodType;
  /** Its keys are the signals that the component supports. */
  readonly stability: { readonly [S in PipelineSignal]?: unknown };
  /** Options that may hold paths of files: those that start with ./ or ../ begin where they are written. */
  readonly fileOptions?: readonly string[];
  /** Why these options cannot carry a signal that the component supports. */
  unsupported?(options: unknown, signal: PipelineSignal): string | undefined;
  /** Signals that some pipeline must take from the receiver, with the option that says so. */
  needs?(options: unknown): readonly SignalNeed[];
  /** What to tell about options that are right but old: one sentence, logged at the start and by `validate`. */
  warning?(options: unknown): string | undefined;
  /** Of an extension that `auth` blocks may name: for whom it is set up with these options. */
  authenticates?(options: unknown): { readonly receivers: boolean; readonly exporters: boolean };
}

/** The component types that a configuration may name. */
export interface Catalog {
  readonly receivers: ReadonlyMap<string, ComponentSchema>;
  readonly processors: ReadonlyMap<string, ComponentSchema>;
  readonly exporters: ReadonlyMap<string, ComponentSchema>;
  readonly extensions: ReadonlyMap<string, ComponentSchema>;
  readonly connectors: ReadonlyMap<string, ComponentSchema>;
}

export type Section = keyof Catalog;

/** The types that a configuration names, by today's names. */
export type NamedTypes = Readonly<Record<Section, ReadonlySet<string>>>;

/** A catalog of the types that are named, at least. */
export type ReadCatalog = (named: NamedTypes) => Promise<Catalog>;

/** One configured component. */
export interface ComponentConfig {
  /** As written: "otlp", or "influxdb/eu". */
  readonly id: string;
  /** Today's name of the type, also when an old one was written. */
  readonly type: string;
  readonly name: string | undefined;
  /** What the component's schema made of its options. */
  readonly options: unknown;
  readonly where: Place;
}

export interface PipelineConfig {
  /** As written: "logs", or "logs/functions". */
  readonly id: string;
  readonly signal: PipelineSignal;
  readonly receivers: readonly string[];
  /** Without those that were translated into something else (batch, memory_limiter). */
  readonly processors: readonly string[];
  readonly exporters: readonly string[];
  readonly where: Place;
}

/** `service.telemetry`. */
export interface TelemetryConfig {
  readonly logs: {
    readonly level: "debug" | "info" | "warn" | "error";
    readonly encoding: "console" | "json";
  };
  /** `host:port` where Prometheus reads; undefined = nowhere (level none, or no reader). */
  readonly metricsEndpoint: string | undefined;
}

/** A configuration in which everything that can be known before the start is right. */
export interface Config {
  readonly receivers: ReadonlyMap<string, ComponentConfig>;
  readonly processors: ReadonlyMap<string, ComponentConfig>;
  readonly exporters: ReadonlyMap<string, ComponentConfig>;
  readonly extensions: ReadonlyMap<string, ComponentConfig>;
  readonly service: {
    /** In the order in which they start. */
    readonly extensions: readonly string[];
    readonly telemetry: TelemetryConfig;
    readonly pipelines: ReadonlyMap<string, PipelineConfig>;
  };
  readonly limits: {
    /** Byte budget of all requests in flight; undefined = the service's default. */
    readonly budgetBytes: number | undefined;
  };
}

export type Loaded =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[] }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      readonly warnings: readonly Problem[];
    };
