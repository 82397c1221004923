import { copy } from "../wire/copy.ts";
import { SLACK } from "../wire/slack.ts";
import type { Batch } from "./batch.ts";
import { varintSize } from "./build.ts";
import { DELETED, type Edits, fieldStart, keyAt, lengthAt, ROW } from "./edits.ts";
import { Open, OUTER_WIDTH, Output } from "./splice-output.ts";
import {
  ENTRY,
  GROUP_HEADER,
  Group,
  ITEM_HEADER,
  Item,
  METRIC_HEADER,
  Metric,
  MetricType,
  NodeType,
  Point,
} from "./tape.ts";
import { payloadAt } from "./values.ts";

/**
 * One walk over a batch and its edits that writes the edited bytes and their tape. Runs of bytes without an edit are copied as they
 * are, and positions in them are shifted; nothing is parsed again.
 */
export class Splice extends Output {
  readonly #edits: Edits;
  readonly #batch: Batch;
  #tape: Int32Array;
  readonly #resource = new Open();
  readonly #scoped = new Open();
  readonly #metric = new Open();
  readonly #data = new Open();
  /** Output GROUPs of the open resource, and the METRIC that is open. */
  #groups: number[] = [];
  #metricNode = 0;
  #resourceAt = -1;
  /** Resources taken back: the ordinals behind them move up. */
  #goneResources = 0;

  constructor(edits: Edits) {
    const { length } = edits.batch;
    super(edits.batch, length + (length >> 3) + edits.arena.length + 1024);
    this.#edits = edits;
    this.#batch = edits.batch;
    const rows = (edits.rowsEnd / ROW) * ENTRY;
    this.#tape = new Int32Array(edits.tape.length + rows);
  }

  run() {
    const { tape } = this.#batch;
    let ordinal = 0;
    for (let at = 0; at < tape.length; at += tape[at]! >>> 2) {
      const type = tape[at]! & 3;
      if (type === NodeType.item) this.#item(at, ordinal++);
      else if (type === NodeType.group) this.#group(at);
      else this.#openMetric(at);
    }
    this.#closeResource();
    this.flush(this.#batch.length);
    this.reserve(SLACK);
    return {
      bytes: this.bytes,
      view: this.view,
      length: this.o,
      tape: this.top === this.#tape.length ? this.#tape : this.#tape.slice(0, this.top),
      items: this.items,
    };
  }

  #group(at: number): void {
    const { tape } = this.#batch;
    const isFirst = !this.#resource.isOpen || tape[at + Group.at] !== this.#resourceAt;
    if (isFirst) {
      this.#closeResource();
      this.#resourceAt = tape[at + Group.at]!;
      this.#resource.begin(this, tape[at + Group.at]!, tape[at + Group.end]!);
    } else this.#closeScoped();
    const node = isFirst ? this.#firstNode(at) : this.#nextNode();
    this.#scoped.begin(this, tape[at + Group.scopedAt]!, tape[at + Group.scopedEnd]!);
    if (!isFirst) {
      // The node stands before what `begin` remembers of the tape, so that taking the scope back takes the node too.
      this.#groups.push(node);
    }
    const out = this.#tape;
    const shift = this.o - this.from;
    out[node + Group.scopedAt] = this.o;
    for (let i = Group.scopeAt; i <= Group.scopeEnd; i++)
      out[node + i] = moved(tape[at + i]!, shift);
    for (let i = Group.scopeNameAt; i <= Group.scopeVersionEnd; i++)
      out[node + i] = moved(tape[at + i]!, shift);
    out[node + Group.scopeEntries] = this.top;
    const count = tape[at + Group.scopeCount]!;
    out[node + Group.scopeCount] = count;
    this.#copyEntries(tape[at + Group.scopeEntries]!, count);
    out[node + Group.ordinal] = tape[at + Group.ordinal]! - this.#goneResources;
    out[node] = ((this.top - node) << 2) | NodeType.group;
  }

