import type { RecordSource } from "../../kit/doors/record-requests.ts";
import type { Body } from "../../kit/server/compression.ts";
import { PushEntries, type PushOptions } from "../../series/push/push-entries.ts";
import { PushJson } from "../../series/push/push-json.ts";
import { PushProtobuf } from "../../series/push/push-protobuf.ts";
import type { RecordDoor } from "../../series/records/record-door.ts";
import type { ResourceAttribute } from "../../series/resource-attribute.ts";

const NO_BYTES = new Uint8Array(0);

/** How a push is written. */
export type Format = "json" | "protobuf";

/** Reads pushes, one after the other: its memory is kept from one to the next. */
export class PushReader implements RecordSource {
  bytes = 0;
  readonly entries: PushEntries;
  readonly #json: PushJson;
  readonly #protobuf: PushProtobuf;
  #format: Format = "json";
  #carried: ResourceAttribute | undefined;
  #hasBegun = false;

  constructor(options: PushOptions) {
    this.entries = new PushEntries(options);
    this.#json = new PushJson(this.entries);
    this.#protobuf = new PushProtobuf(this.entries);
  }

  get bad(): number {
    return this.entries.bad;
  }

  get firstBad(): string {
    return this.entries.errors.first;
  }

  get reason(): string {
    return this.entries.reason;
  }

  /** `carried`: for the resources of all that is made of the body. */
  begin(
    { bytes, length }: Body,
    format: Format,
    nowMs: number,
    carried: ResourceAttribute | undefined,
  ): void {
    this.bytes = length;
    this.#format = format;
    this.#carried = carried;
    this.#hasBegun = false;
    this.entries.beginRequest(nowMs);
    if (format === "json") this.#json.begin(bytes, length);
    else this.#protobuf.begin(bytes, length);
  }

  /** The body is over, and its memory nobody's. */
  release(): void {
    this.#json.begin(NO_BYTES, 0);
    this.#protobuf.begin(NO_BYTES, 0);
  }

  fill(door: RecordDoor, size: number): boolean {
    if (!this.#hasBegun && this.#carried !== undefined) {
      const { view, length } = this.#carried;
      door.setResource(new Uint8Array(view.buffer, view.byteOffset, view.byteLength), length);
    }
    this.#hasBegun = true;
    const source = this.#format === "json" ? this.#json : this.#protobuf;
    return source.fill(door, size);
  }
}
