import type { Catalog, Section } from "./config.ts";
import { soundsSecret } from "./issues.ts";
import { aliasOf, parseId } from "./names.ts";
import { isSecret, schemaAt } from "./schema-shape.ts";
import { type Node, type Path, toPlain } from "./tree.ts";

const HIDDEN = "[REDACTED]";

/** A configuration as plain values, without its secrets: known by their schema, and by what they are called. */
export function redacted(root: Node, catalog: Catalog): unknown {
  return toPlain(hide(root, [], catalog));
}

function hide(node: Node, path: Path, catalog: Catalog): Node {
  if (node.kind === "list")
    return { ...node, items: node.items.map((item, i) => hide(item, [...path, i], catalog)) };
  if (node.kind === "map") {
    const entries = [...node.entries].map(
      ([key, { at, value }]) => [key, { at, value: hide(value, [...path, key], catalog) }] as const,
    );
    return { ...node, entries: new Map(entries) };
  }
  const { value } = node;
  if (value === null || value === "") return node;
  if (isHidden(path, catalog)) return { ...node, value: HIDDEN };
  if (typeof value !== "string") return node;
  return { ...node, value: value.replace(/\/\/[^/\s]*@/g, `//${HIDDEN}@`) };
}

function isHidden([section, id, ...option]: Path, catalog: Catalog): boolean {
  if (soundsSecret(option)) return true;
  const parsed = parseId(String(id ?? ""));
  if (typeof parsed === "string" || !isSection(section, catalog)) return false;
  const types = catalog[section];
  const known = types.get(parsed.type) ?? types.get(aliasOf(section, parsed.type) ?? "");
  return isSecret(known && schemaAt(known.schema, option));
}

function isSection(name: unknown, catalog: Catalog): name is Section {
  return typeof name === "string" && Object.hasOwn(catalog, name);
}
