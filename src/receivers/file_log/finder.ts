import type { BigIntStats } from "node:fs";
import { glob, stat } from "node:fs/promises";
import { dirname, matchesGlob, resolve } from "node:path";
import { errorText } from "../../kit/error-text.ts";
import type { Config } from "./config.ts";

/** A regular file that the options name. */
export interface Found {
  readonly path: string;
  readonly inode: string;
  readonly size: number;
  readonly changedMs: number;
}

/** Files that are looked at between two turns of the event loop, and at once. */
const AT_ONCE = 32;

/** Looks for the files that `include` names and `exclude` does not. */
export class Finder {
  readonly #config: Config;
  /** Files are written anew as a whole, perhaps as another inode. */
  readonly #isByPath: boolean;
  readonly #onTrouble: (path: string, why: string) => void;

  constructor(config: Config, onTrouble: (path: string, why: string) => void) {
    this.#config = config;
    this.#isByPath = config.format === "logs_json";
    this.#onTrouble = onTrouble;
  }

  /** Each file once, by the first of the paths that lead to it; in order of the paths. Directories, sockets, pipes and devices are left out. */
  async find(): Promise<readonly Found[]> {
    const paths = new Set<string>();
    for (const pattern of this.#config.include)
      try {
        for await (const path of glob(pattern)) if (!this.#isExcluded(path)) paths.add(path);
      } catch (error) {
        this.#onTrouble(pattern, errorText(error));
      }
    const sorted = [...paths].sort();
    const looked: (Found | undefined)[] = [];
    const waiting = sorted.entries();
    const look = async () => {
      for (const [i, path] of waiting) looked[i] = await this.#look(path);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, look));
    const found = new Map<string, Found>();
    for (const file of looked)
      if (file !== undefined && !found.has(file.inode)) found.set(file.inode, file);
    return [...found.values()];
  }

  /** However the pattern is written: `./a.log`, `a.log` and the whole path are one file, and what begins with `**` is meant anywhere. */
  #isExcluded(path: string): boolean {
    const whole = resolve(path);
    return this.#config.exclude.some(
      (pattern) => matchesGlob(whole, resolve(pattern)) || matchesGlob(whole, pattern),
    );
  }

  async #look(path: string): Promise<Found | undefined> {
    try {
      const stats = await stat(path, { bigint: true });
      if (!stats.isFile()) return undefined;
      const inode = this.#isByPath ? path : inodeOf(stats);
      return { path, inode, size: Number(stats.size), changedMs: Number(stats.mtimeMs) };
    } catch (error) {
      // Gone between the two looks, or a link that leads nowhere.
      if (!isGone(error)) this.#onTrouble(path, errorText(error));
      return undefined;
    }
  }
}

/** Device, inode and time of birth: systems use inodes again at once. */
export function inodeOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

/** Whether an error says that there is no such file. */
export function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** Directories in which files were found, and the fixed parts of the patterns: where changes are watched. */
export function directoriesOf(config: Config, found: readonly Found[]): ReadonlySet<string> {
  const fixed = config.include.map((pattern) => {
    const wild = pattern.search(/[*?[{]/);
    return wild < 0 ? dirname(pattern) : dirname(`${pattern.slice(0, wild)}x`);
  });
  return new Set([...fixed, ...found.map(({ path }) => dirname(path))]);
}
