declare const brand: unique symbol;

/** A small integer that stands for an attribute name within this process. Never journaled, never sent. */
export type KeyId = number & { readonly [brand]: "key" };

/** Names ↔ ids, bounded to 4,096. */
export interface Keys {
  /** At build time only, never per record. Throws when the table is full. */
  id(name: string): KeyId;
  /** The same for who only looks for it: who asks `id` may put it into items. */
  seek(name: string): KeyId;
  /** False as long as no item can have it: it was not met on the wire, and nobody but seekers has asked for it. */
  mayOccur(id: KeyId): boolean;
  /** Name of an id. */
  name(id: KeyId): string;
}
