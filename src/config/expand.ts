import { parseYaml } from "./parse-yaml.ts";
import { type Place, Problems } from "./problem.ts";
import { readText, type Surroundings, unknownScheme, withOriginal } from "./sources.ts";
import type { Entry, Node, ScalarNode } from "./tree.ts";

/** Levels of references inside references. */
const MAX_DEPTH = 64;
/** References that one configuration may resolve. */
const MAX_REFERENCES = 10_000;
/** Characters that they may bring in altogether. */
const MAX_CHARACTERS = 8 << 20;

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Replaces `${env:X}`, `${X}`, `${env:X:-default}`, `${file:path}` and `$$` everywhere. After the YAML was read: no text becomes structure by accident. */
export async function expand(root: Node, around: Surroundings, problems: Problems): Promise<Node> {
  return new Expansion(around, problems).node(root, 0);
}

interface Found {
  readonly text: string;
  /** File that the text came from, for the positions of what is in it. */
  readonly file?: string;
  readonly isUnset?: boolean;
}

class Expansion {
  readonly #around: Surroundings;
  readonly #problems: Problems;
  #references = 0;
  #characters = 0;

  constructor(around: Surroundings, problems: Problems) {
    this.#around = around;
    this.#problems = problems;
  }

  async node(node: Node, depth: number): Promise<Node> {
    if (node.kind === "scalar") return this.#scalar(node, depth);
    if (node.kind === "list") {
      const items: Node[] = [];
      for (const item of node.items) items.push(await this.node(item, depth));
      return { ...node, items };
    }
    const entries = new Map<string, Entry>();
    for (const [key, { at, value }] of node.entries)
      entries.set(key, { at, value: await this.node(value, depth) });
    return { ...node, entries };
  }

  async #scalar(node: ScalarNode, depth: number): Promise<Node> {
    const { value, place, original } = node;
    if (typeof value !== "string" || !value.includes("$")) return node;
    const end = value.startsWith("${") ? closing(value, 2) : -1;
    if (end !== value.length - 1) {
      const text = await this.#text(value, place, depth);
      return {
        kind: "scalar",
        value: text,
        place,
        ...(original === undefined ? {} : { original: text }),
      };
    }
    const found = await this.#resolve(value.slice(2, -1), place, depth);
    if (found === undefined) return { kind: "scalar", value: null, place, original: "" };
    return this.#value(found, place, depth);
  }

  /** A reference that is the whole value may be any YAML; its text is kept for options that are texts. */
  async #value(found: Found, place: Place, depth: number): Promise<Node> {
    const { text, file } = found;
    if (found.isUnset) return { kind: "scalar", value: null, place, original: "" };
    const trial = new Problems();
    const parsed = parseYaml(
      file ?? place.file,
      text,
      trial,
      file === undefined ? place : undefined,
    );
    // What is not YAML is a text, as in the Collector; but a file that is called YAML was meant to be.
    if (parsed === undefined && /\.ya?ml$/i.test(file ?? ""))
      for (const error of trial.errors) this.#problems.error(error, error.message);
    const node: Node = parsed ?? { kind: "scalar", value: text, place };
    const expanded = await this.node(node, depth + 1);
    if (!text.includes("$")) return withOriginal(expanded, text);
    if (expanded.kind !== "scalar") return expanded;
    return withOriginal(expanded, expanded.original ?? String(expanded.value ?? ""));
  }

  /** References inside a longer text: always text. */
  async #text(text: string, place: Place, depth: number): Promise<string> {
    let out = "";
    let from = 0;
    for (;;) {
      const dollar = text.indexOf("$", from);
      if (dollar < 0) return out + text.slice(from);
      out += text.slice(from, dollar);
      const next = text[dollar + 1];
      const end = next === "{" ? closing(text, dollar + 2) : -1;
      if (next === "$" || end < 0) {
        out += "$";
        from = dollar + (next === "$" ? 2 : 1);
        continue;
      }
      const found = await this.#resolve(text.slice(dollar + 2, end), place, depth);
      if (found !== undefined) out += await this.#text(found.text, place, depth + 1);
      from = end + 1;
    }
  }

  async #resolve(body: string, place: Place, depth: number): Promise<Found | undefined> {
    this.#references++;
    if (depth > MAX_DEPTH || this.#references > MAX_REFERENCES)
      return this.#fail(place, `\${${clip(body)}}: too many references inside references`);
    const uri = body.includes("${") ? await this.#text(body, place, depth + 1) : body;
    // The message shows the reference as it was written: what is inside may be a secret.
    const shown = `\${${clip(body)}}`;
    if (uri.includes("$")) return this.#fail(place, `${shown}: "$" is not allowed in a reference`);
    const colon = uri.indexOf(":");
    const scheme = colon < 0 ? "env" : uri.slice(0, colon);
    const opaque = uri.slice(colon + 1);
    const found = await this.#fetch(scheme, opaque, shown, place);
    if (found === undefined) return undefined;
    this.#characters += found.text.length;
    if (this.#characters <= MAX_CHARACTERS) return found;
    return this.#fail(place, `${shown}: the references bring in more than 8 MiB`);
  }

  async #fetch(
    scheme: string,
    opaque: string,
    shown: string,
    place: Place,
  ): Promise<Found | undefined> {
    if (scheme === "env") return this.#variable(opaque, shown, place);
    if (scheme === "yaml") return { text: opaque };
    if (scheme === "file") {
      const text = await readText(opaque, this.#around.cwd, this.#problems, place);
      return text === undefined ? undefined : { text, file: opaque };
    }
    const hint = NAME.test(scheme)
      ? `; for a variable with a default write \${env:${scheme}:-…}`
      : "";
    return this.#fail(place, `${shown}: ${unknownScheme(clip(scheme))}${hint}`);
  }

  #variable(opaque: string, shown: string, place: Place): Found | undefined {
    const cut = opaque.indexOf(":-");
    const name = cut < 0 ? opaque : opaque.slice(0, cut);
    if (!NAME.test(name))
      return this.#fail(
        place,
        `${shown}: a variable's name has letters, digits and _ and starts with no digit`,
      );
    const value = Object.hasOwn(this.#around.env, name) ? this.#around.env[name] : undefined;
    if (value !== undefined) return { text: value };
    if (cut >= 0) return { text: opaque.slice(cut + 2) };
    this.#problems.warn(
      place,
      `the environment variable ${name} is not set and has no default: set it, or write \${env:${name}:-default}`,
    );
    return { text: "", isUnset: true };
  }

  #fail(place: Place, message: string): undefined {
    this.#problems.error(place, message);
    return undefined;
  }
}

/** Index of the `}` that closes the reference whose body starts at `from`; -1 when it stays open. */
function closing(text: string, from: number): number {
  let open = 1;
  for (let i = from; i < text.length; i++) {
    if (text[i] === "}" && --open === 0) return i;
    if (text[i] === "$" && text[i + 1] === "{") open++;
  }
  return -1;
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
