/**
 * `npm run bench -- --outage [--minutes 10]`: one of two destinations is dead for so long while items come in at 50,000 a second. Writes
 * docs/outage.svg: queue, rates, delay at the other destination and resident memory, each second.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isBalanced, type Law, type Service } from "../test/support/service.ts";
import { delaysOf, openSink, post, stamped } from "./delay.ts";
import { rssMb, withExporters } from "./delivery.ts";
import { chart } from "./svg.ts";

const PER_SECOND = 50_000;
const IN_REQUEST = 100;
const TICK_MS = 10;
const WARM_MS = 10_000;
const BEFORE_S = 20;
const FILE = join(import.meta.dirname, "..", "docs", "outage.svg");

interface Second {
  readonly at: number;
  readonly acknowledged: number;
  readonly well: number;
  readonly back: number;
  readonly queued: number;
  readonly delays: number[];
  readonly rss: number;
}

export async function outageBench(minutes: number): Promise<void> {
  await using well = await openSink();
  await using back = await openSink();
  const route = (port: number) =>
    `{ endpoint: "http://127.0.0.1:${port}", database: weir, tables: [function_logs], sending_queue: { storage: file_storage, queue_size: 100000000000, sizer: bytes } }`;
  const exporters = { "influxdb/well": route(well.port), "influxdb/back": route(back.port) };
  await withExporters(exporters, async (service, { http }) => {
    const sender = new Sender(http);
    await sleep(WARM_MS);
    const seconds: Second[] = [];
    const begun = performance.now();
    const observe = async () => {
      const before = [sender.acknowledged, well.items, back.items] as const;
      well.take();
      await sleep(1_000 - ((performance.now() - begun) % 1_000));
      const laws = await service.law();
      seconds.push({
        at: (performance.now() - begun) / 1_000,
        acknowledged: sender.acknowledged - before[0],
        well: well.items - before[1],
        back: back.items - before[2],
        queued: lawOf(laws, "back").queued,
        delays: well.take(),
        rss: await rssMb(service),
      });
    };
    const dead = BEFORE_S + minutes * 60;
    const most = dead * 2 + 60;
    while (seconds.length < BEFORE_S) await observe();
    back.isDead = true;
    while (seconds.length < dead) await observe();
    back.isDead = false;
    do await observe();
    while (seconds.length < most && (seconds.at(-1)?.queued ?? 0) > PER_SECOND);
    const drained = seconds.length;
    for (let i = 0; i < BEFORE_S / 2; i++) await observe();
    await sender.stop();
    await emptied(service);
    await writeFile(FILE, graph(seconds, dead, minutes));
    report(seconds, dead, drained, sender, await service.law());
  });
}

/** So many requests as the pace asks for, whatever the answers take; what is refused is sent no more. */
class Sender {
  acknowledged = 0;
  refused = 0;
  #isOver = false;
  readonly #loop: Promise<void>;
  readonly #open = new Set<Promise<void>>();

  constructor(port: number) {
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
      const due = ((performance.now() - begun) * PER_SECOND) / IN_REQUEST / 1_000;
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
  return laws.find(({ exporter }) => exporter === `influxdb/${name}`) as Law;
}

async function emptied(service: Service): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(200))
    if ((await service.law()).every(({ queued }) => queued === 0)) return;
}

function graph(seconds: readonly Second[], dead: number, minutes: number): string {
  const line = (name: string, color: string, value: (second: Second) => number) => {
    return { name, color, values: seconds.map(value) };
  };
  const outage = { name: "one destination is dead", from: BEFORE_S, to: dead };
  return chart(
    `${minutes} minutes without one of two destinations, ${PER_SECOND.toLocaleString("en")} items/s`,
    seconds.map(({ at }) => at),
    outage,
    [
      {
        title: "Queue of the dead one",
        unit: "million items",
        lines: [line("waiting", "#a33", ({ queued }) => queued / 1e6)],
      },
      {
        title: "Rates",
        unit: "thousand items/s",
        lines: [
          line("dead one", "#a33", ({ back }) => back / 1e3),
          line("acknowledged", "#888", ({ acknowledged }) => acknowledged / 1e3),
          line("other one", "#27c", ({ well }) => well / 1e3),
        ],
      },
      {
        title: "Delay at the other one",
        unit: "ms, p99 of a second",
        lines: [line("receipt → arrival", "#27c", ({ delays }) => delaysOf(delays).p99)],
      },
      {
        title: "Resident memory",
        unit: "MB",
        lines: [line("service", "#363", ({ rss }) => rss)],
      },
    ],
  );
}

function report(
  seconds: readonly Second[],
  dead: number,
  drained: number,
  sender: Sender,
  laws: readonly Law[],
): void {
  const phases: readonly (readonly [string, number, number])[] = [
    ["both alive", 0, BEFORE_S],
    ["one dead", BEFORE_S, dead],
    ["it drains", dead, drained],
    ["both alive again", drained, seconds.length],
  ];
  console.table(
    phases.map(([phase, from, to]) => {
      const own = seconds.slice(from, to);
      const mean = (value: (second: Second) => number) =>
        own.reduce((sum, second) => sum + value(second), 0) / Math.max(1, own.length);
      const { p50, p99, worst } = delaysOf(own.flatMap(({ delays }) => delays));
      return {
        phase,
        seconds: own.length,
        "acknowledged/s": Math.round(mean(({ acknowledged }) => acknowledged)),
        "other one/s": Math.round(mean(({ well }) => well)),
        "dead one/s": Math.round(mean(({ back }) => back)),
        "delay p50 ms": p50.toFixed(0),
        "p99 ms": p99.toFixed(0),
        "worst ms": worst.toFixed(0),
        "RSS MB, most": Math.max(...own.map(({ rss }) => rss)).toFixed(0),
      };
    }),
  );
  console.log(`refused ${sender.refused} items; ${FILE} is written`);
  for (const law of laws)
    console.log(
      `law    ${law.exporter}: ${law.appended} appended, ${law.delivered} delivered, ${law.dropped} dropped, ${law.queued} queued: ${isBalanced(law) ? "balanced" : "NOT BALANCED"}`,
    );
}
