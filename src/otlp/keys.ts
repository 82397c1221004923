declare const brand: unique symbol;

/** A small integer that stands for an attribute name within this process. Never journaled, never sent. */
export type KeyId = number & { readonly [brand]: "key" };

/** Names ↔ ids, bounded to 4,096. */
export interface Keys {
  /** At build time only, never per record. Throws when the table is full. */
  id(name: string): KeyId;
  /** Name of an id. */
  name(id: KeyId): string;
}
