import type { FileHandle } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip, type Gunzip } from "node:zlib";

/** Bytes of an archive that are read at once. */
const PACKED_BYTES = 64 << 10;

/** The bytes of a file, from any place on. */
export interface Source {
  /** Bytes read into the memory from `at` on; fewer than fit only at the present end. */
  read(into: Uint8Array, at: number): Promise<number>;
  close(): Promise<void>;
}

/** A file as it lies on the disk. */
export class PlainSource implements Source {
  readonly handle: FileHandle;

  constructor(handle: FileHandle) {
    this.handle = handle;
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let length = 0;
    while (length < into.length) {
      const { bytesRead } = await this.handle.read(into, length, into.length - length, at + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return length;
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** What a gzip file holds, also in several members. Places are those of the content; going back means to begin again. */
export class GzipSource implements Source {
  readonly #handle: FileHandle;
  #stream: Gunzip | undefined;
  #chunks: AsyncIterator<Uint8Array> | undefined;
  #kept: Uint8Array = new Uint8Array(0);
  /** Place of the first byte in `kept`. */
  #keptAt = 0;
  #isOver = false;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Rejects when the file is cut off, or no gzip file; another try begins at the front. */
  async read(into: Uint8Array, at: number): Promise<number> {
    if (this.#chunks === undefined || at < this.#keptAt) this.#begin();
    const parts: Uint8Array[] = [];
    let length = this.#take(at, into.length, parts);
    while (length < into.length && !this.#isOver) {
      const next = await this.#next();
      if (next === undefined || next.done === true) {
        this.#isOver = true;
        break;
      }
      this.#kept = next.value;
      length += this.#take(at + length, into.length - length, parts);
    }
    let end = 0;
    for (const part of parts) {
      into.set(part, end);
      end += part.length;
    }
    // All that was read is kept: the next call may want some of it again.
    this.#keptAt = at;
    this.#kept = Buffer.concat([...parts, this.#kept]);
    return length;
  }

  async close(): Promise<void> {
    this.#stream?.destroy();
    this.#stream = this.#chunks = undefined;
    await this.#handle.close();
  }

  async #next(): Promise<IteratorResult<Uint8Array> | undefined> {
    try {
      return await this.#chunks?.next();
    } catch (error) {
      this.#chunks = undefined;
      throw error;
    }
  }

  #begin(): void {
    this.#stream?.destroy();
    const gunzip = createGunzip();
    // What goes wrong here, the iterator says.
    pipeline(packed(this.#handle), gunzip).catch(() => {});
    this.#stream = gunzip;
    this.#chunks = gunzip[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    this.#kept = new Uint8Array(0);
    this.#keptAt = 0;
    this.#isOver = false;
  }

  /** Moves what is kept from `at` on to the parts, at most `most` bytes. */
  #take(at: number, most: number, parts: Uint8Array[]): number {
    const skipped = Math.min(this.#kept.length, at - this.#keptAt);
    const part = this.#kept.subarray(skipped, skipped + most);
    this.#keptAt += skipped + part.length;
    this.#kept = this.#kept.subarray(skipped + part.length);
    if (part.length > 0) parts.push(part);
    return part.length;
  }
}

/** The bytes of a file from its beginning. Not a ReadStream: it would close the handle's descriptor, whose number may be another file's by then. */
async function* packed(handle: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const buffer = Buffer.allocUnsafe(PACKED_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, PACKED_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
