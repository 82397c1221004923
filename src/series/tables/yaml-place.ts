import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { nearest } from "../../lib/nearest.ts";

/** Table files that cannot be used. */
export class TableError extends Error {
  /** Each as `file:line:column: what`. */
  readonly mistakes: readonly string[];
  constructor(mistakes: readonly string[]) {
    super(`series tables have mistakes:\n  ${mistakes.join("\n  ")}`);
    this.mistakes = mistakes;
  }
}

interface Mistake {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly what: string;
}

/** Every mistake of all files, each with its place. */
export class Mistakes {
  readonly #all: Mistake[] = [];

  add(mistake: Mistake): void {
    this.#all.push(mistake);
  }

  /** One error with all of them, as they stand in their files. */
  throwIfAny(): void {
    if (this.#all.length === 0) return;
    const byFile = Map.groupBy(this.#all, ({ file }) => file).values();
    const sorted = [...byFile].flatMap((own) =>
      own.toSorted((a, b) => a.line - b.line || a.column - b.column),
    );
    throw new TableError(
      sorted.map(({ file, line, column, what }) => `${file}:${line}:${column}: ${what}`),
    );
  }
}

interface Source {
  readonly name: string;
  readonly lines: LineCounter;
  readonly resolve: (node: unknown) => unknown;
  readonly mistakes: Mistakes;
}

/** The top of one YAML file; undefined where it is not YAML: then the first syntax error is reported, as the others follow from it. */
export function openYaml(name: string, text: string, mistakes: Mistakes): Place | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const resolve = (node: unknown) => (isAlias(node) ? node.resolve(document) : node);
  const source = { name, lines, resolve, mistakes };
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    mistakes.add({ file: name, line, column: col, what: `not valid YAML: ${error.message}` });
    return undefined;
  }
  return new Place(source, document.contents, 0, "the file");
}

/** One node of a YAML file: reads what it should be, or reports what is wrong at its line and column and goes on. */
export class Place {
  readonly #source: Source;
  readonly #node: unknown;
  readonly #offset: number;
  readonly what: string;
  constructor(source: Source, node: unknown, offset: number, what: string) {
    this.#source = source;
    this.#node = source.resolve(node);
    const own = (node as { range?: readonly number[] } | null)?.range?.[0];
    this.#offset = own ?? offset;
    this.what = what;
  }

  wrong(what: string): undefined {
    const { line, col } = this.#source.lines.linePos(this.#offset);
    const { mistakes, name: file } = this.#source;
    mistakes.add({ file, line: Math.max(line, 1), column: Math.max(col, 1), what });
    return undefined;
  }

  get isMap(): boolean {
    return isMap(this.#node);
  }

  get isList(): boolean {
    return isSeq(this.#node);
  }

  get isEmptyList(): boolean {
    return isSeq(this.#node) && this.#node.items.length === 0;
  }

  get isText(): boolean {
    return isScalar(this.#node) && typeof this.#node.value === "string";
  }

  text(): string | undefined {
    if (isScalar(this.#node) && typeof this.#node.value === "string" && this.#node.value !== "")
      return this.#node.value;
    return this.wrong(`${this.what} must be text`);
  }

  number(): number | undefined {
    if (isScalar(this.#node) && typeof this.#node.value === "number") return this.#node.value;
    return this.wrong(`${this.what} must be a number`);
  }

  integer(): number | undefined {
    const number = this.number();
    if (number === undefined || Number.isSafeInteger(number)) return number;
    return this.wrong(`${this.what} must be a whole number`);
  }

  boolean(): boolean | undefined {
    if (isScalar(this.#node) && typeof this.#node.value === "boolean") return this.#node.value;
    return this.wrong(`${this.what} must be true or false`);
  }

  /** One of these words; else the nearest is proposed. */
  word<W extends string>(words: readonly W[]): W | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const found = words.find((word) => word === text);
    return found ?? this.wrong(`${this.what} "${text}" is unknown${proposal(text, words)}`);
  }

  items(): readonly Place[] {
    if (isSeq(this.#node))
      return this.#node.items.map(
        (item, i) => new Place(this.#source, item, this.#offset, `${this.what}[${i}]`),
      );
    this.wrong(`${this.what} must be a list`);
    return [];
  }

  /** Texts of a list. */
  texts(): string[] {
    return this.items().flatMap((item) => item.text() ?? []);
  }

  /** Members of a map with any keys, in order; keys that stand twice are reported by the parser. */
  entries(): readonly { readonly name: string; readonly key: Place; readonly value: Place }[] {
    if (!isMap(this.#node)) {
      this.wrong(`${this.what} must be a map`);
      return [];
    }
    return this.#node.items.flatMap((pair) => {
      const key = new Place(this.#source, pair.key, this.#offset, `a key of ${this.what}`);
      const name = key.text();
      if (name === undefined) return [];
      return { name, key, value: new Place(this.#source, pair.value, key.#offset, name) };
    });
  }

  /** Where the value of a member stands; the map itself where it lacks it. */
  member(name: string): Place {
    const node = isMap(this.#node) ? this.#node.get(name, true) : undefined;
    return node === undefined ? this : new Place(this.#source, node, this.#offset, name);
  }

  /** The text, number or boolean that stands here. */
  scalar(): string | number | boolean | undefined {
    const value = isScalar(this.#node) ? this.#node.value : undefined;
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
      return value;
    return this.wrong(`${this.what} must be text, a number, true or false`);
  }

  /** Members of a map with known keys; those that are needed are reported when missing. */
  members<K extends string>(
    keys: Readonly<Record<K, { readonly doc: string; readonly isNeeded?: boolean }>>,
  ): Partial<Record<K, Place>> {
    const known = Object.keys(keys) as K[];
    const members: Partial<Record<K, Place>> = {};
    if (!isMap(this.#node)) {
      this.wrong(`${this.what} must be a map with ${known.join(", ")}`);
      return members;
    }
    for (const { name, key, value } of this.entries()) {
      const found = known.find((k) => k === name);
      if (found !== undefined) members[found] = value;
      else key.wrong(`unknown key "${name}" in ${this.what}${proposal(name, known)}`);
    }
    for (const key of known)
      if (keys[key].isNeeded && members[key] === undefined)
        this.wrong(`${this.what} lacks "${key}"`);
    return members;
  }
}

/** How a message about an unknown word ends. */
export function proposal(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? `; valid are ${known.join(", ")}` : `; did you mean "${near}"?`;
}
