/** Line charts over one time axis, one below the other, as SVG for light and dark pages. */
export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly name: string;
  readonly color: Color;
  /** One value per point of time. */
  readonly values: readonly number[];
}

/** A stretch of time with a name. */
export interface Span {
  readonly name: string;
  readonly color: Color;
  readonly from: number;
  readonly to: number;
}

/** Of lines, and paler behind them; what each is depends on the page. */
export type Color = "red" | "blue" | "green" | "grey";

const STYLE = `<style>
svg { --page: #ffffff; --text: #1f2328; --grid: #d8dee4; --red: #b3261e; --blue: #1f6feb; --green: #2f7d32; --grey: #6e7781 }
@media (prefers-color-scheme: dark) {
  svg { --page: #0d1117; --text: #e6edf3; --grid: #30363d; --red: #ff7b72; --blue: #79c0ff; --green: #7ee787; --grey: #9aa4af }
}
</style>`;

const WIDTH = 900;
const LEFT = 70;
const RIGHT = 20;
const TOP = 46;
const PANEL = 150;
const GAP = 46;
const TICKS = 4;

/** `times` in seconds, ascending; `spans` are shaded. */
export function chart(
  title: string,
  times: readonly number[],
  spans: readonly Span[],
  panels: readonly Panel[],
): string {
  const height = TOP + panels.length * (PANEL + GAP);
  const last = Math.max(1, times.at(-1) ?? 1);
  const x = (seconds: number) => LEFT + (seconds / last) * (WIDTH - LEFT - RIGHT);
  const shades = spans.map(
    ({ name, color, from, to }) =>
      `<rect x="${n(x(from))}" y="${TOP}" width="${n(x(to) - x(from))}" height="${height - TOP - GAP}" fill="var(--${color})" opacity="0.12"/><text x="${n(x(from) + 4)}" y="${TOP - 4}" fill="var(--${color})">${quoted(name)}</text>`,
  );
  const drawn = panels.map((panel, i) => draw(panel, times, x, TOP + 14 + i * (PANEL + GAP)));
  const axis = ticksOf(last, 8).map(
    (seconds) =>
      `<text x="${n(x(seconds))}" y="${height - 10}" text-anchor="middle">${seconds} s</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11" fill="var(--text)">`,
    STYLE,
    `<rect width="${WIDTH}" height="${height}" fill="var(--page)"/>`,
    `<text x="${LEFT}" y="20" font-size="15">${quoted(title)}</text>`,
    ...shades,
    ...drawn,
    ...axis,
    "</svg>\n",
  ].join("\n");
}

function draw(
  { title, unit, lines }: Panel,
  times: readonly number[],
  x: (seconds: number) => number,
  top: number,
): string {
  const most = Math.max(1e-9, ...lines.flatMap(({ values }) => values));
  const ticks = ticksOf(most, TICKS);
  const height = PANEL - 14;
  const y = (value: number) => top + height - (value / Math.max(most, ticks.at(-1) ?? 0)) * height;
  const grid = ticks.map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${n(y(value))}" y2="${n(y(value))}" stroke="var(--grid)"/><text x="${LEFT - 6}" y="${n(y(value) + 4)}" text-anchor="end">${value.toLocaleString("en")}</text>`,
  );
  const paths = lines.map(({ color, values }) => {
    const points = values.map((value, i) => `${n(x(times[i] ?? 0))},${n(y(value))}`);
    return `<polyline fill="none" stroke="var(--${color})" stroke-width="1.5" points="${points.join(" ")}"/>`;
  });
  const legend = lines.map(
    ({ name, color }, i) =>
      `<text x="${LEFT + 230 + i * 160}" y="${top - 4}" fill="var(--${color})">${quoted(name)}</text>`,
  );
  const heading = `<text x="${LEFT}" y="${top - 4}" font-weight="bold">${quoted(`${title}, ${unit}`)}</text>`;
  return [heading, ...legend, ...grid, ...paths].join("\n");
}

/** Round numbers from 0 to about `most`. */
function ticksOf(most: number, count: number): number[] {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  return Array.from({ length: Math.floor(most / step + 1.001) }, (_, i) =>
    Number((i * step).toPrecision(6)),
  );
}

function n(value: number): string {
  return value.toFixed(1);
}

function quoted(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
