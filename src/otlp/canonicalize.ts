import type { Signal } from "./tape.ts";
export type Canonical =
  | {
      readonly bytes: Uint8Array;
      readonly length: number;
      readonly rejected: number;
      readonly why: string;
    }
  | { readonly refused: "malformed" | "too_large"; readonly why: string };
export function canonicalize(_signal: Signal, _bytes: Uint8Array, _length: number): Canonical {
  return { refused: "malformed", why: "the request is not valid OTLP protobuf" };
}
