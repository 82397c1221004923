import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, readdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { DiskFile, FileIo } from "./file-io.ts";

const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants;
/** Parts per system call (IOV_MAX on Linux). */
const PARTS_MAX = 1_024;
/** Between two looks whether a file that is written still has a name. */
const LOOK_MS = 250;

/** A directory on disk: files 0600, directories 0700, symbolic links refused. */
export async function openDirectory(
  path: string,
  options: { readonly create: boolean },
): Promise<FileIo & AsyncDisposable> {
  if (options.create) await mkdir(path, { recursive: true, mode: 0o700 });
  const stat = await lstat(path).catch((cause: unknown) => {
    throw new Error(`directory ${path} is missing: create it, or set create_directory: true`, {
      cause,
    });
  });
  if (!stat.isDirectory())
    throw new Error(
      `${path} is ${stat.isSymbolicLink() ? "a symbolic link" : "not a directory"}: name the directory itself`,
    );
  const directory = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return new Directory(path, directory);
}

class Directory implements FileIo, AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  async list(): Promise<readonly string[]> {
    const entries = await readdir(this.#path, { withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  }

  async open(name: string, mode: "append" | "read"): Promise<DiskFile> {
    const flags = mode === "append" ? O_RDWR | O_CREAT : O_RDONLY;
    return new RealFile(await open(this.#at(name), flags | O_NOFOLLOW, 0o600));
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(this.#at(from), this.#at(to));
  }

  async remove(name: string): Promise<void> {
    await unlink(this.#at(name));
  }

  async syncDirectory(): Promise<void> {
    await this.#handle.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  #at(name: string): string {
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name))
      throw new Error(`${JSON.stringify(name)} is not a plain file name`);
    return join(this.#path, name);
  }
}

class RealFile implements DiskFile {
  readonly #handle: FileHandle;
  #lookedAt = Number.NEGATIVE_INFINITY;
  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(parts: readonly Uint8Array[], at: number): Promise<void> {
    let position = at;
    for (let from = 0; from < parts.length; from += PARTS_MAX) {
      let rest: readonly Uint8Array[] = parts.slice(from, from + PARTS_MAX);
      while (rest.length > 0) {
        const { bytesWritten } = await this.#handle.writev(rest, position);
        position += bytesWritten;
        const before = rest.length;
        rest = behind(rest, bytesWritten);
        if (bytesWritten === 0 && rest.length === before)
          throw Object.assign(new Error("ENOSPC: the disk took no bytes"), { code: "ENOSPC" });
      }
    }
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let length = 0;
    while (length < into.length) {
      const left = into.length - length;
      const { bytesRead } = await this.#handle.read(into, length, left, at + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return length;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  /** Rejects for a file that somebody has deleted, too: it takes writes for ever, and nobody will find them. */
  async datasync(): Promise<void> {
    await this.#handle.datasync();
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    if ((await this.#handle.stat()).nlink === 0)
      throw new Error("the file was deleted while it was written: is its directory still there?");
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** The parts without their first `written` bytes; empty parts at the front go too. */
function behind(parts: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let skip = written;
  for (const [index, part] of parts.entries()) {
    if (part.length > skip) return [part.subarray(skip), ...parts.slice(index + 1)];
    skip -= part.length;
  }
  return [];
}
