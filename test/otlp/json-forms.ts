import protobuf from "protobufjs";
import type { Signal } from "../../src/otlp/tape.ts";
import { type Json, requestType } from "../support/otlp.ts";

/** A seeded number below `count`. */
export type Below = (count: number) => number;

export function seeded(seed: number): Below {
  let state = seed >>> 0;
  return (count) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

const INTEGERS = new Set([
  "int32",
  "uint32",
  "sint32",
  "fixed32",
  "int64",
  "uint64",
  "fixed64",
  "sfixed64",
]);
const UNKNOWN = [
  '"future":{"a":[1,{"b":[]},"]}\\"",null,-1.5e-7]}',
  '"":"\\ud83d"',
  '"x":[[[{}]]]',
  '"keyStrindex":3,"stringValueStrindex":4',
  '"timeunixnano":true',
];

/** The request as one of the many texts that mean the same: names in any order and of either kind, numbers as texts, escapes, white space, unknown and null members. */
export function anyForm(signal: Signal, request: Json, below: Below): string {
  return new Forms(below).message(requestType(signal), request);
}

class Forms {
  readonly #below: Below;
  constructor(below: Below) {
    this.#below = below;
  }

  message(type: protobuf.Type, from: Json): string {
    const members = Object.entries(from).map(([name, value]) => {
      const field = type.fields[name] as protobuf.Field;
      const values = field.repeated
        ? this.#between(
            "[",
            (value as unknown[]).map((one) => this.#one(field, one)),
            "]",
          )
        : this.#one(field, value);
      return `${this.#name(name)}${this.#space()}:${this.#space()}${values}`;
    });
    const absent = type.fieldsArray.find(
      ({ name }) => !(name in from) && !name.endsWith("Strindex"),
    );
    if (absent !== undefined && this.#below(6) === 0) members.push(`"${absent.name}":null`);
    if (this.#below(6) === 0) members.push(UNKNOWN[this.#below(UNKNOWN.length)] as string);
    if (this.#below(2) === 0) members.sort(() => this.#below(3) - 1);
    return this.#between("{", members, "}");
  }

  #between(open: string, parts: readonly string[], close: string): string {
    const inner = parts.map((part) => this.#space() + part + this.#space()).join(",");
    return open + (inner || this.#space()) + close;
  }

  #space(): string {
    return this.#below(12) === 0 ? (["  ", "\n", "\t", "\r\n "][this.#below(4)] as string) : "";
  }

  #name(name: string): string {
    const kind = this.#below(8);
    if (kind === 0) return `"${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}"`;
    return kind === 1 ? this.#escaped(name) : `"${name}"`;
  }

  #one(field: protobuf.Field, value: unknown): string {
    if (field.resolvedType instanceof protobuf.Type)
      return this.message(field.resolvedType, value as Json);
    if (field.resolvedType instanceof protobuf.Enum) return String(value);
    if (field.type === "double") return this.#double(value as number);
    if (INTEGERS.has(field.type)) return this.#integer(String(value));
    if (field.type === "bool") return String(value);
    if (field.type !== "bytes") return this.#escaped(String(value));
    const isId = /[iI]d$/.test(field.name);
    return this.#escaped(isId ? this.#hex(String(value)) : this.#base64(String(value)));
  }

  #hex(text: string): string {
    return this.#below(3) === 0 ? text.toUpperCase() : text;
  }

  #base64(text: string): string {
    const alphabet = this.#below(2) === 0 ? text : text.replaceAll("+", "-").replaceAll("/", "_");
    return this.#below(2) === 0 ? alphabet : alphabet.replace(/=+$/, "");
  }

  #double(value: number): string {
    if (!Number.isFinite(value)) return `"${value}"`;
    const text = Object.is(value, -0) ? "-0" : String(value);
    return this.#below(4) === 0 ? `"${text}"` : text;
  }

  #integer(text: string): string {
    const forms = [text, `"${text}"`, `"${text}"`, `${text}.0`, `"${text}e0"`, `${text}0E-1`];
    const form = forms[this.#below(8)] ?? text;
    return /^"?-?0\d/.test(form) ? text : form;
  }

  #escaped(text: string): string {
    const json = JSON.stringify(text).replaceAll("/", () => (this.#below(4) === 0 ? "\\/" : "/"));
    if (this.#below(5) !== 0) return json;
    const units = Array.from({ length: text.length }, (_, i) => {
      const unit = text.charCodeAt(i);
      return `\\u${unit.toString(16).padStart(4, "0")}`;
    });
    return `"${units.join("")}"`;
  }
}
