import type { FramePlace } from "../journal/journal.ts";
import type { KeptLetter } from "../kit/delivery/dead-letters.ts";
import type { Batch } from "../otlp/batch.ts";
import { Kind, type Signal } from "../otlp/tape.ts";
import { isReplayRoute } from "./replays.ts";
import type { Storage } from "./storage.ts";

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

/** Items of the batch that have this trace id, span id, or attribute value. */
export function itemsWith(batch: Batch, id: string): number[] {
  if (!mayHold(batch, id)) return [];
  const found: number[] = [];
  const { items } = batch.draft();
  let number = 0;
  for (let more = items.first(); more; more = items.next()) {
    const ids = [items.builtin("trace_id"), items.builtin("span_id")];
    let hasIt = ids.some((slot) => slot >= 0 && items.text(slot) === id.toLowerCase());
    for (let i = 0; !hasIt && i < items.count; i++) {
      const slot = items.slotAt(i);
      hasIt = items.kind(slot) === Kind.text && items.text(slot) === id;
    }
    if (hasIt) found.push(number);
    number++;
  }
  return found;
}

/** Quick, and never wrong about a no: the id stands in the bytes as text, or as the bytes that its hexadecimal digits mean. */
function mayHold({ bytes, length }: Batch, id: string): boolean {
  const content = Buffer.from(bytes.buffer, bytes.byteOffset, length);
  return content.includes(id) || (isHexId(id) && content.includes(Buffer.from(id, "hex")));
}

function isHexId(id: string): boolean {
  return /^(?:[0-9a-f]{32}|[0-9a-f]{16})$/i.test(id);
}
