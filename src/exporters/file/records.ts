import type { FileHandle } from "node:fs/promises";

/** Length of the message behind it, big endian, as the Collector's file exporter writes it. */
const PREFIX_BYTES = 4;
const CHUNK = 1 << 20;

/** A message behind its length. */
export function recordOf(message: Uint8Array): Uint8Array {
  const record = new Uint8Array(PREFIX_BYTES + message.length);
  new DataView(record.buffer).setUint32(0, message.length);
  record.set(message, PREFIX_BYTES);
  return record;
}

/** Finds the end of the last complete record. Throws for a length over `most`: then the file holds something else, which must not be cut. */
export function endOfRecords(most: number): (file: FileHandle) => Promise<number> {
  return async (file) => {
    const { size } = await file.stat();
    const chunk = Buffer.alloc(CHUNK);
    let from = 0;
    let filled = 0;
    for (let at = 0; ; ) {
      if (at + PREFIX_BYTES > size) return at;
      if (at + PREFIX_BYTES > from + filled) {
        from = at;
        filled = (await file.read(chunk, 0, CHUNK, at)).bytesRead;
        if (filled < PREFIX_BYTES) return at;
      }
      const length = chunk.readUInt32BE(at - from);
      if (length > most)
        throw new Error(
          `at byte ${at} it holds no message of this exporter (a length of ${length} bytes): move the file away, or set the format that it has`,
        );
      const end = at + PREFIX_BYTES + length;
      if (end > size) return at;
      at = end;
    }
  };
}
