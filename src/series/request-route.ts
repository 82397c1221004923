import type { LineText } from "../line/writer.ts";
import { Kind } from "../otlp/tape.ts";
import { copy } from "../wire/copy.ts";
import type { BatchMemory } from "./batch-memory.ts";
import { Scratch } from "./values.ts";

/**
 * Attributes that the route of a request is made of, in the order in which `RequestRoute.make` takes them.
 *
 * The first of these that is there: method and `http.route`; a span name `METHOD /path`; method and `url.path` or `http.target`
 * without its query, where each segment that is a number, a UUID or at least 16 hex digits becomes `{id}`; `RPC:/service/method`.
 * Without a method it is `_OTHER`.
 */
export const ROUTE_INPUTS: readonly (readonly string[])[] = [
  ["http.request.method", "http.method"],
  ["http.route"],
  ["url.path", "http.target"],
  ["rpc.system", "rpc.system.name"],
  ["rpc.service"],
  ["rpc.method"],
];

/** Places of method and route among them; where the route is there, those behind it are not needed. */
export const METHOD_INPUT = 0;
export const ROUTE_INPUT = 1;

const SLASH = 47;
const SPACE = 32;
const COLON = 58;
const QUERY = 63;
const HASH = 35;
const DASH = 45;
const UUID_LENGTH = 36;
const HEX_ID_MIN = 16;
const OTHER = new TextEncoder().encode("_OTHER");
const RPC = new TextEncoder().encode("RPC:/");
const ID = new TextEncoder().encode("{id}");

/** A text in the batch; `from` -1 is none. */
export interface Piece {
  from: number;
  end: number;
}

/** Composes the route of a request; the text is then at the start of `scratch`. */
export class RequestRoute {
  readonly scratch = new Scratch();
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(this.#bytes.buffer);
  #end = 0;

  /** Length of the route, 0 where there is none. `inputs` are those of ROUTE_INPUTS. */
  make(bytes: Uint8Array, view: DataView, inputs: readonly Piece[], name: Piece): number {
    this.#bytes = bytes;
    this.#view = view;
    this.#end = 0;
    const [method, route, path, system, service, rpcMethod] = inputs as [
      Piece,
      Piece,
      Piece,
      Piece,
      Piece,
      Piece,
    ];
    if (route.from >= 0) {
      this.#start(method, route.end - route.from);
      if (bytes[route.from] !== SLASH) this.#byte(SLASH);
      this.#put(route.from, route.end);
    } else if (this.#isMethodAndPath(name)) this.#fromName(name);
    else if (path.from >= 0) this.#path(method, path);
    else if (system.from >= 0) this.#rpc(service, rpcMethod, name);
    return this.#end;
  }

  /** Method and colon, with room for a rest of `length` bytes of which each may become four. */
  #start(method: Piece, length: number): void {
    this.scratch.need(4 * length + lengthOf(method) + 32);
    if (method.from >= 0) this.#put(method.from, method.end);
    else this.#bytesOf(OTHER);
    this.#byte(COLON);
  }

  /** `METHOD /path`, the method in capitals. */
  #isMethodAndPath({ from, end }: Piece): boolean {
    if (from < 0) return false;
    let p = from;
    while (p < end && isCapital(this.#bytes[p]!)) p++;
    return p > from && this.#bytes[p] === SPACE && p + 1 < end && this.#bytes[p + 1] === SLASH;
  }

  #fromName({ from, end }: Piece): void {
    this.scratch.need(end - from);
    const colon = this.#bytes.indexOf(SPACE, from);
    this.#put(from, colon);
    this.#byte(COLON);
    this.#put(colon + 1, this.#endOfPath(colon + 1, end));
  }

  #path(method: Piece, path: Piece): void {
    const end = this.#endOfPath(path.from, path.end);
    this.#start(method, end - path.from + 1);
    let p = path.from;
    if (this.#bytes[p] !== SLASH) this.#byte(SLASH);
    while (p < end) {
      if (this.#bytes[p] === SLASH) {
        this.#byte(SLASH);
        p++;
        continue;
      }
      let stop = p;
      while (stop < end && this.#bytes[stop] !== SLASH) stop++;
      if (this.#isId(p, stop)) this.#bytesOf(ID);
      else this.#put(p, stop);
      p = stop;
    }
  }

  /** Where the query or the fragment starts. */
  #endOfPath(from: number, end: number): number {
    let p = from;
    while (p < end && this.#bytes[p] !== QUERY && this.#bytes[p] !== HASH) p++;
    return p;
  }

  /** A number, a UUID, or at least 16 hex digits. */
  #isId(from: number, end: number): boolean {
    const length = end - from;
    let digits = 0;
    let hex = 0;
    let dashes = 0;
    for (let i = 0; i < length; i++) {
      const c = this.#bytes[from + i]!;
      const isDigit = c >= 48 && c <= 57;
      if (isDigit) digits++;
      if (isDigit || (c >= 65 && c <= 70) || (c >= 97 && c <= 102)) hex++;
      else if (c === DASH && (i === 8 || i === 13 || i === 18 || i === 23)) dashes++;
      else return false;
    }
    if (digits === length) return true;
    if (dashes === 0) return length >= HEX_ID_MIN;
    return dashes === 4 && length === UUID_LENGTH && hex === UUID_LENGTH - 4;
  }

  #rpc(service: Piece, method: Piece, name: Piece): void {
    this.scratch.need(lengthOf(service) + lengthOf(method) + lengthOf(name) + 16);
    this.#bytesOf(RPC);
    if (method.from >= 0 && this.#lastSlash(method) >= 0) this.#withoutSlash(method);
    else if (service.from >= 0 && (method.from >= 0 || name.from >= 0)) {
      this.#put(service.from, service.end);
      this.#byte(SLASH);
      if (method.from >= 0) this.#put(method.from, method.end);
      else this.#put(Math.max(this.#lastSlash(name) + 1, name.from), name.end);
    } else if (name.from >= 0) this.#withoutSlash(name);
    else if (method.from >= 0) this.#put(method.from, method.end);
    else this.#end = 0;
  }

  /** Names its service itself: taken whole. */
  #withoutSlash({ from, end }: Piece): void {
    this.#put(this.#bytes[from] === SLASH ? from + 1 : from, end);
  }

  /** Position of the last slash, -1 is none. */
  #lastSlash({ from, end }: Piece): number {
    let p = end - 1;
    while (p >= from && this.#bytes[p] !== SLASH) p--;
    return p >= from ? p : -1;
  }

  #put(from: number, end: number): void {
    this.#end = copy(this.scratch.view, this.#end, this.#view, from, end - from);
  }

