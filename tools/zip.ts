import { crc32, deflateRawSync } from "node:zlib";

/** A file of an archive. */
export interface Entry {
  readonly name: string;
  /** Permissions, as chmod has them. */
  readonly mode: number;
  readonly bytes: Uint8Array;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const DEFLATED = 8;
/** 2.0, made on Unix: permissions are kept. */
const MADE_ON_UNIX = 0x0314;
const VERSION = 20;
/** 1980-01-01, the earliest date of the format: the same files make the same archive. */
const DATE = 0x0021;
const REGULAR_FILE = 0o100000;
const UTF8_NAMES = 0x0800;

/** A ZIP archive (APPNOTE 6.3), deflated, below 4 GiB and 65,535 files. */
export function zip(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, mode, bytes } of entries) {
    const path = Buffer.from(name);
    const data = deflateRawSync(bytes, { level: 9 });
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(VERSION, 0);
    shared.writeUInt16LE(UTF8_NAMES, 2);
    shared.writeUInt16LE(DEFLATED, 4);
    shared.writeUInt16LE(DATE, 8);
    shared.writeUInt32LE(crc32(bytes), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(bytes.length, 18);
    shared.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([word(LOCAL), shared, path, data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(((REGULAR_FILE | mode) << 16) >>> 0, 6);
    rest.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([word(CENTRAL), half(MADE_ON_UNIX), shared, rest, path]));
    parts.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...parts, central, word(END), end]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function half(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
