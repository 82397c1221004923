import { readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, parse } from "node:path";

export interface RotationOptions {
  /** A file that would become larger is put aside before. */
  readonly maxBytes: number;
  /** Files put aside longer ago are deleted; 0 = none is. */
  readonly maxDays: number;
  /** Files put aside that are kept; 0 = all. */
  readonly maxBackups: number;
  /** Names have this machine's time instead of UTC. */
  readonly localtime: boolean;
}

const DAY_MS = 86_400_000;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;

/** Puts a full file aside as `<name>-<time><extension>` beside it, and deletes those that are too old or too many, as the Collector does. */
export class Rotation {
  readonly #path: string;
  readonly #options: RotationOptions;
  readonly #nowMs: () => number;
  constructor(path: string, options: RotationOptions, nowMs: () => number) {
    this.#path = path;
    this.#options = options;
    this.#nowMs = nowMs;
  }

  /** Whether a file of `size` bytes must go before `more` are written. */
  isDue(size: number, more: number): boolean {
    return size > 0 && size + more > this.#options.maxBytes;
  }

  /** The file must be closed. */
  async rotate(): Promise<void> {
    await rename(this.#path, await this.#freeName());
    await this.#deleteOld();
  }

  async #freeName(): Promise<string> {
    const { dir, name, ext } = parse(this.#path);
    for (let at = this.#nowMs(); ; at++) {
      const path = join(dir, `${name}-${this.#stampOf(at)}${ext}`);
      if ((await stat(path).catch(() => undefined)) === undefined) return path;
    }
  }

  #stampOf(ms: number): string {
    const offsetMs = this.#options.localtime ? new Date(ms).getTimezoneOffset() * 60_000 : 0;
    return new Date(ms - offsetMs).toISOString().slice(0, -1).replaceAll(":", "-");
  }

  async #deleteOld(): Promise<void> {
    const { maxDays, maxBackups } = this.#options;
    const oldest = maxDays > 0 ? this.#nowMs() - maxDays * DAY_MS : Number.NEGATIVE_INFINITY;
    const backups = await this.#backups();
    const kept = maxBackups > 0 ? maxBackups : backups.length;
    for (const [i, { path, mtimeMs }] of backups.entries())
      if (i >= kept || mtimeMs < oldest) await rm(path, { force: true });
  }

  /** The newest first. */
  async #backups(): Promise<{ readonly path: string; readonly mtimeMs: number }[]> {
    const { name, ext } = parse(this.#path);
    const directory = dirname(this.#path);
    const names = (await readdir(directory)).filter(
      (one) =>
        one.startsWith(`${name}-`) &&
        one.endsWith(ext) &&
        STAMP.test(one.slice(name.length + 1, one.length - ext.length)),
    );
    const found = names
      .sort()
      .reverse()
      .map(async (one) => {
        const path = join(directory, one);
        const info = await stat(path).catch(() => undefined);
        return { path, mtimeMs: info?.mtimeMs ?? Number.POSITIVE_INFINITY };
      });
    return await Promise.all(found);
  }
}
