import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** What may happen to a file between two of its lines. */
const FATES = ["rename", "copytruncate", "pack", "late copy"] as const;
type Fate = (typeof FATES)[number];

/** Files that grow, and now and then are rotated in one way or another; every line says whose it is and which. */
export class RestlessFiles {
  /** What befell them, and how often. */
  readonly fates = new Map<Fate, number>();
  bytes = 0;
  readonly #directory: string;
  readonly #random: () => number;
  readonly #written: number[];
  #rotations = 0;

  constructor(directory: string, files: number, random: () => number) {
    this.#directory = directory;
    this.#random = random;
    this.#written = Array.from({ length: files }, () => 0);
  }

  /** All lines so far. */
  get count(): number {
    return this.#written.reduce((sum, count) => sum + count, 0);
  }

  /** Lines of each file so far; they are numbered from 0. */
  get written(): readonly number[] {
    return this.#written;
  }

  get rotations(): number {
    return this.#rotations;
  }

  /** So many lines to each file, in uneven parts: some are written in the middle of a line. */
  grow(lines: number): void {
    for (const [file, from] of this.#written.entries()) {
      let text = "";
      for (let line = from; line < from + lines; line++) text += `${lineOf(file, line)}\n`;
      const cut = Math.floor(this.#random() * text.length);
      appendFileSync(this.#path(file), text.slice(0, cut));
      appendFileSync(this.#path(file), text.slice(cut));
      this.#written[file] = from + lines;
      this.bytes += text.length;
    }
  }

  /** One of the files is rotated. Nothing is written to a file between its copy and its truncation: that would be lost to everybody. */
  rotate(): void {
    const file = Math.floor(this.#random() * this.#written.length);
    const path = this.#path(file);
    if (!existsSync(path)) return;
    const old = `${path}.${++this.#rotations}`;
    const fate = FATES[Math.floor(this.#random() * FATES.length)] ?? "rename";
    this.fates.set(fate, (this.fates.get(fate) ?? 0) + 1);
    if (fate === "rename" || fate === "pack") renameSync(path, old);
    if (fate === "rename") writeFileSync(path, "");
    if (fate === "pack") {
      writeFileSync(`${old}.gz`, gzipSync(readFileSync(old)));
      unlinkSync(old);
    }
    if (fate === "copytruncate" || fate === "late copy") {
      if (fate === "late copy") this.grow(1);
      copyFileSync(path, old);
      truncateSync(path);
    }
  }

  #path(file: number): string {
    return join(this.#directory, `${file}.log`);
  }
}

/** A line of such a file: the second word is the file, the fourth its number. */
export function lineOf(file: number, line: number): string {
  return `file ${file} line ${line} ${"of a file that is followed ".repeat(2)}`.trim();
}
