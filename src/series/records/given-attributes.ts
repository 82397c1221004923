import { SLACK } from "../../wire/slack.ts";

/** Attributes that a receiver gives to records: made once, used for many. A record's own member of the same name wins. */
export class GivenAttributes {
  /** Number of attributes. */
  readonly count: number;
  /** Names and values one behind the other, then SLACK. */
  readonly view: DataView;
  readonly length: number;
  /** Lengths of name and value, by attribute. */
  readonly lengths: Int32Array;

  constructor(attributes: readonly (readonly [name: string, value: string])[]) {
    const texts = attributes.flat().map((text) => Buffer.from(text));
    this.count = attributes.length;
    this.lengths = Int32Array.from(texts, ({ length }) => length);
    const bytes = Uint8Array.from(Buffer.concat([...texts, Buffer.alloc(SLACK)]));
    this.view = new DataView(bytes.buffer);
    this.length = bytes.length - SLACK;
  }
}

/** None. */
export const NOTHING_GIVEN: GivenAttributes = new GivenAttributes([]);
