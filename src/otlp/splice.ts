import { SLACK } from "../wire/slack.ts";
import { fieldStart, lengthAt } from "./edits.ts";
import { SpliceItems } from "./splice-items.ts";
import { Open, OUTER_WIDTH } from "./splice-output.ts";
import {
  ENTRY,
  GROUP_HEADER,
  Group,
  Item,
  METRIC_HEADER,
  Metric,
  MetricType,
  NodeType,
  Point,
} from "./tape.ts";

/**
 * One walk over a batch and its edits that writes the edited bytes and their tape. Runs of bytes without an edit, of one item or of
 * many, are copied as they are, and positions in them are shifted; nothing is parsed again.
 */
export class Splice extends SpliceItems {
  readonly #resource = new Open();
  readonly #scoped = new Open();
  readonly #metric = new Open();
  readonly #data = new Open();
  /** Output GROUPs of the open resource. */
  #groups: number[] = [];
  #resourceAt = -1;
  /** Resources taken back: the ordinals behind them move up. */
  #goneResources = 0;

  run() {
    const { tape, edits } = this;
    for (let at = 0; at < tape.length; ) {
      const type = tape[at]! & 3;
      if (type === NodeType.item) {
        const item = this.ordinal;
        if (edits.isDropped(item)) at = this.#dropped(at);
        else if (!edits.isTouched(item)) at = this.untouchedItems(at);
        else {
          const tag = this.#attributesTag(at);
          at = this.renamedItems(at, tag);
          if (this.ordinal === item) at = this.editedItem(at, tag);
        }
        continue;
      }
      if (type === NodeType.group) this.#group(at);
      else this.#openMetric(at);
      at += tape[at]! >>> 2;
    }
    this.#closeResource();
    this.flush(this.length);
    this.reserve(SLACK);
    return {
      bytes: this.bytes,
      view: this.view,
      length: this.o,
      tape: this.top === this.out.length ? this.out : this.out.slice(0, this.top),
      items: this.items,
    };
  }

  #group(at: number): void {
    const { tape } = this;
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
    this.groupNode = node;
    const { out } = this;
    const shift = this.o - this.from;
    out[node + Group.scopedAt] = this.o;
    for (let i = Group.scopeAt; i <= Group.scopeEnd; i++)
      out[node + i] = moved(tape[at + i]!, shift);
    for (let i = Group.scopeNameAt; i <= Group.scopeVersionEnd; i++)
      out[node + i] = moved(tape[at + i]!, shift);
    out[node + Group.scopeEntries] = this.top;
    const count = tape[at + Group.scopeCount]!;
    out[node + Group.scopeCount] = count;
    this.copyEntries(tape[at + Group.scopeEntries]!, count);
    out[node + Group.ordinal] = tape[at + Group.ordinal]! - this.#goneResources;
    out[node] = ((this.top - node) << 2) | NodeType.group;
  }

  /** GROUP header of a resource's first scope, with the resource's entries; edits of the resource go in here. */
  #firstNode(at: number): number {
    const { tape, out } = this;
    const node = this.top;
    this.top += GROUP_HEADER;
    this.#groups = [node];
    out[node + Group.at] = this.#resource.content;
    out[node + Group.resourceEntries] = this.top;
    const from = tape[at + Group.resourceAt]!;
    const entries = tape[at + Group.resourceEntries]!;
    const count = tape[at + Group.resourceCount]!;
    if (!this.edits.isResourceTouched(at)) {
      const shift = this.o - this.from;
      out[node + Group.resourceAt] = moved(from, shift);
      out[node + Group.resourceEnd] = moved(tape[at + Group.resourceEnd]!, shift);
      out[node + Group.resourceCount] = count;
      this.copyEntries(entries, count);
      return node;
    }
    if (from >= 0) this.flush(fieldStart(this.source, from));
    this.reserve(1 + OUTER_WIDTH);
    this.bytes[this.o] = 0x0a; // ResourceLogs.resource
    this.o += 1 + OUTER_WIDTH;
    if (from >= 0) this.from = from;
    const content = this.o;
    this.editEntries(entries, count, 0x0a); // Resource.attributes
    if (from >= 0) this.flush(tape[at + Group.resourceEnd]!);
    this.addedEntries(-1 - at, 0x0a);
    this.padded(content - OUTER_WIDTH, OUTER_WIDTH, this.o - content);
    out[node + Group.resourceAt] = content;
    out[node + Group.resourceEnd] = this.o;
    out[node + Group.resourceCount] = (this.top - node - GROUP_HEADER) / ENTRY;
    return node;
  }

  #nextNode(): number {
    const { out } = this;
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
      this.out[node + Group.scopedEnd] = this.o;
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
    for (const node of this.#groups) this.out[node + Group.end] = this.o;
  }

  #openMetric(at: number): void {
    this.#closeMetric();
    const { tape, out } = this;
    this.#metric.begin(this, tape[at + Metric.at]!, tape[at + Metric.end]!);
    const node = this.top;
    this.metricNode = node;
    this.top += METRIC_HEADER;
    const shift = this.o - this.from;
    out[node] = tape[at]!;
    out[node + Metric.group] = this.groupNode;
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
    if (this.#metric.close(this, true)) this.out[this.metricNode + Metric.end] = this.o;
    else this.top = this.metricNode;
  }

  /** Leaves out the dropped items from `at` on; returns where it stopped. */
  #dropped(at: number): number {
    const { tape, edits } = this;
    this.flush(fieldStart(this.source, tape[at + Item.at]!));
    let end = 0;
    while (at < tape.length && (tape[at]! & 3) === NodeType.item && edits.isDropped(this.ordinal)) {
      this.drops++;
      this.ordinal++;
      end = tape[at + Item.end]!;
      at += tape[at]! >>> 2;
    }
    this.from = end;
    return at;
  }

  #attributesTag(item: number): number {
    const signal = this.signal;
    if (signal === "logs") return 0x32; // LogRecord.attributes
    if (signal === "traces") return 0x4a; // Span.attributes
    const { tape } = this;
    const type = tape[tape[item + Point.metric]! + Metric.flags]! & 15;
    if (type === MetricType.histogram) return 0x4a; // HistogramDataPoint.attributes
    return type === MetricType.exponentialHistogram ? 0x0a : 0x3a; // NumberDataPoint.attributes
  }
}

function moved(position: number, shift: number): number {
  return position < 0 ? position : position + shift;
}
