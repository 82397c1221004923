import { randomUUID } from "node:crypto";
import type { Config } from "../config/config.ts";
import type { Config as FileStorage } from "../extensions/file_storage/config.ts";
import type { Journal } from "../journal/journal.ts";
import { createBudget, defaultBudgetBytes, memoryLimitBytes } from "../kit/budget.ts";
import { runExportLoop } from "../kit/delivery/export-loop.ts";
import { sleep } from "../lib/sleep.ts";
import { createIndexer } from "../otlp/indexing.ts";
import { SIGNALS } from "../otlp/tape.ts";
import { isAuthenticator } from "../pipeline/auth.ts";
import type { Component } from "../pipeline/contracts.ts";
import type { Context } from "../pipeline/factory.ts";
import type { Logger } from "../pipeline/telemetry.ts";
import { CatchUp } from "./catch-up.ts";
import type { Creators } from "./creators.ts";
import { buildGraph, type Graph } from "./graph.ts";
import {
  observeCopies,
  observeJournal,
  observeLetters,
  observeLoop,
  observeProcess,
} from "./law.ts";
import { withFields } from "./log-text.ts";
import { LitterCollector, MemoryKeeper, settleDown } from "./memory.ts";
import { Metrics } from "./metrics.ts";
import { createMetricsServer } from "./metrics-server.ts";
import { receiverStorage } from "./receiver-storage.ts";
import { Replays } from "./replays.ts";
import type { Route } from "./routes.ts";
import { holdsJournal, MEMORY, openMemory, openStorage, type Storage } from "./storage.ts";

export interface ServiceOptions {
  readonly config: Config;
  readonly components: Creators;
  readonly version: string;
  readonly log: Logger;
  /** The command line that starts this program again: extensions run their children with it. */
  readonly self: readonly string[];
  /** False: what the start leaves in memory is not collected at once, because the time of the start matters more. */
  readonly settles?: boolean;
  /** A part of the service died: stop and exit with an error. */
  readonly onFailure: (error: Error) => void;
}

/** Share of the memory limit that just-appended frames may take before they are read from disk. */
const CACHE_SHARE = 0.125;
const CACHE_BYTES = 64 << 20;
const STOP_MS = 10_000;
const JOURNALS_STOP_MS = 2_000;
/** How long queues without storage may be emptied at the stop. */
const DRAIN_MS = 5_000;

/**
 * One running configuration. Starts storages and extensions, then exporters, then receivers, then says ready; stops the other way round:
 * 1. not ready; 2. receivers finish what is in flight; 3. export loops end, what is unsent stays in the journal; 4. journals; 5. extensions.
 */
export class Service {
  readonly metrics = new Metrics();
  readonly #options: ServiceOptions;
  readonly #indexer = createIndexer();
  readonly #storages = new Map<string, Storage>();
  readonly #extensions = new Map<string, Component>();
  readonly #stopLoops = new AbortController();
  readonly #hurry = new AbortController();
  readonly #litter = new LitterCollector();
  readonly #deadline = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly #controls: Component[] = [];
  #telemetry: Pick<Component, "stop"> | undefined;
  /** Routes whose destination refuses everything, and why. */
  readonly #alarms = new Map<string, string>();
  #graph: Graph | undefined;
  #memory: MemoryKeeper | undefined;
  #state: "starting" | "ready" | "stopping" | "closed" = "starting";

