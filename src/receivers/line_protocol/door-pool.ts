import type { LineDoor } from "../../series/doors/door.ts";

/** More than are ever in use at once, but for many connections that send long JSON. */
const KEPT = 8;

/** Doors that connections use in turn: each has memory of its own, of which a connection that is silent needs none. */
export class DoorPool {
  readonly #make: () => LineDoor;
  readonly #free: LineDoor[] = [];

  constructor(make: () => LineDoor) {
    this.#make = make;
  }

  take(): LineDoor {
    return this.#free.pop() ?? this.#make();
  }

  /** Only one that has finished its request: what failed in the midst of one is not given back. */
  give(door: LineDoor): void {
    if (this.#free.length < KEPT) this.#free.push(door);
  }
}
