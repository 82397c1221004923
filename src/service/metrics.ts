import { getOrMake } from "../lib/get-or-make.ts";
import type { Counter, Figure, Labels, Meter } from "../pipeline/telemetry.ts";

interface Family {
  readonly help: string;
  readonly type: "counter" | "gauge";
  /** By rendered labels. */
  readonly series: Map<string, Series>;
}

interface Series {
  readonly labels: Labels;
  readonly read: () => number;
}

/** The numbers of one service: registered by components, read at scrape time, printed as Prometheus text 0.0.4. */
export class Metrics implements Meter {
  readonly #families = new Map<string, Family>();

  counter(name: string, help: string, labels: Labels): Counter {
    let total = 0;
    this.observe(name, help, labels, "counter", () => total);
    return {
      add(n) {
        total += n;
      },
    };
  }

  observe(
    name: string,
    help: string,
    labels: Labels,
    type: "counter" | "gauge",
    read: () => number,
  ): void {
    const family = getOrMake(this.#families, name, () => ({ help, type, series: new Map() }));
    const key = renderLabels(labels);
    const before = family.series.get(key);
    const isFirst = before === undefined || type === "gauge";
    family.series.set(key, { labels, read: isFirst ? read : () => before.read() + read() });
  }

  /** Value of one series; undefined when it was never registered. For tests and the health page. */
  value(name: string, labels: Labels): number | undefined {
    return this.#families.get(name)?.series.get(renderLabels(labels))?.read();
  }

  /** Every value, as it is now. */
  *figures(): Generator<Figure> {
    for (const [name, { series }] of this.#families)
      for (const { labels, read } of series.values()) yield { name, labels, value: read() };
  }

  /** Prometheus text exposition format 0.0.4. */
  text(): string {
    const lines: string[] = [];
    for (const [name, { help, type, series }] of [...this.#families].sort(([a], [b]) =>
      a < b ? -1 : 1,
    )) {
      lines.push(
        `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}`,
        `# TYPE ${name} ${type}`,
      );
      for (const [labels, { read }] of series) lines.push(`${name}${labels} ${number(read())}`);
    }
    lines.push("");
    return lines.join("\n");
  }
}

/** `{a="1",b="2"}`, names in order, values escaped; nothing for no labels. */
export function renderLabels(labels: Labels): string {
  const parts = Object.keys(labels)
    .sort()
    .map((name) => `${name}="${escapeLabel(labels[name] ?? "")}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
