import type { z } from "zod";
import { suggestion } from "../lib/nearest.ts";
import { checkAuthenticators } from "./authenticators.ts";
import { isNothing, namedTypes, readComponents, type Written } from "./components.ts";
import type { Catalog, Config, Loaded, ReadCatalog, TelemetryConfig } from "./config.ts";
import { expand } from "./expand.ts";
import { checkListeners } from "./listeners.ts";
import { parseOptions } from "./options.ts";
import { readExtensions, readPipelines } from "./pipelines.ts";
import { inReadingOrder, type Place, Problems } from "./problem.ts";
import { service as serviceSchema } from "./service-schema.ts";
import { checkSignalNeeds } from "./signal-needs.ts";
import { readSources } from "./sources.ts";
import { checkStorage } from "./storage.ts";
import type { telemetry } from "./telemetry.ts";
import { configs, translate } from "./translate.ts";
import { translated } from "./translated.ts";
import { emptyMap, keyAt, type Node, nodeAt, placeAt } from "./tree.ts";
import { checkWithoutEffect } from "./without-effect.ts";

const TOP_KEYS = ["receivers", "processors", "exporters", "connectors", "extensions", "service"];

export interface LoadOptions {
  /** Paths, or `file:`, `env:` and `yaml:` URIs; later ones win. */
  readonly sources: readonly string[];
  /** `a.b.c=value`; win over all sources. */
  readonly sets: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** All that there is, or how to read what the configuration names. */
  readonly catalog: Catalog | ReadCatalog;
  /** Relative paths start here. */
  readonly cwd: string;
}

/** Reads, merges, expands and checks a configuration. Never throws: what is wrong comes back as problems, all at once. */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  return (await loadWithTree(options)).loaded;
}

/** The same, with the configuration as it was written: merged and expanded. */
export async function loadWithTree(
  options: LoadOptions,
): Promise<{ readonly loaded: Loaded; readonly root: Node | undefined }> {
  const problems = new Problems();
  const root = await readRoot(options, problems);
  const config = root && check(root, await catalogFor(root, options), problems, options.cwd);
  const order = (list: Problems["errors"]) => inReadingOrder(list, options.sources);
  const warnings = order(problems.warnings);
  if (config && problems.errors.length === 0)
    return { loaded: { ok: true, config, warnings }, root };
  return { loaded: { ok: false, problems: order(problems.errors), warnings }, root };
}

async function readRoot(options: LoadOptions, problems: Problems): Promise<Node | undefined> {
  const merged = await readSources(options.sources, options.sets, options, problems);
  if (merged === undefined) return undefined;
  const root = await expand(merged, options, problems);
  if (root.kind !== "map") {
    problems.error(root.place, "expected a mapping with receivers, exporters, service at the top");
    return undefined;
  }
  for (const [key, { at }] of root.entries)
    if (!TOP_KEYS.includes(key))
      problems.error(at, `unknown key "${key}"${suggestion(key, TOP_KEYS)}`);
  return root;
}

async function catalogFor(root: Node, { catalog }: LoadOptions): Promise<Catalog> {
  if (typeof catalog !== "function") return withTranslated(catalog);
  return withTranslated(await catalog(namedTypes(root, translated)));
}

/** The catalog, with the processors that are accepted and become something else. */
export function withTranslated(catalog: Catalog): Catalog {
  return { ...catalog, processors: new Map([...catalog.processors, ...translated]) };
}

function check(root: Node, catalog: Catalog, problems: Problems, cwd: string): Config | undefined {
  const written = readComponents(root, catalog, problems, cwd);
  const node = nodeAt(root, ["service"]);
  const at = keyAt(root, ["service"]) ?? { ...root.place, line: 1, column: 1 };
  if (node === undefined || isNothing(node)) {
    problems.error(at, '"service" is missing: it says which pipelines and extensions run');
    return undefined;
  }
  const parsed = parseOptions(serviceSchema, node, at, problems);
  const service = node.kind === "map" ? node : emptyMap(at);
  const extensions = readExtensions(service, written, problems);
  const pipelines = readPipelines(service, at, written, problems);
  checkSignalNeeds(written, pipelines.values(), problems);
  checkStorage(written, extensions, problems);
  checkAuthenticators(written, extensions, problems);
  const telemetry = parsed && telemetryConfig(parsed.options.telemetry);
  const inUse = [...pipelines.values()].flatMap((pipeline) => pipeline.receivers);
  checkWithoutEffect(chosen(written, "receivers", inUse), problems);
  checkListeners(
    [...chosen(written, "receivers", inUse), ...chosen(written, "extensions", extensions)],
    telemetry?.metricsEndpoint,
    metricsPlace(service, at),
    problems,
  );
  if (telemetry === undefined) return undefined;
  const { budgetBytes, ...parts } = translate(pipelines, written, problems);
  return {
    receivers: configs(written.receivers),
    processors: parts.processors,
    exporters: parts.exporters,
    extensions: configs(written.extensions),
    service: { extensions, telemetry, pipelines: parts.pipelines },
    limits: { budgetBytes },
  };
}

function chosen(written: Written, section: "receivers" | "extensions", ids: readonly string[]) {
  return [...written[section].values()].filter(({ id }) => ids.includes(id));
}

function metricsPlace(service: Node, at: Place): Place {
  const path = ["telemetry", "metrics", "readers", 0, "pull", "exporter", "prometheus", "port"];
  const place = placeAt(service, path);
  return place === service.place ? at : place;
}

function telemetryConfig({ logs, metrics }: z.output<typeof telemetry>): TelemetryConfig {
  const { level, encoding } = logs;
  const reader = metrics.level === "none" ? undefined : metrics.readers[0];
  const { host, port } = reader?.pull.exporter.prometheus ?? {};
  const name = host?.includes(":") ? `[${host}]` : host;
  return {
    logs: { level, encoding },
    metricsEndpoint: name === undefined ? undefined : `${name}:${port}`,
  };
}
