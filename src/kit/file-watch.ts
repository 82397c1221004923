import { statSync } from "node:fs";
import { stat } from "node:fs/promises";

/**
 * Looks every `everyMs` whether one of some files was changed or replaced (time, size or inode), and says so. Polls, because that sees
 * through the symbolic links with which Kubernetes and others swap certificates and secrets.
 */
export class FileWatch {
  readonly #paths: readonly string[];
  readonly #everyMs: number;
  readonly #onChange: () => void;
  #seen: string;
  #timer: NodeJS.Timeout | undefined;

  /** From now on; whoever calls reads the files after this. */
  constructor(paths: readonly string[], everyMs: number, onChange: () => void) {
    this.#paths = paths;
    this.#everyMs = everyMs;
    this.#onChange = onChange;
    this.#seen = paths.map((path) => signature(statNow(path))).join();
  }

  /** Keeps no process alive. Does nothing when there are no files, or for an interval of 0. */
  start(): void {
    if (this.#paths.length === 0 || this.#everyMs <= 0 || this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.#look(), this.#everyMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #look(): Promise<void> {
    const states = await Promise.all(this.#paths.map((path) => stat(path).catch(() => undefined)));
    const now = states.map(signature).join();
    if (now === this.#seen || this.#timer === undefined) return;
    this.#seen = now;
    this.#onChange();
  }
}

interface Stated {
  readonly mtimeMs: number;
  readonly size: number;
  readonly ino: number;
}

function statNow(path: string): Stated | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function signature(state: Stated | undefined): string {
  return state === undefined ? "gone" : `${state.mtimeMs}/${state.size}/${state.ino}`;
}
