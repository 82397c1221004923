import type { z } from "zod";
import type { Indexer } from "../otlp/indexer.ts";
import type { Signal } from "../otlp/tape.ts";
import type { Authenticator } from "./auth.ts";
import type { Component, Intake, Transform } from "./contracts.ts";
import type { Figure, Logger, Meter } from "./telemetry.ts";

export type Stability = "development" | "alpha" | "beta" | "stable";

/** What docs, validation and the `components` command read. */
export interface Declaration<C> {
  /** lower_snake_case: the name in the YAML and of the folder. */
  readonly type: string;
  /** First line of the component's README. */
  readonly summary: string;
  readonly stability: { readonly [S in Signal]?: Stability };
  /** Why these options cannot carry a signal that the component supports; undefined = they can. Refused before the start. */
  unsupported?(options: C, signal: Signal): string | undefined;
  /** Signals that some pipeline must take from a receiver with these options: refused before the start where none does. */
  needs?(options: C): readonly {
    readonly signal: Signal;
    readonly path: readonly (string | number)[];
    readonly why: string;
  }[];
  /** What to tell about options that are right but old, such as another program's names for ours: one sentence. */
  warning?(options: C): string | undefined;
  /** Of an extension that `auth` blocks may name: for whom it is set up with these options. */
  authenticates?(options: C): { readonly receivers: boolean; readonly exporters: boolean };
  /** Every option has a `.describe()`; unknown keys are errors. */
  readonly schema: z.ZodType<C>;
  /** Options that may hold paths of files: those that start with ./ or ../ begin at the file of the configuration. */
  readonly fileOptions?: readonly string[];
  /** Smallest working configuration. */
  readonly example: unknown;
}

/** What the service gives each component instance. */
export interface Context {
  /** As written in the YAML: "otlp", or "influxdb/eu". */
  readonly id: string;
  readonly log: Logger;
  readonly meter: Meter;
  readonly indexer: Indexer;
  /** Wall clock in milliseconds; tests own it. */
  readonly nowMs: () => number;
  /** A failure nobody awaits, e.g. a listener died: stops the service. */
  readonly fail: (error: Error) => void;
  /** The extension that an `auth` block names; throws when it does not run. Absent where nothing is authenticated. */
  readonly authenticator?: (id: string) => Authenticator;
}

export interface ReceiverFactory<C> extends Declaration<C> {
  readonly kind: "receiver";
  create(config: C, context: Context, intake: Intake): Component;
}
export interface ProcessorFactory<C> extends Declaration<C> {
  readonly kind: "processor";
  create(config: C, context: Context): Transform;
}
export interface ExtensionFactory<C> extends Declaration<C> {
  readonly kind: "extension";
  create(config: C, context: ExtensionContext): Component;
}

/** What runs: for pages that show it. */
export interface Running {
  readonly version: string;
  /** Ids of their components, by the pipeline's name. */
  readonly pipelines: ReadonlyMap<
    string,
    {
      readonly receivers: readonly string[];
      readonly processors: readonly string[];
      readonly exporters: readonly string[];
    }
  >;
  /** Everything that was counted so far. */
  readonly figures: () => Iterable<Figure>;
}

export interface ExtensionContext extends Context {
  /** False before every listener and route is ready, and while stopping. */
  readonly isReady: () => boolean;
  /** Routes whose destination refuses everything, and why: what an operator must look at, though nothing is lost. */
  readonly alarms?: () => ReadonlyMap<string, string>;
  readonly running?: Running;
  /** Where extensions that need a child process find the command: node and its arguments up to the command name. */
  readonly self: readonly string[];
}
