/** Tells everyone who asked for it of SIGHUP, with one listener of the process; that alone keeps SIGHUP from ending it. */
export class HangUp {
  readonly #heard = new Set<() => void>();
  readonly #onSignal = () => {
    for (const listener of this.#heard) listener();
  };

  add(listener: () => void): void {
    if (this.#heard.size === 0) process.on("SIGHUP", this.#onSignal);
    this.#heard.add(listener);
  }

  remove(listener: () => void): void {
    this.#heard.delete(listener);
    if (this.#heard.size === 0) process.off("SIGHUP", this.#onSignal);
  }
}
