/**
 * `npm run bench -- --outage [--minutes 10] [--rate 50000]`: one of two destinations is dead for so long while items come in at this rate.
 * Writes docs/outage.svg and docs/outage.md: queue, rates, delay at the other destination and resident memory, each second.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isBalanced, type Law, type Service } from "../test/support/service.ts";
import { delaysOf, post, stamped, timedSink } from "./delay.ts";
import { pinToLoadCore, rssMb, waitedMs, withExporters } from "./delivery.ts";
import { writePages } from "./outage-pages.ts";

export interface Outage {
  readonly minutes: number;
  /** Items a second. */
  readonly rate: number;
}

/** What was seen in one second. */
export interface Second {
  /** Its end, in seconds since the first began. */
  readonly at: number;
  readonly acknowledged: number;
  /** Items that the destination took that is always alive, and the one that is not. */
  readonly well: number;
  readonly back: number;
  /** Items that wait for the dead one. */
  readonly queued: number;
  /** At the destination that is always alive, milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly rssMb: number;
  /** The service was ready and another process had its core, milliseconds. */
  readonly waitedMs: number;
}

/** A stretch of the run, as indexes of seconds. */
export interface Phase {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface Ending {
  readonly refused: number;
  readonly laws: readonly Law[];
}

const IN_REQUEST = 100;
const TICK_MS = 10;
const WARM_MS = 20_000;
const BEFORE_S = 30;
const AFTER_S = 30;
/** The queue counts as drained when so many seconds' worth of items are left: what is in flight at any time. */
const LEFT_S = 1;

export async function outageBench(outage: Outage): Promise<void> {
  pinToLoadCore();
  await using well = await timedSink();
  await using back = await timedSink();
  const route = (port: number) =>
    `{ endpoint: "http://127.0.0.1:${port}", database: weir, tables: [function_logs], sending_queue: { storage: file_storage, queue_size: 100000000000, sizer: bytes } }`;
  const exporters = { "influxdb/well": route(well.port), "influxdb/back": route(back.port) };
  await withExporters(exporters, async (service, { http }) => {
    const sender = new Sender(http, outage.rate);
    await sleep(WARM_MS);
    const seconds: Second[] = [];
    const begun = performance.now();
    const look = async () => {
      const laws = await service.law();
      return {
        acknowledged: sender.acknowledged,
        well: lawOf(laws, "well"),
        back: lawOf(laws, "back"),
        waitedMs: await waitedMs(service),
      };
    };
    let before = await look();
    await well.delays();
    const observe = async () => {
      await sleep(1_000 - ((performance.now() - begun) % 1_000));
      const now = await look();
      const { p50, p99 } = delaysOf(await well.delays());
      seconds.push({
        at: (performance.now() - begun) / 1_000,
        acknowledged: now.acknowledged - before.acknowledged,
        well: now.well.delivered - before.well.delivered,
        back: now.back.delivered - before.back.delivered,
        queued: now.back.queued,
        p50,
        p99,
        rssMb: await rssMb(service),
        waitedMs: now.waitedMs - before.waitedMs,
      });
      before = now;
    };
    const dead = BEFORE_S + Math.round(outage.minutes * 60);
    while (seconds.length < BEFORE_S) await observe();
    back.die();
    while (seconds.length < dead) await observe();
    back.live();
    const most = 2 * dead + 60;
    do await observe();
    while (seconds.length < most && (seconds.at(-1)?.queued ?? 0) > LEFT_S * outage.rate);
    const drained = seconds.length;
    while (seconds.length < drained + AFTER_S) await observe();
    await sender.stop();
    await emptied(service);
    const phases = [
      { name: "both alive", from: 0, to: BEFORE_S },
      { name: "one is dead", from: BEFORE_S, to: dead },
      { name: "it is back and drains", from: dead, to: drained },
      { name: "both alive again", from: drained, to: seconds.length },
    ];
    const laws = await service.law();
    await writePages(outage, seconds, phases, { refused: sender.refused, laws });
    if (sender.refused > 0 || !laws.every(isBalanced)) process.exitCode = 1;
  });
}

/** So many requests as the pace asks for, whatever the answers take; what is refused is sent no more. */
class Sender {
  acknowledged = 0;
  refused = 0;
  #isOver = false;
  readonly #rate: number;
  readonly #loop: Promise<void>;
  readonly #open = new Set<Promise<void>>();

  constructor(port: number, rate: number) {
    this.#rate = rate;
    this.#loop = this.#run(port);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#loop;
    await Promise.all(this.#open);
  }

  async #run(port: number): Promise<void> {
    const begun = performance.now();
    for (let sent = 0; !this.#isOver; await sleep(TICK_MS)) {
      const due = ((performance.now() - begun) * this.#rate) / IN_REQUEST / 1_000;
      for (; sent < due; sent++) {
        const one = this.#post(port).finally(() => this.#open.delete(one));
        this.#open.add(one);
      }
    }
  }

  async #post(port: number): Promise<void> {
    const status = await post(port, stamped()).catch(() => 0);
    if (status === 200) this.acknowledged += IN_REQUEST;
    else this.refused += IN_REQUEST;
  }
}

function lawOf(laws: readonly Law[], name: string): Law {
  const law = laws.find(({ exporter }) => exporter === `influxdb/${name}`);
  if (law === undefined) throw new Error(`/metrics names no route of influxdb/${name}`);
  return law;
}

async function emptied(service: Service): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(200))
    if ((await service.law()).every(({ queued }) => queued === 0)) return;
}
