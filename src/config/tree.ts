import type { Place } from "./problem.ts";

/** Configuration as written: values that know where they stand. Nothing in it is ever changed in place. */
export type Node = ScalarNode | ListNode | MapNode;

export type ScalarValue = string | number | boolean | null;

export interface ScalarNode {
  readonly kind: "scalar";
  readonly value: ScalarValue;
  readonly place: Place;
  /** What stood in the variable or file before it was read as YAML: used where a text is expected. */
  readonly original?: string;
}

export interface ListNode {
  readonly kind: "list";
  readonly items: readonly Node[];
  readonly place: Place;
  readonly original?: string;
}

export interface MapNode {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Entry>;
  readonly place: Place;
  readonly original?: string;
}

export interface Entry {
  /** Where the key stands. */
  readonly at: Place;
  readonly value: Node;
}

export type Path = readonly (string | number)[];

/** Maps merge, everything else replaces: a later list, scalar or null takes the place of what was there. */
export function merge(base: Node, over: Node): Node {
  if (base.kind !== "map" || over.kind !== "map") return over;
  const entries = new Map(base.entries);
  for (const [key, entry] of over.entries) {
    const old = entries.get(key);
    entries.set(key, old ? { at: entry.at, value: merge(old.value, entry.value) } : entry);
  }
  return { kind: "map", entries, place: over.place };
}

/** The plain value that schemas read. */
export function toPlain(node: Node): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(toPlain);
  return Object.fromEntries([...node.entries].map(([key, { value }]) => [key, toPlain(value)]));
}

/** What stands at a path, if anything was written there. */
export function nodeAt(node: Node, path: Path): Node | undefined {
  let here: Node | undefined = node;
  for (const step of path) {
    if (here?.kind === "map") here = here.entries.get(String(step))?.value;
    else if (here?.kind === "list" && typeof step === "number") here = here.items[step];
    else return undefined;
  }
  return here;
}

/** Where the value at a path stands, else where its nearest written ancestor does. */
export function placeAt(node: Node, path: Path): Place {
  for (let length = path.length; length > 0; length--) {
    const found = nodeAt(node, path.slice(0, length));
    if (found === undefined) continue;
    // What is missing in a block is said where the block's key stands, not at its first line.
    return length < path.length ? (keyAt(node, path.slice(0, length)) ?? found.place) : found.place;
  }
  return node.place;
}

/** Where the key of the last step of a path stands. */
export function keyAt(node: Node, path: Path): Place | undefined {
  const last = path.at(-1);
  if (last === undefined) return undefined;
  const parent = nodeAt(node, path.slice(0, -1));
  if (parent?.kind === "map") return parent.entries.get(String(last))?.at;
  return nodeAt(node, path)?.place;
}

/** The same tree with another value at a path; `undefined` takes the key away. */
export function withNode(node: Node, path: Path, value: Node | undefined): Node {
  const [step, ...rest] = path;
  if (step === undefined) return value ?? node;
  if (node.kind === "list") {
    const items = node.items.map((item, i) => (i === step ? withNode(item, rest, value) : item));
    return { ...node, items };
  }
  if (node.kind === "scalar") return node;
  const key = String(step);
  const entry = node.entries.get(key);
  if (entry === undefined) return node;
  const entries = new Map(node.entries);
  if (rest.length === 0 && value === undefined) entries.delete(key);
  else entries.set(key, { at: entry.at, value: withNode(entry.value, rest, value) });
  return { ...node, entries };
}

export function emptyMap(place: Place): MapNode {
  return { kind: "map", entries: new Map(), place };
}
