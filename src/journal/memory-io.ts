import type { DiskFile, FileIo } from "./file-io.ts";

/** Files in memory: a memory queue is the journal over it. Keeps what was written by reference; writers never change it afterwards. */
export function createMemoryIo(): FileIo {
  const files = new Map<string, MemoryFile>();
  return {
    list: async () => [...files.keys()],
    async open(name, mode) {
      const known = files.get(name);
      if (known !== undefined) return known;
      if (mode === "read") throw missing(name);
      const created = new MemoryFile();
      files.set(name, created);
      return created;
    },
    async rename(from, to) {
      const file = files.get(from);
      if (file === undefined) throw missing(from);
      files.delete(from);
      files.get(to)?.clear();
      files.set(to, file);
    },
    async remove(name) {
      const file = files.get(name);
      if (file === undefined) throw missing(name);
      files.delete(name);
      file.clear();
    },
    async syncDirectory() {},
  };
}

function missing(name: string): Error {
  return Object.assign(new Error(`ENOENT: no file ${name}`), { code: "ENOENT" });
}

class MemoryFile implements DiskFile {
  readonly #parts: Uint8Array[] = [];
  /** Where each part begins; ascending. */
  readonly #starts: number[] = [];
  #size = 0;

  async write(parts: readonly Uint8Array[], at: number): Promise<void> {
    this.#cut(at);
    for (const part of parts) {
      if (part.length === 0) continue;
      this.#parts.push(part);
      this.#starts.push(this.#size);
      this.#size += part.length;
    }
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let index = this.#partAt(at);
    let length = 0;
    while (length < into.length && index < this.#parts.length) {
      const part = this.#parts[index] as Uint8Array;
      const from = at + length - (this.#starts[index] ?? 0);
      const piece = part.subarray(from, from + into.length - length);
      into.set(piece, length);
      length += piece.length;
      index++;
    }
    return length;
  }

  /** Lets go of the content at once: what still refers to the file, even a table that a Map has outgrown, must not keep it. */
  clear(): void {
    this.#parts.length = 0;
    this.#starts.length = 0;
    this.#size = 0;
  }

  async size(): Promise<number> {
    return this.#size;
  }
  async datasync(): Promise<void> {}
  async close(): Promise<void> {}

  /** Forgets everything from `at`; fills a hole with zeros. The journal only ever writes at its end. */
  #cut(at: number): void {
    while (this.#size > at) {
      const start = this.#starts.pop() ?? 0;
      const part = this.#parts.pop() as Uint8Array;
      this.#size = start;
      if (start < at) {
        this.#starts.push(start);
        this.#parts.push(part.subarray(0, at - start));
        this.#size = at;
      }
    }
    if (this.#size === at) return;
    this.#starts.push(this.#size);
    this.#parts.push(new Uint8Array(at - this.#size));
    this.#size = at;
  }

  /** Index of the part that holds byte `at`. */
  #partAt(at: number): number {
    if (at >= this.#size) return this.#parts.length;
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
