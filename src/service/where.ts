import type { FramePlace } from "../journal/journal.ts";
import type { KeptLetter } from "../kit/delivery/dead-letters.ts";
import type { Batch } from "../otlp/batch.ts";
import {
  ENTRY,
  Entry,
  Group,
  ITEM_HEADER,
  Item,
  Kind,
  NodeType,
  type Signal,
} from "../otlp/tape.ts";
import { isReplayRoute } from "./replays.ts";
import type { Storage } from "./storage.ts";

const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
const NOTHING = Buffer.alloc(0);
const INTEGER = /^-?\d{1,19}$/;

/** A frame that holds items with the id, and what became of them. */
export interface Sighting {
  readonly signal: Signal;
  readonly receivedMs: number;
  readonly seq: number;
  readonly segment: string;
  readonly offset: number;
  /** Numbers of the items within the frame. */
  readonly items: readonly number[];
  /** It was put into the queue again by a replay. */
  readonly isReplay: boolean;
  readonly routes: readonly { readonly name: string; readonly state: string }[];
}

/** Frames of queues and retained segments that hold items with this id: a trace or span id, or the value of an attribute. */
export async function* sightings(
  { journal }: Storage,
  id: string,
  letters: readonly KeptLetter[],
): AsyncGenerator<Sighting> {
  const { newest } = journal.stats();
  for await (const { seq, batch, arrivalMs, note } of journal.frames()) {
    if (seq > newest) return;
    const items = itemsWith(batch, id);
    const place = items.length > 0 ? journal.place(seq) : undefined;
    if (place === undefined) continue;
    const { segment, offset } = place;
    const own = letters.filter(
      (letter) => letter.note.journal === journal.id && letter.note.seq === seq,
    );
    const known = new Map(journal.routes().map((route) => [route.name, route.notDelivered]));
    const routes = place.routes
      .filter(({ name }) => !isReplayRoute(name))
      .map(({ name, state }) => ({ name, state: inWords(name, state, own, known.get(name) ?? 0) }));
    const found = { signal: batch.signal, receivedMs: arrivalMs, seq, segment, offset, items };
    yield { ...found, isReplay: note.length > 0, routes };
  }
}

function inWords(
  route: string,
  state: FramePlace["routes"][number]["state"],
  letters: readonly KeptLetter[],
  notDelivered: number,
): string {
  const letter = letters.find(({ note }) => note.route === route);
  const parts: string[] = [];
  if (letter !== undefined) parts.push(`dead letter ${letter.id} (${letter.note.reason})`);
  if (state === "waiting") parts.push("queued");
  else if (state === "sending") parts.push("being sent");
  else if (notDelivered === 0) parts.push("delivered");
  // Tallies are of whole ranges: which of their items were dropped is not kept.
  else if (letter === undefined) parts.push("settled: delivered, or given up and counted");
  return parts.join(", ");
}

/** Numbers of the items that have this trace id, span id, or attribute value; what their resource or scope has, all its items have. */
export function itemsWith(batch: Batch, id: string): number[] {
  if (!mayHold(batch, id)) return [];
  const { tape } = batch;
  const int = (at: number) => tape[at] ?? 0;
  const isWanted = finder(batch, id);
  const found: number[] = [];
  let number = 0;
  let group = -1;
  let isGroupWanted = false;
  for (let at = 0; at < tape.length; at += int(at) >>> 2) {
    if ((int(at) & 3) !== NodeType.item) continue;
    if (int(at + Item.group) !== group) {
      group = int(at + Item.group);
      isGroupWanted =
        isWanted.among(int(group + Group.resourceEntries), int(group + Group.resourceCount)) ||
        isWanted.among(int(group + Group.scopeEntries), int(group + Group.scopeCount));
    }
    if (
      isGroupWanted ||
      isWanted.as(int(at + Item.trace), TRACE_BYTES) ||
      isWanted.as(int(at + Item.span), SPAN_BYTES) ||
      isWanted.among(at + ITEM_HEADER, int(at + Item.attributes))
    )
      found.push(number);
    number++;
  }
  return found;
}

/** Whether the id is what stands somewhere in the batch. A frame may have millions of values: nothing is made of them. */
function finder({ tape, bytes }: Batch, id: string) {
  const text = Buffer.from(id);
  const binary = isHexId(id) ? Buffer.from(id, "hex") : NOTHING;
  const number = varintOf(id);
  const stands = (wanted: Uint8Array, at: number) => {
    for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
    return wanted.length > 0;
  };
  const isValue = (entry: number) => {
    const at = tape[entry + Entry.valueAt] ?? 0;
    const kind = (tape[entry] ?? 0) & 15;
    if (kind === Kind.int) return stands(number, at);
    const isText = kind === Kind.text && (tape[entry + Entry.valueEnd] ?? 0) - at === text.length;
    return isText && stands(text, at);
  };
  return {
    /** The `size` bytes at `at`; -1: there are none. */
    as: (at: number, size: number) => at >= 0 && binary.length === size && stands(binary, at),
    /** A value of these entries. */
    among(first: number, count: number): boolean {
      for (let n = 0; n < count; n++) if (isValue(first + n * ENTRY)) return true;
      return false;
    },
  };
}

/** An int64 as it stands on the wire: no varint is the beginning of another. Empty: the id is no such number. */
function varintOf(id: string): Buffer {
  if (!INTEGER.test(id)) return NOTHING;
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(id));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

/** Quick, and never wrong about a no: the id stands in the bytes as text, as the bytes of its hexadecimal digits, or as a number. */
function mayHold({ bytes, length }: Batch, id: string): boolean {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, length);
  const forms = [Buffer.from(id), isHexId(id) ? Buffer.from(id, "hex") : NOTHING, varintOf(id)];
  return forms.some((form) => form.length > 0 && content.includes(form));
}

function isHexId(id: string): boolean {
  return /^(?:[0-9a-f]{32}|[0-9a-f]{16})$/i.test(id);
}
