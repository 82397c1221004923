import { stringify } from "yaml";
import type { Catalog, ComponentSchema, Section } from "../config/config.ts";
import { withTranslated } from "../config/load.ts";
import { parseArguments } from "./arguments.ts";
import type { Output } from "./output.ts";
import { version } from "./version.ts";

const SECTIONS: readonly Section[] = [
  "receivers",
  "processors",
  "exporters",
  "connectors",
  "extensions",
];

/** Prints what is built in, in the form of the Collector's `components`. */
export function runComponents(args: readonly string[], catalog: Catalog, { out }: Output): number {
  parseArguments(args, {});
  const module = `otel-weir ${version()}`;
  const all = withTranslated(catalog);
  const listed = SECTIONS.filter((section) => all[section].size > 0).map((section) => [
    section,
    [...all[section].values()]
      .sort((a, b) => (a.type < b.type ? -1 : 1))
      .map((component) => entry(component, module)),
  ]);
  const buildinfo = {
    command: "weir",
    description: "OpenTelemetry Collector-compatible service for function platforms",
    version: version(),
  };
  const providers = ["env", "file", "yaml"].map((scheme) => ({ scheme, module }));
  out(
    stringify(
      { buildinfo, ...Object.fromEntries(listed), providers },
      { indent: 4, aliasDuplicateObjects: false },
    ),
  );
  return 0;
}

function entry({ type, stability }: ComponentSchema, module: string) {
  return { name: type, module, stability: Object.keys(stability).length > 0 ? stability : "n/a" };
}
