import type { Precision } from "../../line/time.ts";

/** What the answer repeats of the points, if anything. */
export type Echo = "lp" | "json" | "pbjson";

/** The parameters of a write that mean something here. `input`, `source`, `version`, `storage_index` and those about global tags are taken without effect. */
export interface Parameters {
  readonly precision: Precision;
  readonly echo: Echo | undefined;
  /** Nothing is stored. */
  readonly isDry: boolean;
  /** One bad point refuses the body. */
  readonly isStrict: boolean;
  /** Instead of Content-Encoding. */
  readonly encoding: string | undefined;
  readonly token: string;
}

const PRECISIONS: ReadonlyMap<string, Precision> = new Map([
  ["n", "ns"],
  ["u", "us"],
  ["us", "us"],
  ["ms", "ms"],
  ["s", "s"],
  ["m", "m"],
  ["h", "h"],
]);

/** Reads a query string. Switches count by being there with any text, as in DataKit. */
export function readParameters(query: string): Parameters {
  const given = new URLSearchParams(query);
  const text = (name: string) => given.get(name) || undefined;
  const precision = text("precision");
  return {
    // DataKit takes words that it does not know for nanoseconds.
    precision: precision === undefined ? "auto" : (PRECISIONS.get(precision) ?? "ns"),
    echo: echoOf(text("echo"), text("echo_line_proto"), text("echo_json")),
    isDry: text("dry") !== undefined,
    isStrict: text("strict") !== undefined,
    encoding: text("encoding"),
    token: given.get("token") ?? "",
  };
}

function echoOf(
  word: string | undefined,
  asLines: string | undefined,
  asJson: string | undefined,
): Echo | undefined {
  if (word === "lp" || word === "json" || word === "pbjson") return word;
  if (asLines !== undefined) return "lp";
  return asJson === undefined ? undefined : "json";
}
