/** What the outage bench leaves in docs/: a graph and its figures. */
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { isBalanced, type Law } from "../test/support/service.ts";
import type { Ending, Outage, Phase, Second } from "./outage.ts";
import { chart, type Panel } from "./svg.ts";

const DOCS = join(import.meta.dirname, "..", "docs");

/** Writes docs/outage.svg and docs/outage.md, and prints the latter. */
export async function writePages(
  outage: Outage,
  seconds: readonly Second[],
  phases: readonly Phase[],
  ending: Ending,
): Promise<void> {
  const page = pageOf(outage, seconds, phases, ending);
  await writeFile(join(DOCS, "outage.svg"), graphOf(outage, seconds, phases));
  await writeFile(join(DOCS, "outage.md"), page);
  console.log(page);
}

function titleOf({ minutes, rate }: Outage): string {
  const time = minutes === 1 ? "One minute" : `${minutes} minutes`;
  return `${time} without one of two destinations, ${rate.toLocaleString("en")} items/s`;
}

function graphOf(outage: Outage, seconds: readonly Second[], phases: readonly Phase[]): string {
  const line = (
    name: string,
    color: "red" | "blue" | "green" | "grey",
    of: (s: Second) => number,
  ) => ({
    name,
    color,
    values: seconds.map(of),
  });
  const panels: readonly Panel[] = [
    {
      title: "Queue of the dead one",
      unit: "million items",
      lines: [line("waiting", "red", ({ queued }) => queued / 1e6)],
    },
    {
      title: "Rates",
      unit: "thousand items/s",
      lines: [
        line("the dead one", "red", ({ back }) => back / 1e3),
        line("acknowledged", "grey", ({ acknowledged }) => acknowledged / 1e3),
        line("the other one", "blue", ({ well }) => well / 1e3),
      ],
    },
    {
      title: "Delay at the other one",
      unit: "ms",
      lines: [
        line("p99 of a second", "blue", ({ p99 }) => p99),
        line("median", "grey", ({ p50 }) => p50),
      ],
    },
    {
      title: "Resident memory of the service",
      unit: "MB",
      lines: [line("RSS", "green", ({ rssMb }) => rssMb)],
    },
  ];
  const [, dead, drains] = phases;
  const end = (phase: Phase | undefined) => seconds[(phase?.to ?? 1) - 1]?.at ?? 0;
  const begin = (phase: Phase | undefined) => seconds[phase?.from ?? 0]?.at ?? 0;
  return chart(
    titleOf(outage),
    seconds.map(({ at }) => at),
    [
      { name: "one is dead", color: "red", from: begin(dead) - 1, to: end(dead) },
      { name: "drains", color: "grey", from: end(dead), to: end(drains) },
    ],
    panels,
  );
}

function pageOf(
  outage: Outage,
  seconds: readonly Second[],
  phases: readonly Phase[],
  { refused, laws }: Ending,
): string {
  const rows = phases.map((phase) => phaseRow(phase, seconds.slice(phase.from, phase.to)));
  return `# ${titleOf(outage)}

\`npm run bench -- --outage --minutes ${outage.minutes} --rate ${outage.rate}\` on ${cpus()[0]?.model ?? "an unknown processor"}, the service on one core of it; load and both
destinations share another. Two \`influxdb\` exporters on one durable journal. Delays are from the sender's call to the arrival at the
destination that is always alive; p99 is taken of each second. The last column is of the machine: how long the service was ready to run and
another process had its core. Delays of such a second say nothing about the service.

![Queue, rates, delay and resident memory over the run](outage.svg)

| | seconds | acknowledged/s | other one/s | dead one/s | delay p50 ms | p99 of a second: median, worst ms | RSS MB: first, most | waited for the core, ms of a second: median, worst |
|---|---|---|---|---|---|---|---|---|
${rows.join("\n")}

${refused.toLocaleString("en")} items were refused. ${laws.map(lawOf).join(" ")}
`;
}

function phaseRow({ name }: Phase, own: readonly Second[]): string {
  const mean = (of: (second: Second) => number) =>
    Math.round(own.reduce((sum, second) => sum + of(second), 0) / Math.max(1, own.length));
  const sorted = (of: (second: Second) => number) => own.map(of).sort((a, b) => a - b);
  const p99s = sorted(({ p99 }) => p99);
  const p50s = sorted(({ p50 }) => p50);
  const waits = sorted(({ waitedMs }) => waitedMs);
  const middle = (values: readonly number[]) => (values[values.length >> 1] ?? 0).toFixed(0);
  const most = (values: readonly number[]) => (values.at(-1) ?? 0).toFixed(0);
  const rss = own.map(({ rssMb }) => rssMb);
  return [
    `| ${name}`,
    own.length,
    mean(({ acknowledged }) => acknowledged).toLocaleString("en"),
    mean(({ well }) => well).toLocaleString("en"),
    mean(({ back }) => back).toLocaleString("en"),
    middle(p50s),
    `${middle(p99s)}, ${most(p99s)}`,
    `${(rss[0] ?? 0).toFixed(0)}, ${Math.max(0, ...rss).toFixed(0)}`,
    `${middle(waits)}, ${most(waits)} |`,
  ].join(" | ");
}

function lawOf(law: Law): string {
  const n = (items: number) => items.toLocaleString("en");
  return `${law.exporter}: ${n(law.appended)} appended, ${n(law.delivered)} delivered, ${n(law.queued)} queued${isBalanced(law) ? "" : ": NOT BALANCED"}.`;
}
