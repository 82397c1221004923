/** What canonicalize answers. `bytes` has SLACK behind `length`. */
export type Canonical =
  | {
      readonly bytes: Uint8Array;
      readonly length: number;
      readonly rejected: number;
      readonly why: string;
    }
  | { readonly refused: "malformed"; readonly why: string };

/** The bytes are not the protobuf they claim to be. */
export class Malformed extends Error {
  override readonly name: string = "Malformed";
}

/** Sound protobuf that no item may carry: an id of a wrong length, nesting over the limit. */
export class CutOut extends Malformed {
  override readonly name = "CutOut";
}

/** A field on the wire; its value is [at, end): of length-delimited ones the payload. */
export interface Field {
  readonly number: number;
  readonly wireType: number;
  readonly at: number;
  readonly end: number;
}

const LAST_FIELD = 2 ** 29 - 1;
/** Wire types of groups, which proto2 had: a field's number begins one and ends it. */
const GROUP = 3;
const GROUP_END = 4;
/** Groups in groups, and bytes of a group: it is passed over at once. */
const GROUPS_MAX = 100;
const GROUP_BYTES = 1 << 20;

/**
 * The field whose tag starts at `at`; of a group, what ends it is part of its value. Throws Malformed for whatever does not end within
 * `content`.
 */
export function fieldAt(content: Uint8Array, at: number): Field {
  const tagEnd = varintEnd(content, at);
  const tag = number(content, at, tagEnd);
  const field = fieldOf(tag, at);
  const wireType = tag % 8;
  if (wireType === GROUP)
    return { number: field, wireType, at: tagEnd, end: groupEnd(content, tagEnd, field) };
  const end = valueEnd(content, tagEnd, wireType);
  if (wireType !== 2) return { number: field, wireType, at: tagEnd, end };
  const length = number(content, tagEnd, end);
  if (length > content.length - end)
    throw new Malformed(
      `field ${field} says it has ${length} bytes where its message has ${content.length - end} left`,
    );
  return { number: field, wireType, at: end, end: end + length };
}

function fieldOf(tag: number, at: number): number {
  const field = Math.floor(tag / 8);
  if (field === 0 || field > LAST_FIELD) throw new Malformed(`byte ${at}: field number ${field}`);
  return field;
}

/** End of the group of this number whose first field starts at `at`. */
function groupEnd(content: Uint8Array, at: number, group: number): number {
  const open = [group];
  for (let p = at; ; ) {
    if (p - at > GROUP_BYTES)
      throw new Malformed(`field ${group} is a group of more than ${GROUP_BYTES} bytes`);
    const tagEnd = varintEnd(content, p);
    const tag = number(content, p, tagEnd);
    const field = fieldOf(tag, p);
    if (tag % 8 === GROUP) {
      if (open.push(field) > GROUPS_MAX)
        throw new Malformed(`field ${group} has groups nested deeper than ${GROUPS_MAX}`);
      p = tagEnd;
    } else if (tag % 8 === GROUP_END) {
      if (open.pop() !== field)
        throw new Malformed(`byte ${p}: the end of group ${field}, which did not begin`);
      if (open.length === 0) return tagEnd;
      p = tagEnd;
    } else p = fieldAt(content, p).end;
  }
}

/** End of a value; of a length-delimited one, the end of its length. */
function valueEnd(content: Uint8Array, at: number, wireType: number): number {
  if (wireType === 0 || wireType === 2) return varintEnd(content, at);
  if (wireType !== 1 && wireType !== 5)
    throw new Malformed(`byte ${at - 1}: wire type ${wireType}, which proto3 does not have`);
  const end = at + (wireType === 1 ? 8 : 4);
  if (end > content.length) throw new Malformed(`its last number is cut off at byte ${at}`);
  return end;
}

function varintEnd(content: Uint8Array, at: number): number {
  for (let p = at; p < content.length && p < at + 10; p++) if (content[p]! < 128) return p + 1;
  throw new Malformed(`byte ${at}: a number that does not end`);
}

/** A tag or length; those above 2^53 are too large in any case, so rounding them does no harm. */
function number(content: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let p = end - 1; p >= at; p--) value = value * 128 + (content[p]! & 127);
  return value;
}
