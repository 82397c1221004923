import { suggestion } from "../lib/nearest.ts";
import type { Catalog, ComponentConfig, ComponentSchema, NamedTypes, Section } from "./config.ts";
import { locate } from "./locate.ts";
import { aliasOf, parseId, SECTIONS } from "./names.ts";
import { parseOptions } from "./options.ts";
import type { Place, Problems } from "./problem.ts";
import { emptyMap, type Node, nodeAt } from "./tree.ts";

/** One entry of a section, also when its options are wrong: then `config` is undefined. */
export interface WrittenComponent {
  readonly id: string;
  readonly section: Section;
  /** Undefined: nobody knows this type. */
  readonly schema: ComponentSchema | undefined;
  readonly config: ComponentConfig | undefined;
  /** Where its key stands. */
  readonly at: Place;
  readonly node: Node;
}

export type Written = Readonly<Record<Section, ReadonlyMap<string, WrittenComponent>>>;

/** Reads the five sections of components; unused ones are checked too, as in the Collector. */
export function readComponents(
  root: Node,
  catalog: Catalog,
  problems: Problems,
  cwd: string,
): Written {
  const read = (section: Section) => readSection(root, section, catalog[section], problems, cwd);
  return {
    receivers: read("receivers"),
    processors: read("processors"),
    exporters: read("exporters"),
    connectors: read("connectors"),
    extensions: read("extensions"),
  };
}

/** What the sections name; mistakes are told when they are read. Of the processors without those that are `translated`. */
export function namedTypes(root: Node, translated: ReadonlyMap<string, unknown>): NamedTypes {
  const named = (section: Section) => {
    const node = nodeAt(root, [section]);
    const types = new Set<string>();
    if (node?.kind !== "map") return types;
    for (const key of node.entries.keys()) {
      const parsed = parseId(key);
      if (typeof parsed !== "string") types.add(aliasOf(section, parsed.type) ?? parsed.type);
    }
    return types;
  };
  const processors = named("processors");
  return {
    receivers: named("receivers"),
    processors: new Set([...processors].filter((type) => !translated.has(type))),
    exporters: named("exporters"),
    connectors: named("connectors"),
    extensions: named("extensions"),
  };
}

function readSection(
  root: Node,
  section: Section,
  types: ReadonlyMap<string, ComponentSchema>,
  problems: Problems,
  cwd: string,
): ReadonlyMap<string, WrittenComponent> {
  const written = new Map<string, WrittenComponent>();
  const node = nodeAt(root, [section]);
  if (node === undefined || isNothing(node)) return written;
  if (node.kind !== "map") {
    problems.error(node.place, `${section}: expected a mapping of ids to options`);
    return written;
  }
  for (const [key, { at, value }] of node.entries) {
    const parsed = parseId(key);
    if (typeof parsed === "string") problems.error(at, parsed);
    else if (written.has(parsed.id)) problems.error(at, `id "${parsed.id}" is there twice`);
    else {
      const type = currentType(section, parsed.type, types, at, problems);
      const schema = types.get(type);
      if (schema === undefined) unknownType(section, parsed.type, types, at, problems);
      const given = isNothing(value) ? emptyMap(at) : value;
      const options = locate(given, schema?.fileOptions ?? [], cwd);
      const result = schema && parseOptions(schema.schema, options, at, problems);
      const warning = result && schema?.warning?.(result.options);
      if (warning !== undefined) problems.warn(at, `${key}: ${warning}`);
      const { id, name } = parsed;
      const config = result && { id, type, name, options: result.options, where: at };
      written.set(id, { id, section, schema, config, at, node: options });
    }
  }
  return written;
}

function currentType(
  section: Section,
  type: string,
  types: ReadonlyMap<string, ComponentSchema>,
  at: Place,
  problems: Problems,
): string {
  if (types.has(type)) return type;
  const current = aliasOf(section, type);
  if (current === undefined || !types.has(current)) return type;
  problems.warn(at, `"${type}" is the old name of "${current}": please write ${current}`);
  return current;
}

function unknownType(
  section: Section,
  type: string,
  types: ReadonlyMap<string, ComponentSchema>,
  at: Place,
  problems: Problems,
): void {
  const current = aliasOf(section, type);
  const why = current
    ? `the ${SECTIONS[section]} "${type}" (now ${current}) is not built in`
    : `unknown ${SECTIONS[section]} type "${type}"`;
  problems.error(at, `${why}${suggestion(current ?? type, types.keys())}`);
}

/** `key:` with nothing behind it. */
export function isNothing(node: Node): boolean {
  return node.kind === "scalar" && node.value === null;
}
