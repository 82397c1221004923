import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type Node as YamlNode,
} from "yaml";
import type { Place, Problems } from "./problem.ts";
import type { Entry, Node, ScalarValue } from "./tree.ts";

/** Bytes of one file, variable or `yaml:` text. */
export const MAX_TEXT = 1 << 20;
/** Uses of an alias in one text: more are a mistake, or a bomb. */
export const MAX_ALIASES = 100;
/** Levels of maps and lists. */
export const MAX_DEPTH = 64;
/** Values in one text, aliases counted as often as they are used. */
export const MAX_NODES = 100_000;

/** Gives the place of an offset in the text that is being read. */
export type Locate = (offset: number) => Place;

/** Reads YAML 1.2 with the core schema (yes and no stay texts). Undefined after at least one error was reported. */
export function parseYaml(
  file: string,
  text: string,
  problems: Problems,
  at?: Place,
): Node | undefined {
  const lines = new LineCounter();
  const place: Locate = (offset) => {
    if (at) return at;
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (text.length > MAX_TEXT) {
    problems.error(at ?? { file, line: 1, column: 1 }, "is larger than 1 MiB: split it");
    return undefined;
  }
  let document: Document.Parsed;
  try {
    // Duplicate keys are found below: the parser's own search is quadratic.
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: "silent",
      keepSourceTokens: false,
    });
  } catch (error) {
    const what = error instanceof RangeError ? "nested too deeply" : String(error);
    problems.error(at ?? { file, line: 1, column: 1 }, `not readable as YAML: ${what}`);
    return undefined;
  }
  const before = problems.errors.length;
  for (const { pos, message } of document.errors.slice(0, 10))
    problems.error(place(pos[0]), `not YAML: ${message}`);
  if (document.errors.length > 0) return undefined;
  const node = new Reader(document, place, problems).read(document.contents, 0, 0);
  return problems.errors.length === before ? node : undefined;
}

class Reader {
  readonly #document: Document.Parsed;
  readonly #place: Locate;
  readonly #problems: Problems;
  #aliases = 0;
  #nodes = 0;

  constructor(document: Document.Parsed, place: Locate, problems: Problems) {
    this.#document = document;
    this.#place = place;
    this.#problems = problems;
  }

  read(node: YamlNode | null, offset: number, depth: number): Node {
    const place = this.#place(node?.range?.[0] ?? offset);
    const none: Node = { kind: "scalar", value: null, place };
    if (node === null) return none;
    this.#nodes++;
    if (this.#nodes > MAX_NODES) return this.#tooMuch(place, `more than ${MAX_NODES} values`);
    if (depth > MAX_DEPTH) return this.#tooMuch(place, `nested deeper than ${MAX_DEPTH} levels`);
    if (isAlias(node)) {
      if (++this.#aliases > MAX_ALIASES)
        return this.#tooMuch(place, `more than ${MAX_ALIASES} aliases`);
      const target = node.resolve(this.#document);
      if (target !== undefined) return this.read(target, offset, depth + 1);
      return this.#tooMuch(place, `alias *${node.source} has no anchor before it`);
    }
    if (isScalar(node)) return { kind: "scalar", value: scalarValue(node), place };
    if (isSeq(node)) {
      const at = node.range?.[0] ?? offset;
      const items = node.items.map((item) => this.read(item as YamlNode | null, at, depth + 1));
      return { kind: "list", items, place };
    }
    if (isMap(node)) return this.#readMap(node.items as Pair[], place, depth);
    return none;
  }

  #readMap(pairs: readonly Pair[], place: Place, depth: number): Node {
    const entries = new Map<string, Entry>();
    const inherited = new Map<string, Entry>();
    for (const pair of pairs) {
      const key = pair.key as YamlNode | null;
      const at = key?.range ? this.#place(key.range[0]) : place;
      const name = this.#keyName(key, at);
      if (name === undefined) continue;
      const value = this.read(pair.value as YamlNode | null, key?.range?.[1] ?? 0, depth + 1);
      if (name === "<<" && isPlain(key)) this.#inherit(value, inherited);
      else if (entries.has(name))
        this.#problems.error(at, `key "${name}" is there twice: remove one`);
      else entries.set(name, { at, value });
    }
    for (const [name, entry] of inherited) if (!entries.has(name)) entries.set(name, entry);
    return { kind: "map", entries, place };
  }

  #keyName(key: YamlNode | null, at: Place): string | undefined {
    const target = isAlias(key) ? key.resolve(this.#document) : key;
    const name = isScalar(target) ? (target.source ?? String(target.value)) : undefined;
    if (name === undefined) this.#problems.error(at, "a key must be a text");
    else if (name === "__proto__") this.#problems.error(at, 'key "__proto__" is not allowed');
    else return name;
    return undefined;
  }

  /** `<<: *base`: what the map itself says wins, then earlier bases. */
  #inherit(value: Node, into: Map<string, Entry>): void {
    if (value.kind === "list") for (const item of value.items) this.#inherit(item, into);
    else if (value.kind === "map")
      for (const [name, entry] of value.entries) if (!into.has(name)) into.set(name, entry);
    if (value.kind === "scalar")
      this.#problems.error(value.place, "<< needs a mapping, or a list of mappings");
  }

  #tooMuch(place: Place, why: string): Node {
    this.#problems.error(place, why);
    return { kind: "scalar", value: null, place };
  }
}

function isPlain(key: YamlNode | null): boolean {
  return isScalar(key) && key.type === "PLAIN";
}

/** What YAML 1.2's core schema says, plus the number forms that the Collector's YAML library knows besides: 0755, 0b101, 1_000. */
function scalarValue(node: { value: unknown; source?: string; type?: string }): ScalarValue {
  const { value } = node;
  const text = node.source ?? "";
  if (node.type === "PLAIN" && (typeof value === "string" || typeof value === "number")) {
    const [, sign = "", digits = ""] = /^([-+]?)(\d[\d_a-fA-FxXob]*)$/.exec(text) ?? [];
    const plain = digits.replaceAll("_", "");
    const negate = sign === "-" ? -1 : 1;
    if (/^0[0-7]+$/.test(plain)) return negate * Number.parseInt(plain, 8);
    if (/^0b[01]+$/.test(plain)) return negate * Number.parseInt(plain.slice(2), 2);
    if (digits.includes("_") && /^(?:\d+|0x[\da-fA-F]+|0o[0-7]+)$/.test(plain))
      return negate * Number(plain);
  }
  if (value === null || typeof value === "number" || typeof value === "boolean") return value;
  return String(value ?? text);
}
