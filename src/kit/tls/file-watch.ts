import { readFileSync, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { Context } from "../../pipeline/factory.ts";

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

/** Something that is read from files. */
export interface FromFiles {
  readonly files: readonly string[];
  readonly everyMs: number;
  /** Throws when the files cannot be used, and then changes nothing. */
  read(): void;
}

/** Reads something at the start, and again when one of its files changes; then what cannot be used is a warning and the old stays. */
export class KeptUpToDate {
  readonly #from: FromFiles;
  readonly #context: Pick<Context, "id" | "log">;
  readonly #watch: FileWatch;

  constructor(from: FromFiles, context: Pick<Context, "id" | "log">) {
    this.#from = from;
    this.#context = context;
    this.#watch = new FileWatch(from.files, from.everyMs, () => this.#again());
  }

  start(): void {
    this.#from.read();
    this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
  }

  #again(): void {
    const about = { component: this.#context.id, files: this.#from.files.join(" ") };
    try {
      this.#from.read();
      this.#context.log.info(about, "changed files hold from now on");
    } catch (reason) {
      const error = reason instanceof Error ? reason.message : String(reason);
      this.#context.log.warn(
        { ...about, error },
        "changed files cannot be used; what was in them before holds",
      );
    }
  }
}

/** A small text file; throws with a sentence that names it and nothing of what is in it. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (reason) {
    const code = reason instanceof Error && "code" in reason ? String(reason.code) : "";
    const known: Readonly<Record<string, string>> = {
      ENOENT: "there is no such file",
      EACCES: "this process may not read it",
      EISDIR: "it is a directory",
    };
    const place = isAbsolute(path) ? "" : ` in ${process.cwd()}, where the service was started`;
    throw new Error(
      `cannot read ${JSON.stringify(path)}${place}: ${known[code] ?? String(reason)}`,
    );
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
