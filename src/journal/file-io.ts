/** The only door to the disk: real, faulty and simulated. Names are plain file names inside one directory. */
export interface FileIo {
  list(): Promise<readonly string[]>;
  /** "append" creates the file when it is missing and opens it for reading and writing. Rejects for "read" on a missing file. */
  open(name: string, mode: "append" | "read"): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  syncDirectory(): Promise<void>;
}

export interface DiskFile {
  /** Writes all parts, one after the other, from `at`. Rejects with ENOSPC, EIO … when not everything was written. */
  write(parts: readonly Uint8Array[], at: number): Promise<void>;
  /** Number of bytes read; fewer than asked only at the end of the file. */
  read(into: Uint8Array, at: number): Promise<number>;
  size(): Promise<number>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}
