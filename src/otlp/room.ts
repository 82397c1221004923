/** Takes from the byte budget; false: it has no more. */
export interface Room {
  grow(bytes: number): boolean;
}

/** The budget is spent. */
export class NoRoom extends Error {}

/** Room for memory that comes and goes: what was given back is taken again before more is asked for. */
export class Allowance {
  readonly #room: Room | undefined;
  #asked = 0;
  #taken = 0;
  /** Without a room, everything is allowed. */
  constructor(room: Room | undefined) {
    this.#room = room;
  }

  /** Throws NoRoom. */
  take(bytes: number): void {
    const more = this.#taken + bytes - this.#asked;
    if (more > 0) {
      if (this.#room?.grow(more) === false) throw new NoRoom();
      this.#asked += more;
    }
    this.#taken += bytes;
  }

  give(bytes: number): void {
    this.#taken -= bytes;
  }
}