  /** GROUP header of a resource's first scope, with the resource's entries; edits of the resource go in here. */
  #firstNode(at: number): number {
    const { tape } = this.#batch;
    const out = this.#tape;
    const node = this.top;
    this.top += GROUP_HEADER;
    this.#groups = [node];
    out[node + Group.at] = this.#resource.content;
    out[node + Group.resourceEntries] = this.top;
    const from = tape[at + Group.resourceAt]!;
    const entries = tape[at + Group.resourceEntries]!;
    const count = tape[at + Group.resourceCount]!;
    if (!this.#edits.isResourceTouched(at)) {
      const shift = this.o - this.from;
      out[node + Group.resourceAt] = moved(from, shift);
      out[node + Group.resourceEnd] = moved(tape[at + Group.resourceEnd]!, shift);
      out[node + Group.resourceCount] = count;
      this.#copyEntries(entries, count);
      return node;
    }
    this.forgetMoves();
    if (from >= 0) this.flush(fieldStart(this.source, from));
    this.reserve(1 + OUTER_WIDTH);
    this.bytes[this.o] = 0x0a; // ResourceLogs.resource
    this.o += 1 + OUTER_WIDTH;
    if (from >= 0) this.from = from;
    const content = this.o;
    let written = this.#editEntries(entries, count, 0x0a); // Resource.attributes
    if (from >= 0) this.flush(tape[at + Group.resourceEnd]!);
    written += this.#addedEntries(-1 - at, 0x0a);
    this.padded(content - OUTER_WIDTH, OUTER_WIDTH, this.o - content);
    out[node + Group.resourceAt] = content;
    out[node + Group.resourceEnd] = this.o;
    out[node + Group.resourceCount] = written;
    return node;
  }

  #nextNode(): number {
    const out = this.#tape;
    const node = this.top;
    const first = this.#groups[0]!;
    this.top += GROUP_HEADER;
    for (let i = Group.at; i <= Group.resourceCount; i++) out[node + i] = out[first + i]!;
    return node;
  }

  #closeScoped(): void {
    this.#closeMetric();
    if (!this.#scoped.isOpen) return;
    const node = this.#groups.at(-1)!;
    // The first GROUP stays: it holds the resource's entries.
    if (this.#scoped.close(this, this.#groups.length > 1)) {
      this.#tape[node + Group.scopedEnd] = this.o;
      return;
    }
    this.#groups.pop();
    this.top = node;
  }

  #closeResource(): void {
    if (!this.#resource.isOpen) return;
    this.#closeScoped();
    if (!this.#resource.close(this, true)) {
      this.#goneResources++;
      return;
    }
    for (const node of this.#groups) this.#tape[node + Group.end] = this.o;
  }

  #openMetric(at: number): void {
    this.#closeMetric();
    const { tape } = this.#batch;
    const out = this.#tape;
    this.#metric.begin(this, tape[at + Metric.at]!, tape[at + Metric.end]!);
    const node = this.top;
    this.#metricNode = node;
    this.top += METRIC_HEADER;
    const shift = this.o - this.from;
    out[node] = tape[at]!;
    out[node + Metric.group] = this.#groups.at(-1)!;
    out[node + Metric.at] = this.o;
    for (let i = Metric.nameAt; i <= Metric.descriptionEnd; i++)
      out[node + i] = moved(tape[at + i]!, shift);
    out[node + Metric.dataAt] = -1;
    out[node + Metric.flags] = tape[at + Metric.flags]!;
    const data = tape[at + Metric.dataAt]!;
    if (data < 0) return;
    const length = fieldStart(this.source, data) + 1;
    this.#data.begin(this, data, data + lengthAt(this.source, length));
    out[node + Metric.dataAt] = this.o;
  }

  #closeMetric(): void {
    if (!this.#metric.isOpen) return;
    if (this.#data.isOpen) this.#data.close(this, false);
    if (this.#metric.close(this, true)) this.#tape[this.#metricNode + Metric.end] = this.o;
    else this.top = this.#metricNode;
  }

  #item(at: number, ordinal: number): void {
    const { tape } = this.#batch;
    const edits = this.#edits;
    if (edits.isDropped(ordinal)) {
      this.flush(fieldStart(this.source, tape[at + Item.at]!));
      this.from = tape[at + Item.end]!;
      this.drops++;
      return;
    }
    this.items++;
    const node = this.top;
    this.top = node + ITEM_HEADER;
    if (edits.isTouched(ordinal)) this.#touched(at, ordinal, node);
    else {
      this.forgetMoves();
      this.#header(at, node, this.o - this.from, tape[at + Item.attributes]!);
      this.#copyEntries(at + ITEM_HEADER, tape[at + Item.attributes]!);
    }
    this.#tape[node] = ((this.top - node) << 2) | NodeType.item;
  }

  #touched(at: number, ordinal: number, node: number): void {
    const { tape } = this.#batch;
    const start = tape[at + Item.at]!;
    const end = tape[at + Item.end]!;
    const field = fieldStart(this.source, start);
    this.flush(field);
    const before = this.o;
    const tag = this.#attributesTag(at);
    for (let width = start - field - 1; ; width++) {
      this.reserve(1 + width);
      this.bytes[before] = this.source[field]!;
      const content = before + 1 + width;
      this.o = content;
      this.from = start;
      this.top = node + ITEM_HEADER;
      this.forgetMoves();
      let count = this.#editEntries(at + ITEM_HEADER, tape[at + Item.attributes]!, tag);
      this.flush(end);
      const moveEnd = this.o;
      count += this.#addedEntries(ordinal, tag);
      const size = this.o - content;
      if (varintSize(size) > width) continue;
      this.padded(before + 1, width, size);
      this.#header(at, node, content - start, count);
      // Fields never start behind the source's end, so `end` is where the added attributes end.
      this.#tape[node + Item.end] = this.o;
      if (moveEnd > this.o) throw new RangeError("an item shrank while attributes were added");
      return;
    }
  }

  #attributesTag(item: number): number {
    const { tape, signal } = this.#batch;
    if (signal === "logs") return 0x32; // LogRecord.attributes
    if (signal === "traces") return 0x4a; // Span.attributes
    const type = tape[tape[item + Point.metric]! + Metric.flags]! & 15;
    if (type === MetricType.histogram) return 0x4a; // HistogramDataPoint.attributes
    return type === MetricType.exponentialHistogram ? 0x0a : 0x3a; // NumberDataPoint.attributes
  }

  /** ITEM header: positions move by `shift`, and those behind an edit by what the edit says. */
  #header(at: number, node: number, shift: number, attributes: number): void {
    const { tape, signal } = this.#batch;
    const out = this.#tape;
    const isPoint = signal === "metrics";
    out[node + Item.group] = this.#groups.at(-1)!;
    out[node + Item.at] = tape[at + Item.at]! + shift;
    out[node + Item.end] = tape[at + Item.end]! + shift;
    out[node + Item.flags] = tape[at + Item.flags]!;
    out[node + Item.attributes] = attributes;
    out[node + Item.time] = this.move(tape[at + Item.time]!, shift);
    for (let i = Item.trace; i < ITEM_HEADER; i++) out[node + i] = this.move(tape[at + i]!, shift);
    if (isPoint) out[node + Point.metric] = this.#metricNode;
  }

  #copyEntries(from: number, count: number): void {
    const tape = this.#batch.tape;
    const out = this.#tape;
    const shift = this.o - this.from;
    let top = this.top;
    const end = from + count * ENTRY;
    for (let e = from; e < end; e += ENTRY, top += ENTRY) {
      out[top] = tape[e]!;
      out[top + 1] = tape[e + 1]! + shift;
      out[top + 2] = tape[e + 2]! + shift;
      out[top + 3] = tape[e + 3]! + shift;
    }
    this.top = top;
  }

  /** Entries with their edits; returns how many are left. */
  #editEntries(from: number, count: number, tag: number): number {
    const { tape } = this.#batch;
    const edited = this.#edits.tape;
    const out = this.#tape;
    let written = 0;
    for (let e = from; e < from + count * ENTRY; e += ENTRY) {
      const head = edited[e]!;
      if (head === tape[e] && edited[e + 2]! >= 0) {
        const shift = this.o - this.from;
        const top = this.top;
        out[top] = head;
        out[top + 1] = tape[e + 1]! + shift;
        out[top + 2] = tape[e + 2]! + shift;
        out[top + 3] = tape[e + 3]! + shift;
        this.top = top + ENTRY;
        written++;
        continue;
      }
      const at = tape[e + 1]!;
      const field = fieldStart(this.source, at);
      const end = at + lengthAt(this.source, field + 1);
      this.flush(field);
      this.from = end;
      if (head !== DELETED) {
        this.#editEntry(e, head, end, tag);
        written++;
      }
      this.moved(end);
    }
    return written;
  }

  /** A KeyValue with a new key, a new value, or both. `end`: of the old one. */
  #editEntry(entry: number, head: number, end: number, tag: number): void {
    const { tape } = this.#batch;
    const { keys, tape: edited } = this.#edits;
    const at = tape[entry + 1]!;
    const oldKey = keyAt(this.source, at);
    const oldLength = lengthAt(this.source, at + 1);
    const id = head >>> 4;
    const isRenamed = id !== tape[entry]! >>> 4;
    const keyLength = isRenamed ? keys.length(id) : oldLength;
    const isSet = edited[entry + 2]! < 0;
    const from = isSet ? -1 - edited[entry + 2]! : oldKey + oldLength;
    const to = isSet ? edited[entry + 3]! : end;
    const content = this.#startKeyValue(tag, keyLength, to - from, isSet);
    const key = isRenamed ? keys.view : this.sourceView;
    this.o = copy(this.view, this.o, key, isRenamed ? keys.at(id) : oldKey, keyLength);
    if (isSet) {
      this.#arenaValue(head, content, from, to);
      return;
    }
    const shift = this.o - from;
    this.o = copy(this.view, this.o, this.sourceView, from, to - from);
    this.#entry(head, content, tape[entry + 2]! + shift, tape[entry + 3]! + shift);
  }

  /** Tag and lengths of a KeyValue up to its key's text; returns where its content starts. */
  #startKeyValue(tag: number, keyLength: number, valueLength: number, isSet: boolean): number {
    const rest = isSet ? 1 + varintSize(valueLength) + valueLength : valueLength;
    const size = 1 + varintSize(keyLength) + keyLength + rest;
    this.reserve(size + 16);
    this.bytes[this.o++] = tag;
    this.varint(size);
    const content = this.o;
    this.bytes[this.o++] = 0x0a; // KeyValue.key
    this.varint(keyLength);
    return content;
  }

  #arenaValue(head: number, content: number, from: number, to: number): void {
    const { arena } = this.#edits;
    this.bytes[this.o++] = 0x12; // KeyValue.value
    this.varint(to - from);
    const shift = this.o - from;
    this.o = copy(this.view, this.o, arena.view, from, to - from);
    this.#entry(head, content, payloadAt(arena.bytes, from, to) + shift, to + shift);
  }

  #entry(head: number, content: number, valueAt: number, valueEnd: number): void {
    const out = this.#tape;
    const top = this.top;
    out[top] = head;
    out[top + 1] = content;
    out[top + 2] = valueAt;
    out[top + 3] = valueEnd;
    this.top = top + ENTRY;
  }

  /** Attributes that the draft added to `owner`; returns how many. */
  #addedEntries(owner: number, tag: number): number {
    const { rows, keys } = this.#edits;
    let written = 0;
    for (let row = this.#edits.firstRow(owner); row !== 0; row = rows[row]!) {
      const head = rows[row + 1]!;
      if (head === DELETED) continue;
      const from = rows[row + 2]!;
      const to = rows[row + 3]!;
      const length = keys.length(head >>> 4);
      const content = this.#startKeyValue(tag, length, to - from, true);
      this.o = copy(this.view, this.o, keys.view, keys.at(head >>> 4), length);
      this.#arenaValue(head, content, from, to);
      written++;
    }
    return written;
  }
}

function moved(position: number, shift: number): number {
  return position < 0 ? position : position + shift;
}
