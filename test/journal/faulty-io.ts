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
    write: async (parts, at) => {
      await before("write", name);
      return file.write(parts, at);
    },
    read: async (into, at) => {
      await before("read", name);
      return file.read(into, at);
    },
    size: async () => {
      await before("size", name);
      return file.size();
    },
    datasync: async () => {
      await before("datasync", name);
      return file.datasync();
    },
    close: async () => {
      await before("close", name);
      return file.close();
    },
  });
  return {
    list: async () => {
      await before("list", "");
      return io.list();
    },
    open: async (name, mode) => {
      await before("open", name);
      return wrap(await io.open(name, mode), name);
    },
    rename: async (from, to) => {
      await before("rename", from);
      return io.rename(from, to);
    },
    remove: async (name) => {
      await before("remove", name);
      return io.remove(name);
    },
    syncDirectory: async () => {
      await before("syncDirectory", "");
      return io.syncDirectory();
    },
  };
}