  constructor(options: ServiceOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  async start(): Promise<void> {
    const { log } = this.#options;
    observeProcess(this.metrics, Date.now());
    const identity = {
      service_name: "otel-weir",
      service_version: this.#options.version,
      service_instance_id: randomUUID(),
    };
    this.metrics.observe("target_info", "Who this is.", identity, "gauge", () => 1);
    const loop = observeLoop(this.metrics);
    await this.#startExtensions();
    await this.#openStorages();
    const graph = this.#build();
    this.#graph = graph;
    await this.#openControls(graph);
    this.#warnOfOrphans(graph);
    await this.#startTelemetry();
    for (const { backend } of graph.outlets) await backend.start();
    for (const { loop, id } of graph.outlets)
      this.#loops.push(
        runExportLoop(loop, this.#stopLoops.signal).catch((error: unknown) =>
          this.#options.onFailure(new Error(`exporter ${id} ended`, { cause: error })),
        ),
      );
    for (const receiver of graph.receivers.values()) await receiver.start();
    if (this.#options.settles !== false) settleDown();
    this.#memory = new MemoryKeeper();
    loop.reset();
    this.#state = "ready";
    log.info(
      { pipelines: [...this.#options.config.service.pipelines.keys()].join(" ") },
      "Everything is ready. Begin running and processing data.",
    );
  }

  /** Finishes what is in flight within 10 s; nothing acknowledged is lost when that is too short. Safe at any moment, also twice. */
  async stop(): Promise<void> {
    this.#state = "stopping";
    this.#memory?.[Symbol.dispose]();
    const timer = setTimeout(() => this.#deadline.abort(), STOP_MS);
    const deadline = this.#deadline.signal;
    const receivers = [...(this.#graph?.receivers.values() ?? [])];
    await Promise.allSettled(receivers.map((receiver) => receiver.stop(deadline)));
    // Only now: what a receiver had buffered when it was told to stop is still taken.
    this.#state = "closed";
    await Promise.allSettled(this.#controls.map((control) => control.stop(deadline)));
    await this.#drainMemory(deadline);
    this.#stopLoops.abort();
    await Promise.allSettled(this.#loops);
    await Promise.allSettled(
      (this.#graph?.outlets ?? []).map(({ backend }) => backend.stop(deadline)),
    );
    // A time of their own: a slow client may have used up all of the other, and cursors that are not written are sent again.
    const journals = AbortSignal.timeout(JOURNALS_STOP_MS);
    for (const storage of this.#storages.values()) await this.#quietly(storage.stop(journals));
    for (const extension of [...this.#extensions.values()].reverse())
      await this.#quietly(extension.stop(deadline));
    if (this.#telemetry !== undefined) await this.#quietly(this.#telemetry.stop(deadline));
    clearTimeout(timer);
  }

  /** What waits in memory would be lost: it gets its chance, as in the Collector. */
  async #drainMemory(deadline: AbortSignal): Promise<void> {
    this.#hurry.abort();
    const { journal: memory, deadLetters } = this.#storages.get(MEMORY) ?? {};
    const waiting = (this.#graph?.routes ?? []).filter(({ journal }) => journal === memory);
    const left = () =>
      waiting.reduce((items, { reader }) => items + reader.counts().queuedItems, 0);
    for (const end = Date.now() + DRAIN_MS; left() > 0 && Date.now() < end && !deadline.aborted; )
      await sleep(20, deadline);
    const items = left();
    if (items > 0)
      this.#options.log.error(
        { items },
        "queues without storage were not empty at the stop: these items are lost",
      );
    const letters = SIGNALS.reduce((sum, one) => sum + (deadLetters?.counts(one).kept ?? 0), 0);
    if (letters > 0)
      this.#options.log.error(
        { letters },
        "dead letters of queues without storage are lost at the stop; sending_queue.storage keeps them",
      );
  }

  /** An exporter that is gone from the configuration, or has its queue elsewhere now, leaves one behind: it keeps its data, and its segments. */
  #warnOfOrphans({ routes }: Graph): void {
    for (const [storage, { journal }] of this.#storages) {
      const known = namesIn(journal, routes);
      for (const { name, queuedItems } of journal.routes())
        if (!known.has(name) && queuedItems > 0)
          this.#options.log.warn(
            { storage, route: name, items: queuedItems },
            "this queue belongs to an exporter that no pipeline names any more, or that has another storage now; its items are kept until the exporter comes back to it; weir replay --of this route --to another one queues them there, weir journal drop gives them up",
          );
    }
  }

  async #quietly(stopping: Promise<void>): Promise<void> {
    await stopping.catch((error: unknown) =>
      this.#options.log.warn({ error: String(error) }, "a part did not stop cleanly"),
    );
  }

  async #startExtensions(): Promise<void> {
    const { config, components, self, version } = this.#options;
    const { pipelines } = config.service;
    for (const id of config.service.extensions) {
      const extension = config.extensions.get(id);
      const factory = extension && components.extensions.get(extension.type);
      if (extension === undefined || factory === undefined)
        throw new Error(`extension "${id}" is not configured`);
      const context = {
        ...this.#context("extension", id),
        isReady: () => this.isReady,
        alarms: () => this.#alarms,
        running: { version, pipelines, figures: () => this.metrics.figures() },
        self,
      };
      const component = factory.create(extension.options, context);
      this.#extensions.set(id, component);
      await component.start();
    }
  }

  /** Opens every storage that some queue or receiver in use names, the memory one when a queue names none, and those that were used before. */
  async #openStorages(): Promise<void> {
    const { config, log } = this.#options;
    const cacheBytes = Math.min(CACHE_BYTES, Math.floor(memoryLimitBytes() * CACHE_SHARE));
    const took = (bytes: number) => this.#litter.took(bytes);
    const needs = { indexer: this.#indexer, log, nowMs: Date.now, cacheBytes, took };
    const open = async (id: string) => {
      const options = config.extensions.get(id)?.options as FileStorage | undefined;
      const storage =
        options === undefined ? await openMemory(needs) : await openStorage(id, options, needs);
      this.#storages.set(id, storage);
      observeJournal(this.metrics, id, storage.journal);
      observeCopies(this.metrics, id, storage.journal);
    };
    for (const id of storagesInUse(config)) await open(id);
    for (const id of storagesLeft(config))
      if (!this.#storages.has(id))
        await open(id).catch((error: unknown) =>
          log.warn(
            { storage: id, error: String(error) },
            "no exporter has its queue in this storage any more, and whether something waits there cannot be seen",
          ),
        );
  }

  /** After the exporters' routes are named and before anything is appended: replays have routes of their own. */
  async #openControls({ routes }: Graph): Promise<void> {
    for (const storage of this.#storages.values()) {
      const { journal, deadLetters, directory } = storage;
      const readers = namesIn(journal, routes);
      const replays = await Replays.open(journal, deadLetters, readers);
      observeLetters(this.metrics, storage, replays);
      if (directory === undefined) continue;
      const [{ Desk }, { createControl }] = await Promise.all([
        import("./desk.ts"),
        import("./control.ts"),
      ]);
      const desk = new Desk(storage, replays, readers);
      const control = createControl(directory, desk, this.#options.log);
      await control.start();
      this.#controls.push(control);
    }
  }

  #build(): Graph {
    const { config, components, log } = this.#options;
    const budget = createBudget(config.limits.budgetBytes ?? defaultBudgetBytes());
    this.metrics.observe(
      "weir_budget_used_bytes",
      "Bytes of requests in flight.",
      {},
      "gauge",
      () => budget.used,
    );
    this.metrics.observe(
      "weir_budget_limit_bytes",
      "Most bytes of requests in flight.",
      {},
      "gauge",
      () => budget.limit,
    );
    return buildGraph(config, components, {
      onPaused: (route, why) => {
        if (why === undefined) this.#alarms.delete(route);
        else this.#alarms.set(route, why);
      },
      gate: {
        meter: this.metrics,
        log,
        nowMs: Date.now,
        isClosed: () => this.#state === "closed",
        take: (bytes) => budget.take(bytes),
        took: (bytes) => this.#litter.took(bytes),
        catchUp: new CatchUp(),
      },
      context: (kind, id) => this.#context(kind, id),
      storages: this.#storages,
      hurry: this.#hurry.signal,
      deadline: this.#deadline.signal,
    });
  }

  async #startTelemetry(): Promise<void> {
    const { config, log } = this.#options;
    const { metricsEndpoint: endpoint } = config.service.telemetry;
    if (endpoint === undefined) return;
    const server = createMetricsServer(endpoint, this.metrics, () => this.#graph?.routes ?? []);
    await server.start();
    this.#telemetry = server;
    log.info(
      { endpoint: `http://${server.address() ?? endpoint}/metrics` },
      "metrics are served here",
    );
  }

  #context(kind: string, id: string): Context {
    return {
      id,
      log: withFields(this.#options.log, { [kind]: id }),
      meter: this.metrics,
      indexer: this.#indexer,
      nowMs: Date.now,
      fail: this.#options.onFailure,
      authenticator: (name) => {
        const extension = this.#extensions.get(name);
        if (extension === undefined || !isAuthenticator(extension))
          throw new Error(`extension "${name}" does not run, or it authenticates nobody`);
        return extension;
      },
    };
  }
}

/** Ids of the storages that exporters and receivers in pipelines name; "memory" where a queue names none. */
function storagesInUse(config: Config): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const { exporters, receivers } of config.service.pipelines.values()) {
    for (const id of receivers) {
      const named = receiverStorage(config.receivers.get(id));
      if (named !== undefined) ids.add(named);
    }
    for (const id of exporters) {
      const options = config.exporters.get(id)?.options as
        | { sending_queue?: { enabled?: boolean; storage?: string } }
        | undefined;
      const queue = options?.sending_queue;
      ids.add((queue?.enabled === false ? undefined : queue?.storage) ?? MEMORY);
    }
  }
  return ids;
}

/** Ids of the started storages that hold a journal: queues that no exporter has there any more may still have items. */
function storagesLeft({ extensions, service }: Config): readonly string[] {
  return service.extensions.filter((id) => {
    const { type, options } = extensions.get(id) ?? {};
    return type === "file_storage" && holdsJournal((options as FileStorage).directory);
  });
}

/** Names of the routes that have their queue in this journal. */
function namesIn(own: Journal, routes: readonly Route[]): ReadonlySet<string> {
  return new Set(routes.filter(({ journal }) => journal === own).map(({ name }) => name));
}
