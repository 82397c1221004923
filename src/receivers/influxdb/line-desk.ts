import { setImmediate as turn } from "node:timers/promises";
import { BadLines } from "../../kit/bad-lines.ts";
import { outOfMemory } from "../../kit/budget.ts";
import type { Body } from "../../kit/compression.ts";
import type { Precision } from "../../line/time.ts";
import { PipelineError } from "../../otlp/status.ts";
import type { Lease } from "../../pipeline/contracts.ts";
import { type DoorResult, LineDoor } from "../../series/door.ts";
import type { LineShape } from "../../series/line-shapes.ts";
import type { ResourceAttribute } from "../../series/resource-attribute.ts";

/** Bodies above this are read in slices of `SLICE_BYTES`, so that nobody else waits long. */
const WHOLE_BYTES = 1 << 20;
const SLICE_BYTES = 1 << 19;

/** How the lines of one body are to be read. */
export interface Reading {
  readonly precision: Precision;
  /** Of lines without a time. */
  readonly receivedMs: number;
  readonly carried: ResourceAttribute;
}

/** Reads the lines of one body at a time, and keeps what is needed to tell of the bad ones. */
export class LineDesk {
  readonly bad: BadLines = new BadLines();
  readonly #door: LineDoor;

  constructor(shapes: readonly LineShape[], serviceName: string | undefined) {
    this.#door = new LineDoor(shapes, {
      precision: "ns",
      onBadLine: this.bad.add,
      ...(serviceName !== undefined && { serviceName }),
    });
  }

  /** The lines as an OTLP request; its bytes are taken from the lease. Rejects when there are too few left. */
  async read(
    { bytes, length }: Body,
    { precision, receivedMs, carried }: Reading,
    lease: Lease,
  ): Promise<DoorResult> {
    const door = this.#door;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.bad.begin(bytes);
    door.carry(carried);
    door.begin(bytes, view, 0, length, receivedMs, precision);
    let charged = 0;
    const charge = () => {
      const more = door.length - charged;
      if (!lease.grow(more)) throw new PipelineError(outOfMemory(lease));
      charged += more;
    };
    try {
      const slice = length <= WHOLE_BYTES ? length : SLICE_BYTES;
      while (door.appendSome(slice)) {
        charge();
        await turn();
      }
      charge();
    } catch (reason) {
      door.finish();
      throw reason;
    }
    return door.finish();
  }
}
