import { type FileHandle, mkdir, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Rotation } from "./rotation.ts";

export interface AppenderOptions {
  readonly path: string;
  readonly createDirectory: boolean;
  readonly fsync: boolean;
  /** End of the last complete line or record. */
  readonly completeEnd: (file: FileHandle) => Promise<number>;
  /** Absent: the file grows. */
  readonly rotation?: Rotation;
  /** Opens for reading and appending; tests have faulty disks. */
  readonly openFile?: (path: string) => Promise<FileHandle>;
}

/** Appends whole bodies to a file, one after the other, for all routes that write to it: a write that failed half-way is taken back. */
export class Appender {
  readonly #options: AppenderOptions;
  #file: FileHandle | undefined;
  #users = 0;
  #last: Promise<unknown> = Promise.resolve();
  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  /** For one more route. Opens the file and cuts off a line that a crash left incomplete; returns the bytes cut. */
  async open(): Promise<number> {
    this.#users += 1;
    return await this.#inTurn(async () => (this.#file === undefined ? await this.#open() : 0));
  }

  /** All of `body` or nothing. Rejects with ENOSPC, EIO …; the next call starts by repairing the file. */
  async append(body: Uint8Array): Promise<void> {
    await this.#inTurn(() => this.#append(body));
  }

  /** Everything to the disk; a file that was renamed or removed is opened anew at once, so that whoever moved it has it. */
  async flush(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#file?.datasync();
      await this.#reopenIfMoved();
      if (this.#file === undefined && this.#users > 0) await this.#open();
    });
  }

  /** Of one route; the last one closes the file. */
  async close(): Promise<void> {
    this.#users -= 1;
    if (this.#users <= 0) await this.#inTurn(() => this.#close());
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return await turn;
  }

  async #open(): Promise<number> {
    const { path, createDirectory, fsync, completeEnd, openFile = openReal } = this.#options;
    if (createDirectory) await mkdir(dirname(path), { recursive: true });
    const file = await openFile(path);
    try {
      const { size, isFile } = await regular(file);
      const end = isFile ? await completeEnd(file) : size;
      if (end < size) await file.truncate(end);
      if (fsync && isFile && size === 0) await syncDirectory(dirname(path));
      this.#file = file;
      return size - end;
    } catch (reason) {
      await file.close();
      throw reason;
    }
  }

  async #append(body: Uint8Array): Promise<void> {
    await this.#reopenIfMoved();
    let { file, size, isFile } = await this.#opened();
    if (isFile && this.#options.rotation?.isDue(size, body.length)) {
      await this.#close();
      await this.#options.rotation.rotate();
      ({ file, size, isFile } = await this.#opened());
    }
    try {
      for (let at = 0; at < body.length; ) {
        const { bytesWritten } = await file.write(body, at, body.length - at);
        at += bytesWritten;
      }
      if (this.#options.fsync) await file.datasync();
    } catch (reason) {
      if (isFile) await file.truncate(size).catch(() => this.#close());
      throw reason;
    }
  }

  async #opened() {
    if (this.#file === undefined) await this.#open();
    const file = this.#file;
    if (file === undefined) throw new Error("the file is closed");
    return { file, ...(await regular(file)) };
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Log rotation renames or removes the file under us. */
  async #reopenIfMoved(): Promise<void> {
    if (this.#file === undefined) return;
    const ours = await this.#file.stat();
    const there = await stat(this.#options.path).catch(() => undefined);
    if (there?.ino !== ours.ino || there.dev !== ours.dev) await this.#close();
  }
}

/** A new file's name is on the disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function openReal(path: string): Promise<FileHandle> {
  return open(path, "a+", 0o640);
}

/** A terminal, a pipe or a device has no end to come back to. */
async function regular(
  file: FileHandle,
): Promise<{ readonly size: number; readonly isFile: boolean }> {
  const info = await file.stat();
  return { size: info.size, isFile: info.isFile() };
}
