import type { Batch } from "../../otlp/batch.ts";
import type { ItemCursor } from "../../otlp/draft.ts";
import type { Signal } from "../../otlp/tape.ts";

const VALUE_MAX = 200;
const FIELDS = ["event_name", "name", "severity", "body", "trace_id", "span_id"] as const;

/** One readable line per item: its built-in fields, then its attributes. */
export function itemLines<S extends Signal>(batch: Batch<S>): string {
  const { items } = batch.draft();
  let text = "";
  for (let more = items.first(); more; more = items.next())
    text += `${lineOf(batch.signal, items)}\n`;
  return text;
}

function lineOf(signal: Signal, item: ItemCursor): string {
  const words: string[] = [signal];
  for (const field of FIELDS) {
    const slot = item.builtin(field);
    if (slot >= 0) words.push(`${field}=${quoted(item.text(slot))}`);
  }
  for (let i = 0; i < item.count; i++) {
    const slot = item.slotAt(i);
    words.push(`${item.name(slot)}=${quoted(item.text(slot))}`);
  }
  return words.join(" ");
}

/** Bare words as they are; all else as a JSON string, so that text from the network cannot steer a terminal. */
function quoted(text: string): string {
  if (/^[\w.:/+-]+$/.test(text)) return text.slice(0, VALUE_MAX);
  return JSON.stringify(text.slice(0, VALUE_MAX)).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
