import type { ReadLimits } from "../../journal/journal.ts";
import { sleep } from "../../lib/sleep.ts";
import type { Signal } from "../../otlp/tape.ts";
import { DeliveryRoute, type ExportLoopOptions } from "./delivery-route.ts";
import { Shipment } from "./shipment.ts";

const GRACE_MS = 5_000;
/** Pause after a read that failed: the journal says why, and reading again at once would only say it faster. */
const READ_AGAIN_MS = 1_000;

/** What is read in an outage only finds out whether it is one, and is held until it is over. */
const OUTAGE_BYTES = 64 << 10;

/**
 * Delivers one route until `stop`: reads ranges while lanes are free, one more when there is a whole one, and settles each once all its
 * items have an end.
 * After `stop` nothing new is read; posts in flight have the grace, and ranges that are not done stay queued. Rejects only when
 * the journal refuses a settlement, which is a defect.
 */
export async function runExportLoop<S extends Signal>(
  options: ExportLoopOptions<S>,
  stop: AbortSignal,
): Promise<void> {
  const broken = new AbortController();
  const ending = AbortSignal.any([stop, broken.signal]);
  // Once, and not for each read: a signal that follows others is dear to make, and to collect.
  const noWait = options.hurry === undefined ? ending : AbortSignal.any([ending, options.hurry]);
  using grace = graceAfter(ending, options);
  const route = new DeliveryRoute(options, ending, grace.signal);
  const { lanes, next } = route;
  const inFlight = new Set<Promise<void>>();
  let ahead: Shipment<S> | undefined;
  while (!ending.aborted) {
    if (!route.mayRead()) {
      await lanes.freed();
      continue;
    }
    if (!lanes.tryTakeForRange()) {
      if (ahead === undefined) {
        ahead = await readAhead(route);
        next.readAhead(ahead);
      } else await lanes.freed();
      continue;
    }
    const shipment: Shipment<S> | undefined = ahead ?? (await readNext(route, noWait));
    ahead = undefined;
    next.readAhead(undefined);
    if (shipment !== undefined) await route.span.near(shipment.range, ending);
    if (shipment === undefined || ending.aborted) {
      lanes.give();
      continue;
    }
    route.rangesInFlight += 1;
    const delivery = deliver(route, shipment)
      .catch((reason: unknown) => broken.abort(reason))
      .finally(() => {
        inFlight.delete(delivery);
        route.rangesInFlight -= 1;
      });
    inFlight.add(delivery);
  }
  await Promise.all(inFlight);
  if (broken.signal.aborted) throw broken.signal.reason;
}

async function deliver<S extends Signal>(
  route: DeliveryRoute<S>,
  shipment: Shipment<S>,
): Promise<void> {
  using _inFlight = route.span.enter(shipment.range);
  const tally = await shipment.run();
  if (tally !== undefined) route.options.reader.settle(shipment.range, tally);
}

/** `noWait` ends waiting for more; who has no patience any more takes what there is. */
async function readNext<S extends Signal>(
  route: DeliveryRoute<S>,
  noWait: AbortSignal,
): Promise<Shipment<S> | undefined> {
  const { stop } = route;
  const signal = noWait.aborted ? stop : noWait;
  try {
    return new Shipment(route, await route.options.reader.read(readLimits(route), signal));
  } catch (reason) {
    if (signal.aborted) return undefined;
    const why = reason instanceof Error ? reason.message : String(reason);
    route.log("error", "read", 1, () => ({ why }), "the queue cannot be read; trying again");
    await sleep(READ_AGAIN_MS, stop);
    return undefined;
  }
}

/** While all lanes are taken: a whole range, so that the next lane has something at once; undefined when one is free before there is one. */
async function readAhead<S extends Signal>(
  route: DeliveryRoute<S>,
): Promise<Shipment<S> | undefined> {
  const { options, lanes } = route;
  const isFree = new AbortController();
  const freed = lanes.freed().then(() => isFree.abort(new Error("a lane is free")));
  const limits = mostOf(route);
  const whole = { ...limits, minItems: limits.items, waitMs: Number.POSITIVE_INFINITY };
  try {
    return new Shipment(route, await options.reader.read(whole, isFree.signal));
  } catch {
    // another error than this one comes again, from the next lane's own read, which says so
    await freed;
    return undefined;
  }
}

function readLimits<S extends Signal>(route: DeliveryRoute<S>): ReadLimits {
  const { batch } = route.options;
  const { minItems = 0, minBytes, waitMs = 0 } = batch ?? {};
  const most = mostOf(route);
  if (route.options.hurry?.aborted) return most;
  const { lingerMs } = route.lanes;
  if (lingerMs > waitMs) return { ...most, minItems: most.items, waitMs: lingerMs };
  if (batch === undefined) return most;
  return { ...most, minItems, waitMs, ...(minBytes !== undefined && { minBytes }) };
}

function mostOf<S extends Signal>({ options, fit, outage }: DeliveryRoute<S>): ReadLimits {
  const { items } = options.backend.limits;
  const bytes = outage.isOn ? Math.min(fit.bytes, OUTAGE_BYTES) : fit.bytes;
  return { bytes, items: Math.min(items, options.batch?.maxItems ?? items) };
}

/** A signal that aborts when the grace after `stop` is over, or at the caller's deadline. */
function graceAfter(
  stop: AbortSignal,
  { graceMs = GRACE_MS, deadline }: Pick<ExportLoopOptions, "graceMs" | "deadline">,
): Disposable & { readonly signal: AbortSignal } {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const end = () => over.abort();
  const begin = () => {
    timer = setTimeout(end, graceMs);
  };
  if (stop.aborted) begin();
  stop.addEventListener("abort", begin);
  if (deadline?.aborted) end();
  deadline?.addEventListener("abort", end);
  return {
    signal: over.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      stop.removeEventListener("abort", begin);
      deadline?.removeEventListener("abort", end);
    },
  };
}