  #bytesOf(bytes: Uint8Array): void {
    this.scratch.bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #byte(byte: number): void {
    this.scratch.bytes[this.#end++] = byte;
  }
}

/**
 * The route of a request with a method and a route that starts with a slash, as they mostly are, written as a tag value without a stop in a
 * scratch; -1: they are not so, and `RequestRoute` has to make it. `slots[method]`, `slots[route]`: kind, start, end.
 */
export function writeMethodAndRoute(
  text: LineText,
  out: DataView,
  at: number,
  { bytes, view }: BatchMemory,
  slots: Int32Array,
  method: number,
  route: number,
): number {
  const from = slots[route + 1]!;
  const end = slots[route + 2]!;
  if (slots[method] !== Kind.text || slots[route] !== Kind.text) return -1;
  if (from >= end || bytes[from] !== SLASH) return -1;
  const { dropped, newlines } = text;
  const colon = text.writeTagValue(out, at, view, slots[method + 1]!, slots[method + 2]!);
  if (colon === at || text.dropped !== dropped) {
    // A backslash at the end of the method is left out only where nothing follows.
    text.dropped = dropped;
    text.newlines = newlines;
    return -1;
  }
  out.setUint8(colon, COLON);
  return text.writeTagValue(out, colon + 1, view, from, end);
}

function lengthOf({ from, end }: Piece): number {
  return from < 0 ? 0 : end - from;
}

/** Whether the text has the form `METHOD:/path`. */
export function isMethodPath(bytes: Uint8Array, from: number, end: number): boolean {
  let p = from;
  while (p < end && isCapital(bytes[p]!)) p++;
  return p > from && p + 1 < end && bytes[p] === COLON && bytes[p + 1] === SLASH;
}

/** A to Z and underscore. */
function isCapital(c: number): boolean {
  return (c >= 65 && c <= 90) || c === 95;
}
