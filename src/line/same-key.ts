import { PAIR, Pair } from "./pair.ts";

/** Up to here every key is compared with every other. */
const FEW = 24;

/** Whether two of the first `count` pairs have the same key. Raw bytes decide: the escaped form of a key is unique. */
export function sameKeyTwice(bytes: Uint8Array, pairs: Int32Array, count: number): boolean {
  if (count > FEW) return sameKeyInMany(bytes, pairs, count);
  for (let i = PAIR; i < count * PAIR; i += PAIR)
    for (let j = 0; j < i; j += PAIR) if (sameKey(bytes, pairs, i, j)) return true;
  return false;
}

/** Whether the pairs at `i` and `j` have the same key. */
export function sameKey(bytes: Uint8Array, pairs: Int32Array, i: number, j: number): boolean {
  const at = pairs[i + Pair.keyAt]!;
  const other = pairs[j + Pair.keyAt]!;
  const length = pairs[i + Pair.keyEnd]! - at;
  if (length !== pairs[j + Pair.keyEnd]! - other) return false;
  for (let k = 0; k < length; k++) if (bytes[at + k] !== bytes[other + k]) return false;
  return true;
}

/** Lines with more tags than anybody writes: an open-addressed table, made for the occasion. */
function sameKeyInMany(bytes: Uint8Array, pairs: Int32Array, count: number): boolean {
  const mask = (1 << (33 - Math.clz32(count))) - 1;
  const slots = new Int32Array(mask + 1).fill(-1);
  for (let i = 0; i < count * PAIR; i += PAIR) {
    let hash = 0x811c9dc5;
    for (let p = pairs[i + Pair.keyAt]!; p < pairs[i + Pair.keyEnd]!; p++)
      hash = Math.imul(hash ^ bytes[p]!, 0x01000193);
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (; slots[slot]! >= 0; slot = (slot + 1) & mask)
      if (sameKey(bytes, pairs, i, slots[slot]!)) return true;
    slots[slot] = i;
  }
  return false;
}
