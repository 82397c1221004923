import type { Delivery, SendingQueue } from "../config/blocks.ts";
import type { ComponentConfig, Config } from "../config/config.ts";
import { routesOf } from "../journal/routes.ts";
import type { Backend } from "../kit/delivery/backend.ts";
import type { DeadLetters } from "../kit/delivery/dead-letters.ts";
import type { ExportLoopOptions } from "../kit/delivery/delivery-route.ts";
import { Turns } from "../kit/delivery/turns.ts";
import { getOrMake } from "../lib/get-or-make.ts";
import { pickItems } from "../otlp/pick.ts";
import type { Signal } from "../otlp/tape.ts";
import type { Component, Transform } from "../pipeline/contracts.ts";
import type { Context } from "../pipeline/factory.ts";
import type { Logger } from "../pipeline/telemetry.ts";
import type { Creators } from "./creators.ts";
import { type Gate, ReceiverIntake } from "./intake.ts";
import { observeQueue, observeRoute } from "./law.ts";
import { ITEM_NAMES } from "./ledger.ts";
import { Pipeline } from "./pipeline.ts";
import { receiverStorage } from "./receiver-storage.ts";
import { AwaitedReader } from "./results.ts";
import { type Route, routeLimits } from "./routes.ts";
import { MEMORY, type Storage } from "./storage.ts";

/** An exporter × signal that is ready to run: its destination, and what its loop needs. */
export interface Outlet {
  readonly id: string;
  readonly backend: Backend;
  readonly loop: ExportLoopOptions;
}

/** Everything that the pipelines of a configuration name, built and wired, not started. */
export interface Graph {
  readonly receivers: ReadonlyMap<string, Component>;
  readonly outlets: readonly Outlet[];
  readonly routes: readonly Route[];
}

/** What the graph takes from the service. */
export interface Surroundings {
  readonly gate: Gate;
  /** The context of one component: its id, its logger. */
  readonly context: (kind: string, id: string) => Context;
  /** By id of the file_storage; "memory" for queues without one. */
  readonly storages: ReadonlyMap<string, Storage>;
  readonly deadline: AbortSignal;
  /** Once it aborts, no send waits for more items. */
  readonly hurry: AbortSignal;
  /** Told why a route's destination refuses everything; undefined when it works again. */
  readonly onPaused: (route: string, why: string | undefined) => void;
}

/** Builds exporters first and receivers last, so that each finds what it feeds. Only what a pipeline uses is built. */
export function buildGraph(config: Config, components: Creators, around: Surroundings): Graph {
  const outlets: Outlet[] = [];
  const routes = new Map<string, Route>();
  const pipelines = new Map<string, Pipeline>();
  const lateTurns = new Turns();
  for (const [id, { signal, exporters, processors }] of config.service.pipelines) {
    const targets = exporters.map((exporter) =>
      getOrMake(routes, `${exporter}/${signal}`, () => {
        const { route, outlet } = connect(entry(config.exporters, exporter), signal, components, {
          ...around,
          lateTurns,
        });
        outlets.push(outlet);
        return route;
      }),
    );
    const transforms = new Map<string, Transform>();
    for (const name of processors)
      transforms.set(name, transform(entry(config.processors, name), components, around));
    pipelines.set(id, new Pipeline(id, signal, transforms, targets, around.gate.meter));
  }
  const receivers = new Map<string, Component>();
  for (const [id, receiver] of config.receivers) {
    const fed = [...config.service.pipelines].filter(([, { receivers: named }]) =>
      named.includes(id),
    );
    if (fed.length === 0) continue;
    const own = fed.flatMap(([name]) => pipelines.get(name) ?? []);
    const storage = memoStorage(receiver, own, around.storages);
    const intake = new ReceiverIntake(id, own, around.gate, storage);
    const factory = found(components.receivers, receiver);
    receivers.set(id, factory.create(receiver.options, around.context("receiver", id), intake));
  }
  return { receivers, outlets, routes: [...routes.values()] };
}

/** Where a receiver keeps its memos: in the storage that it names, else in the first that keeps the queue of one of its exporters. */
function memoStorage(
  receiver: ComponentConfig,
  pipelines: readonly Pipeline[],
  storages: ReadonlyMap<string, Storage>,
): Storage | undefined {
  const named = receiverStorage(receiver);
  if (named !== undefined) return entry(storages, named);
  const durable = [...storages.values()].filter(({ directory }) => directory !== undefined);
  return durable.find(({ journal }) => pipelines.some(({ bits }) => bits.has(journal)));
}

