import { nearest, suggestion } from "../lib/nearest.ts";
import type { Written, WrittenComponent } from "./components.ts";
import { isNothing } from "./components.ts";
import type { PipelineConfig, PipelineSignal, Section } from "./config.ts";
import { parseId, parsePipelineId, SECTIONS } from "./names.ts";
import type { Place, Problems } from "./problem.ts";
import { type Node, nodeAt } from "./tree.ts";

type Role = "receivers" | "processors" | "exporters";

interface Reference {
  readonly id: string;
  readonly place: Place;
}

/** Reads `service.pipelines` and checks what they name; also when other parts of the service are wrong. */
export function readPipelines(
  service: Node,
  serviceAt: Place,
  written: Written,
  problems: Problems,
): ReadonlyMap<string, PipelineConfig> {
  const pipelines = new Map<string, PipelineConfig>();
  const node = nodeAt(service, ["pipelines"]);
  if (node === undefined || isNothing(node) || (node.kind === "map" && node.entries.size === 0))
    problems.error(
      node?.place ?? serviceAt,
      "at least one pipeline is needed, for example pipelines: { logs: { receivers: [otlp], exporters: [debug] } }",
    );
  if (node?.kind !== "map") return pipelines;
  for (const [key, { at, value }] of node.entries) {
    const parsed = parsePipelineId(key);
    const signal = typeof parsed === "string" ? undefined : parsed.signal;
    const id = typeof parsed === "string" ? key : parsed.id;
    if (typeof parsed === "string") problems.error(at, parsed);
    else if (pipelines.has(id)) problems.error(at, `pipeline "${id}" is there twice`);
    const list = (role: Role) => readRole(value, role, id, signal, at, written, problems);
    const parts = {
      receivers: list("receivers"),
      processors: list("processors"),
      exporters: list("exporters"),
    };
    if (signal) pipelines.set(id, { id, signal, ...parts, where: at });
  }
  return pipelines;
}

function readRole(
  pipeline: Node,
  role: Role,
  pipelineId: string,
  signal: PipelineSignal | undefined,
  at: Place,
  written: Written,
  problems: Problems,
): readonly string[] {
  const node = nodeAt(pipeline, [role]);
  const found = references(node);
  if (
    found.length === 0 &&
    role !== "processors" &&
    (!node || isNothing(node) || node.kind === "list")
  )
    problems.error(
      node && !isNothing(node) ? node.place : at,
      `pipeline ${pipelineId} has no ${role}: name at least one`,
    );
  const ids: string[] = [];
  for (const { id, place } of found) {
    if (ids.includes(id)) {
      const text = `${SECTIONS[role]} "${id}" is in pipeline ${pipelineId} twice`;
      if (role === "processors") problems.error(place, text);
      else problems.warn(place, `${text}: counted once`);
      continue;
    }
    ids.push(id);
    const component = resolve(id, role, place, written, problems);
    if (component && signal) checkSignal(component, role, signal, place, problems);
  }
  return ids;
}

function resolve(
  id: string,
  role: Section,
  place: Place,
  written: Written,
  problems: Problems,
): WrittenComponent | undefined {
  const component = written[role].get(id);
  if (component) return component;
  const what = `${SECTIONS[role]} "${id}" is not configured`;
  const near = nearest(id, written[role].keys());
  const elsewhere = (["receivers", "processors", "exporters", "extensions"] as const).find(
    (other) => other !== role && written[other].has(id),
  );
  if (near !== undefined) problems.error(place, `${what} (did you mean "${near}"?)`);
  else if (elsewhere) problems.error(place, `${what}: "${id}" is under ${elsewhere}`);
  else
    problems.error(place, `${what}: add it under ${role}${suggestion(id, written[role].keys())}`);
  return undefined;
}

function checkSignal(
  { id, schema, config }: WrittenComponent,
  role: Role,
  signal: PipelineSignal,
  place: Place,
  problems: Problems,
): void {
  if (schema === undefined) return;
  if (schema.stability[signal] !== undefined) {
    const why = config && schema.unsupported?.(config.options, signal);
    if (why) problems.error(place, `${SECTIONS[role]} "${id}" cannot take ${signal}: ${why}`);
    return;
  }
  const supported = Object.keys(schema.stability);
  const only = supported.length === 0 ? "" : ` (it supports ${supported.join(", ")})`;
  problems.error(place, `${SECTIONS[role]} "${id}" does not support ${signal}${only}`);
}

/** Reads `service.extensions`: ids in the order in which they start. */
export function readExtensions(
  service: Node,
  written: Written,
  problems: Problems,
): readonly string[] {
  const ids: string[] = [];
  for (const { id, place } of references(nodeAt(service, ["extensions"]))) {
    if (ids.includes(id)) problems.error(place, `extension "${id}" is there twice`);
    else if (resolve(id, "extensions", place, written, problems)) ids.push(id);
  }
  return ids;
}

/** A list of ids, or one text with commas; what is no text was reported by the schema. */
function references(node: Node | undefined): readonly Reference[] {
  if (node?.kind === "list") return node.items.flatMap((item) => reference(item));
  if (node?.kind !== "scalar" || typeof node.value !== "string" || node.value === "") return [];
  return node.value.split(",").map((id) => ({ id: normal(id), place: node.place }));
}

function reference(item: Node): readonly Reference[] {
  if (item.kind !== "scalar" || isNothing(item)) return [];
  return [{ id: normal(item.original ?? String(item.value)), place: item.place }];
}

function normal(text: string): string {
  const parsed = parseId(text);
  return typeof parsed === "string" ? text.trim() : parsed.id;
}
