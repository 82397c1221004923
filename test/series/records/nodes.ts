import { encode } from "@msgpack/msgpack";
import type { Random } from "../../support/seeded.ts";

/** A value of a record, as JSON and MessagePack can both say it. Members may repeat. */
export type Node =
  | { readonly is: "null" }
  | { readonly is: "boolean"; readonly value: boolean }
  | { readonly is: "integer"; readonly value: bigint }
  | { readonly is: "double"; readonly value: number }
  /** `inner`: the text is the JSON of this object. */
  | { readonly is: "text"; readonly value: string; readonly inner?: ObjectNode }
  | { readonly is: "list"; readonly items: readonly Node[] }
  | ObjectNode;
export interface ObjectNode {
  readonly is: "object";
  readonly members: readonly (readonly [string, Node])[];
}

/** JSON with no white space. */
export function jsonOf(node: Node): string {
  if (node.is === "null") return "null";
  if (node.is === "text") return JSON.stringify(node.value);
  if (node.is === "list") return `[${node.items.map(jsonOf).join()}]`;
  if (node.is === "object")
    return `{${node.members.map(([name, value]) => `${JSON.stringify(name)}:${jsonOf(value)}`).join()}}`;
  return String(node.value);
}

/** The same as MessagePack, in which maps may repeat keys too. `ofText`: how texts are encoded. */
export function msgpackOf(node: Node, ofText: (text: string) => Uint8Array = encode): Uint8Array {
  if (node.is === "null") return encode(null);
  if (node.is === "text") return ofText(node.value);
  const of = (value: Node) => msgpackOf(value, ofText);
  if (node.is === "list") return sized(0x90, 0xdc, node.items.length, node.items.map(of));
  if (node.is === "object") {
    const parts = node.members.flatMap(([name, value]) => [ofText(name), of(value)]);
    return sized(0x80, 0xde, node.members.length, parts);
  }
  return encode(node.value, { useBigInt64: true });
}

/** A text of MessagePack with the bytes of a string that has one a character. */
export function msgpackBytes(binary: string): Uint8Array {
  const { length } = binary;
  return Buffer.concat([
    Uint8Array.from([0xda, length >> 8, length & 255]),
    Buffer.from(binary, "latin1"),
  ]);
}

/** The same value with other texts and names. */
export function mapTexts<N extends Node>(node: N, map: (text: string) => string): N;
export function mapTexts(node: Node, map: (text: string) => string): Node {
  if (node.is === "list")
    return { is: "list", items: node.items.map((item) => mapTexts(item, map)) };
  if (node.is === "object")
    return {
      is: "object",
      members: node.members.map(([name, value]) => [map(name), mapTexts(value, map)] as const),
    };
  if (node.is !== "text") return node;
  if (node.inner === undefined) return { is: "text", value: map(node.value) };
  // The text is that of the inner object, whose texts are others now.
  const inner = mapTexts(node.inner, map);
  return { is: "text", value: jsonOf(inner) + (node.value.endsWith("\n") ? "\n" : ""), inner };
}

const BREAKERS = ["\x80", "\xbf", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf0\x9f", "\xff", "é"];

/** Its bytes as a string that has one a character, mostly with some that are no UTF-8 among them. */
export function damagedText(text: string, random: Random): string {
  let binary = Buffer.from(text).toString("latin1");
  for (let i = random(3); i > 0; i--) {
    const at = random(binary.length + 1);
    binary = binary.slice(0, at) + pick(BREAKERS, random) + binary.slice(at + random(2));
  }
  return binary;
}

function sized(few: number, many: number, count: number, parts: readonly Uint8Array[]): Uint8Array {
  const head = count < 16 ? [few | count] : [many, count >> 8, count & 255];
  return Buffer.concat([Uint8Array.from(head), ...parts]);
}

const NAMES = [
  ..."timestamp time @timestamp date message msg log level severity trace_id traceId trace.id dd.trace_id".split(
    " ",
  ),
  ..."traceparent _X_AMZN_TRACE_ID span_id spanId span.id service.name service".split(" "),
  ..."a b kubernetes id dd trace span a.b é".split(" "),
  "",
  "a name that is longer than the sixty-four bytes up to which objects are taken apart",
];
const TEXTS = [
  ..."2024-01-15T10:30:00.5Z|1705314600.25|1705314600123|0.35|info|WARN|Critical|silly|{|{}|[1]|hello".split(
    "|",
  ),
  "0af7651916cd43dd8448eb211c80319c",
  "B7AD6B7169203331",
  "0".repeat(32),
  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8",
  "12345678901234567890",
  'quotes " and \\ and\ttab\u0001',
  "é漢🚀 and more, so that it is longer than a word",
  "",
];

function pick<T>(from: readonly T[], random: Random): T {
  return from[random(from.length)] as T;
}

/** Any value; objects end at some depth. */
export function anyNode(random: Random, depth: number): Node {
  const kind = random(depth > 2 ? 7 : 10);
  if (kind === 0) return { is: "null" };
  if (kind === 1) return { is: "boolean", value: random(2) === 0 };
  if (kind === 2)
    return {
      is: "integer",
      value: pick(
        [
          0n,
          -1n,
          30n,
          60n,
          70n,
          1_705_314_600n,
          1_705_314_600_123_456_789n,
          5_000_000_000n,
          2n ** 63n - 1n,
          -(2n ** 63n),
          -4_294_967_296n,
        ],
        random,
      ),
    };
  if (kind === 3)
    return {
      is: "double",
      value: pick([0.5, -2.25, 1_705_314_600.123456, 1e-7, 1.7e300, 12.125], random),
    };
  if (kind < 7) return { is: "text", value: pick(TEXTS, random) };
  if (kind === 7)
    return {
      is: "list",
      items: Array.from({ length: random(4) }, () => anyNode(random, depth + 1)),
    };
  return anyObject(random, depth + 1);
}

/** Any record; at the top a message may be the text of another. */
export function anyObject(random: Random, depth = 0): ObjectNode {
  const members = Array.from({ length: random(depth === 0 ? 14 : 4) }, () => {
    const name = pick(NAMES, random);
    return [name, anyNode(random, depth)] as const;
  });
  if (depth > 0 || random(3) !== 0) return { is: "object", members };
  const inner = anyObject(random, 1);
  const text = {
    is: "text",
    value: `${jsonOf(inner)}${random(2) === 0 ? "\n" : ""}`,
    inner,
  } as const;
  return { is: "object", members: [...members, [pick(["log", "message", "msg"], random), text]] };
}