function transform(
  processor: ComponentConfig,
  components: Creators,
  around: Surroundings,
): Transform {
  return found(components.processors, processor).create(
    processor.options,
    around.context("processor", processor.id),
  );
}

/** One exporter × signal: its route in the right journal, and its loop's options. */
function connect(
  exporter: ComponentConfig,
  signal: Signal,
  components: Creators,
  around: Surroundings & { readonly lateTurns: Turns },
) {
  const { id } = exporter;
  const options = exporter.options as Delivery;
  const { sending_queue: queue, retry_on_failure: retry, timeout: timeoutMs } = options;
  const name = `${id}/${signal}`;
  const storage = entry(around.storages, queue.enabled ? (queue.storage ?? MEMORY) : MEMORY);
  const { journal } = storage;
  const isAwaited = queue.wait_for_result || !queue.enabled;
  const own = journal.route(name, signal, "end", routeLimits(queue));
  const reader = isAwaited ? new AwaitedReader(own) : own;
  const route: Route = {
    name,
    exporter: id,
    signal,
    journal,
    reader,
    bits: routesOf([own.route]),
    enqueueFailed: around.gate.meter.counter(
      `otelcol_exporter_enqueue_failed_${ITEM_NAMES[signal]}`,
      "Items of requests that were refused: a queue was full, the disk did not take them, or the destination said no while the sender waited for it.",
      { exporter: id, data_type: signal },
    ),
    ...(reader instanceof AwaitedReader && { awaited: reader }),
  };
  observeRoute(around.gate.meter, route);
  observeQueue(around.gate.meter, route, queue);
  const types = (database: string) => storage.types.registry(`${id} ${database}`);
  const context = { ...around.context("exporter", id), signal, route: name, types };
  const backend = found(components.exporters, exporter).create(options, context);
  const outlet: Outlet = {
    id,
    backend,
    loop: {
      reader,
      backend,
      journalId: journal.id,
      deadLetters:
        storage.directory === undefined
          ? forgetful(storage.deadLetters, context.log)
          : storage.deadLetters,
      retry,
      timeoutMs,
      lanes: queue.num_consumers,
      ...(queue.batch !== undefined && { batch: batching(queue.batch, queue.sizer) }),
      indexer: context.indexer,
      log: context.log,
      meter: context.meter,
      nowMs: context.nowMs,
      pick: pickItems,
      hurry: around.hurry,
      deadline: around.deadline,
      lateTurns: around.lateTurns,
      onPaused: (why) => around.onPaused(name, why),
    },
  };
  return { route, outlet };
}

/** Says with the first letter that no command will show it. */
function forgetful(letters: DeadLetters, log: Logger): DeadLetters {
  let isSaid = false;
  return {
    add(letter) {
      if (!isSaid)
        log.warn(
          { route: letter.route },
          "this queue has no storage: its dead letters are in memory, where weir dead-letter does not see them, and are lost at the stop; sending_queue.storage keeps them",
        );
      isSaid = true;
      return letters.add(letter);
    },
  };
}

function batching(batch: NonNullable<SendingQueue["batch"]>, ofQueue: SendingQueue["sizer"]) {
  const { flush_timeout: waitMs, min_size: min, max_size: max, sizer = ofQueue } = batch;
  const inItems = sizer !== "bytes";
  return {
    waitMs,
    ...(inItems ? { minItems: min } : { minItems: Number.MAX_SAFE_INTEGER, minBytes: min }),
    ...(max > 0 && (inItems ? { maxItems: max } : { maxBytes: max })),
  };
}

function entry<T>(entries: ReadonlyMap<string, T>, id: string): T {
  const known = entries.get(id);
  if (known === undefined) throw new Error(`"${id}" is not configured`);
  return known;
}

function found<T>(factories: ReadonlyMap<string, T>, { type, id }: ComponentConfig): T {
  const factory = factories.get(type);
  if (factory === undefined) throw new Error(`"${id}": there is no component of type "${type}"`);
  return factory;
}
