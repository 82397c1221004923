import { isUtf8 } from "node:buffer";
import { SLACK, withSlack } from "../wire/slack.ts";
import type { Breathe } from "./canonicalize.ts";
import { breather } from "./indexing.ts";
import { FieldTable } from "./read-json-fields.ts";
import { JsonPass } from "./read-json-pass.ts";
import { JsonSlices } from "./read-json-slices.ts";
import { NoRoom, type Room } from "./room.ts";
import type { Signal } from "./tape.ts";

export type JsonRead =
  | {
      readonly bytes: Uint8Array;
      readonly length: number;
      readonly rejected: number;
      readonly why: string;
    }
  | { readonly refused: "malformed" | "exhausted"; readonly why: string };

/** What `readSlowly` takes between two looks at the clock (bytes). */
const STEP_BYTES = 64 * 1024;
/** Some milliseconds' worth. */
const WINDOW_BYTES = 1024 * 1024;
/** … of texts that only native code looks at. */
const NATIVE_STEP_BYTES = 1024 * 1024;
/** Memory that is kept from request to request. */
const KEPT_BYTES = 2 * 1024 * 1024;

/**
 * OTLP/JSON → canonical OTLP bytes (specification 1.11, "JSON Protobuf Encoding"), in one pass without objects. Ids in hex of either case,
 * other bytes in base64 (standard or URL, padded or not), integers as numbers or texts and also as `1e3`, enums as numbers only, null is absent,
 * unknown names are ignored, of equal names (and members of a oneof) the last one counts. As the Collector does, it also takes the
 * original names (`time_unix_nano`). An item in which a value does not fit is left out and counted; where no item is around the value, or
 * what is there is no JSON, the request is refused. Bytes that are no UTF-8 become U+FFFD.
 */
export class JsonReader {
  readonly #table = new FieldTable();
  readonly #windowBytes: number;
  #pass: JsonPass | undefined;
  /** Ends with the last `readSlowly`. */
  #turn: Promise<void> = Promise.resolve();

  /** `windowBytes`: what `readSlowly` reads in one go, when a single value is larger. */
  constructor(windowBytes = WINDOW_BYTES) {
    this.#windowBytes = windowBytes;
  }

  /** Reads `bytes[0, length)`. Behind them, SLACK bytes are written to and restored. */
  read(signal: Signal, bytes: Uint8Array, length: number): JsonRead {
    const valid = isUtf8(bytes.subarray(0, length)) ? bytes : repaired(bytes, length);
    const size = valid === bytes ? length : valid.length - SLACK;
    this.#pass ??= new JsonPass(this.#table);
    const pass = this.#pass;
    begin(pass, valid, size);
    try {
      const end = pass.message(this.#table.request(signal), pass.start, 0, 0);
      return pass.isEnd(end) ? done(pass, pass.out.copy()) : refusal(signal, pass);
    } finally {
      pass.scan.release();
      if (pass.out.bytes.length > KEPT_BYTES) pass.out.release();
    }
  }

  /** The same for large requests, in slices of some 10 ms; the memory it fills is taken from `room`. */
  readSlowly(signal: Signal, bytes: Uint8Array, length: number, room: Room): Promise<JsonRead> {
    const read = this.#turn.then(() => this.#slowly(signal, bytes, length, room));
    this.#turn = read.then(
      () => {},
      () => {},
    );
    return read;
  }

  async #slowly(signal: Signal, bytes: Uint8Array, length: number, room: Room): Promise<JsonRead> {
    const breathe = breather();
    await breathe(true);
    try {
      const valid = await validText(bytes, length, room, breathe);
      const pass = new JsonPass(this.#table, room);
      begin(pass, valid.bytes, valid.length);
      try {
        const slices = new JsonSlices(pass, this.#windowBytes);
        const steps = slices.request(this.#table.request(signal));
        slices.pause = STEP_BYTES;
        let step = steps.next();
        for (; step.done !== true; step = steps.next()) {
          await breathe();
          slices.pause = slices.position + STEP_BYTES;
        }
        pass.out.settle();
        return step.value ? done(pass, pass.out.bytes) : refusal(signal, pass);
      } finally {
        pass.scan.release();
      }
    } catch (error) {
      if (!(error instanceof NoRoom)) throw error;
      return { refused: "exhausted", why: "the memory for requests in flight is used up" };
    }
  }
}

/** Reads one request, for callers without a reader of their own. */
export function readRequestJson(signal: Signal, bytes: Uint8Array, length: number): JsonRead {
  return new JsonReader().read(signal, bytes, length);
}

function begin(pass: JsonPass, bytes: Uint8Array, length: number): void {
  const roomy = bytes.length >= length + SLACK ? bytes : withSlack(bytes, length);
  const plain = new Uint8Array(roomy.buffer, roomy.byteOffset, roomy.length);
  pass.begin(plain, new DataView(roomy.buffer, roomy.byteOffset, roomy.length), length);
}

function done({ out, rejected, why }: JsonPass, bytes: Uint8Array): JsonRead {
  return { bytes, length: out.length, rejected, why };
}

function refusal(signal: Signal, { failure }: JsonPass): JsonRead {
  return { refused: "malformed", why: `not an OTLP/JSON ${signal} request: ${failure}` };
}

/** The text with U+FFFD for all that is no UTF-8, and SLACK behind it. */
function repaired(bytes: Uint8Array, length: number): Uint8Array {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, length));
  return Buffer.concat([Buffer.from(text), new Uint8Array(SLACK)]);
}

/** The body as it is, or repaired; with pauses. */
async function validText(bytes: Uint8Array, length: number, room: Room, breathe: Breathe) {
  let isValid = true;
  for (let at = 0; at < length && isValid; ) {
    let stop = Math.min(at + NATIVE_STEP_BYTES, length);
    for (let i = 0; i < 3 && stop < length && (bytes[stop]! & 0xc0) === 0x80; i++) stop--;
    isValid = isUtf8(bytes.subarray(at, stop));
    at = stop;
    await breathe();
  }
  if (isValid) return { bytes, length };
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const parts: Uint8Array[] = [];
  for (let at = 0; at < length; at += NATIVE_STEP_BYTES) {
    const stop = Math.min(at + NATIVE_STEP_BYTES, length);
    const part = Buffer.from(decoder.decode(bytes.subarray(at, stop), { stream: stop < length }));
    if (!room.grow(2 * part.length)) throw new NoRoom();
    parts.push(part);
    await breathe();
  }
  parts.push(new Uint8Array(SLACK));
  const joined = Buffer.concat(parts);
  return { bytes: joined, length: joined.length - SLACK };
}
