import type { DiskFile, FileIo } from "../../src/journal/file-io.ts";

export type Operation =
  | "list"
  | "open"
  | "rename"
  | "remove"
  | "syncDirectory"
  | "write"
  | "read"
  | "size"
  | "datasync"
  | "close";

/** An error as the system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

/** Asks `before` first; what it throws or rejects with is the operation's outcome. */
export function createFaultyIo(
  io: FileIo,
  before: (operation: Operation, name: string) => void | Promise<void>,
): FileIo {
  const wrap = (file: DiskFile, name: string): DiskFile => ({
    write: async (parts, at) => (await before("write", name), file.write(parts, at)),
    read: async (into, at) => (await before("read", name), file.read(into, at)),
    size: async () => (await before("size", name), file.size()),
    datasync: async () => (await before("datasync", name), file.datasync()),
    close: async () => (await before("close", name), file.close()),
  });
  return {
    list: async () => (await before("list", ""), io.list()),
    open: async (name, mode) => (await before("open", name), wrap(await io.open(name, mode), name)),
    rename: async (from, to) => (await before("rename", from), io.rename(from, to)),
    remove: async (name) => (await before("remove", name), io.remove(name)),
    syncDirectory: async () => (await before("syncDirectory", ""), io.syncDirectory()),
  };
}
