import { NameMap } from "../../line/name-map.ts";
import { DoorOutput } from "../doors/door-output.ts";
import type { TextSpan } from "../records/record-door.ts";

/** Labels that give the service's name, the first that is there (Loki's discover_service_name); `service_name` itself is none of the others. */
const DISCOVERED = [
  "service_name",
  "service",
  "app",
  "application",
  "app_name",
  "name",
  "app_kubernetes_io_name",
  "container",
  "container_name",
  "k8s_container_name",
  "component",
  "workload",
  "job",
  "k8s_job_name",
] as const;
const RANKS = new NameMap(new Map(DISCOVERED.map((name, i) => [name, i])));
const [SERVICE] = DISCOVERED;
const UNKNOWN = "unknown_service";

/** Limits of Loki on the labels of a stream. */
export interface LabelLimits {
  readonly maxLabels: number;
  readonly maxNameBytes: number;
  readonly maxValueBytes: number;
}

interface Label {
  readonly name: string;
  readonly value: string;
}

/**
 * The labels of the stream that is being read: names and values one behind the other in one memory, as the record door takes them
 * (`GivenAttributes`); `service_name` is apart, as the service of the resource. Used for one stream after the other.
 */
export class StreamLabels {
  /** Where the next label is written to: its name, then its value, from `length` on; then call `add`. */
  readonly texts = new DoorOutput();
  /** Labels that have a value, but `service_name`. */
  count = 0;
  /** Lengths of name and value, by label. */
  lengths: Int32Array = new Int32Array(64);
  readonly #given = new DoorOutput();
  readonly #service = { view: this.#given.view, at: 0, length: 0 };
  /** Place in DISCOVERED of the label that gives the service. */
  #rank: number = DISCOVERED.length;
  #repeatsService = false;

  /** Names and values of all labels. */
  get view(): DataView {
    return this.texts.view;
  }

  get length(): number {
    return this.texts.length;
  }

  /** The service's name; of no length where no label gives it. Holds until the next `add`. */
  get service(): TextSpan {
    this.#service.view = this.#rank === 0 ? this.#given.view : this.texts.view;
    return this.#service;
  }

  /** Forgets the last stream. */
  clear(): void {
    this.texts.clear();
    this.#given.clear();
    this.count = 0;
    this.#service.length = 0;
    this.#rank = DISCOVERED.length;
    this.#repeatsService = false;
  }

  /** A label was written: `start` was the length of `texts` before it. One with an empty value counts as absent, as in Loki. */
  add(start: number, nameLength: number): void {
    const { texts } = this;
    const length = texts.length - start - nameLength;
    const rank = length === 0 ? -1 : RANKS.get(texts.bytes, start, start + nameLength);
    if (rank === 0) this.#name(start + nameLength, length);
    if (length === 0 || rank === 0) {
      texts.length = start;
      return;
    }
    if (rank > 0 && rank < this.#rank) {
      this.#rank = rank;
      this.#service.at = start + nameLength;
      this.#service.length = length;
    }
    const i = 2 * this.count;
    if (i === this.lengths.length) this.#grow();
    this.lengths[i] = nameLength;
    this.lengths[i + 1] = length;
    this.count++;
  }

  /** Whether a label has the name `name[0, length)`. */
  has(name: DataView, length: number): boolean {
    const { lengths, view } = this;
    for (let i = 0, p = 0; i < this.count; i++) {
      let n = lengths[2 * i] === length ? 0 : -1;
      while (n >= 0 && n < length) n = view.getUint8(p + n) === name.getUint8(n) ? n + 1 : -1;
      if (n === length) return true;
      p += lengths[2 * i]! + lengths[2 * i + 1]!;
    }
    return false;
  }

  /**
   * What Loki says of labels that it does not take; "" when it does. `isMap`: they come from a JSON object, in which the last of equal names
   * holds.
   */
  problem(limits: LabelLimits, isMap: boolean): string {
    const { lengths, count } = this;
    const { maxLabels, maxNameBytes, maxValueBytes } = limits;
    if (count > maxLabels)
      return `entry for stream '${this.text()}' has ${count} label names; limit ${maxLabels}`;
    let isFine = this.#service.length <= maxValueBytes && (isMap || !this.#repeatsService);
    let at = 0;
    for (let i = 0; i < count && isFine; i++) {
      const nameLength = lengths[2 * i]!;
      isFine = nameLength <= maxNameBytes && lengths[2 * i + 1]! <= maxValueBytes;
      isFine &&= isMap || !this.#hasBefore(i, at, nameLength);
      at += nameLength + lengths[2 * i + 1]!;
    }
    return isFine ? "" : this.#problemOf(limits);
  }

  /** As Loki writes them: `{app="a", service_name="a"}`. `isWhole`: `service_name` is there in any case. */
  text(isWhole = true): string {
    const pairs = this.#sorted(isWhole).map(
      ({ name, value }) => `${name}=${JSON.stringify(value)}`,
    );
    return `{${pairs.join(", ")}}`;
  }

  #name(at: number, length: number): void {
    const given = this.#given;
    if (this.#rank === 0) this.#repeatsService = true;
    this.#rank = 0;
    given.clear();
    given.ensure(length);
    given.copy(this.texts.view, at, length);
    this.#service.at = 0;
    this.#service.length = length;
  }

  /** Whether a label before `i`, whose name is at `at`, has the same name. At most as many labels as the limit says come here. */
  #hasBefore(i: number, at: number, length: number): boolean {
    const { lengths } = this;
    const { bytes } = this.texts;
    for (let k = 0, p = 0; k < i; k++) {
      let n = lengths[2 * k] === length ? 0 : -1;
      while (n >= 0 && n < length) n = bytes[p + n] === bytes[at + n] ? n + 1 : -1;
      if (n === length) return true;
      p += lengths[2 * k]! + lengths[2 * k + 1]!;
    }
    return false;
  }

  /** Loki looks at them in the order of their names. */
  #problemOf({ maxNameBytes, maxValueBytes }: LabelLimits): string {
    const stream = this.text();
    let last = "";
    for (const { name, value } of this.#sorted(true)) {
      if (Buffer.byteLength(name) > maxNameBytes)
        return `stream '${stream}' has label name too long: '${name}'`;
      if (Buffer.byteLength(value) > maxValueBytes)
        return `stream '${stream}' has label value too long: '${value}'`;
      if (name === last) return `stream '${stream}' has duplicate label name: '${name}'`;
      last = name;
    }
    return `stream '${stream}' has duplicate label name: '${SERVICE}'`;
  }

  #sorted(isWhole: boolean): readonly Label[] {
    const { view, at, length } = this.service;
    const service = length === 0 ? UNKNOWN : textOf(view, at, length);
    const isNamed = isWhole || this.#rank === 0;
    const labels: Label[] = isNamed ? [{ name: SERVICE, value: service }] : [];
    for (let i = 0, p = 0; i < this.count; i++) {
      const nameLength = this.lengths[2 * i]!;
      const valueLength = this.lengths[2 * i + 1]!;
      const name = textOf(this.texts.view, p, nameLength);
      labels.push({ name, value: textOf(this.texts.view, p + nameLength, valueLength) });
      p += nameLength + valueLength;
    }
    return labels.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  #grow(): void {
    const lengths = new Int32Array(2 * this.lengths.length);
    lengths.set(this.lengths);
    this.lengths = lengths;
  }
}

function textOf(view: DataView, at: number, length: number): string {
  return Buffer.from(view.buffer, view.byteOffset + at, length).toString();
}
