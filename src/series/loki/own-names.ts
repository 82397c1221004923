import { type MetadataNames, NAME_AT } from "./names.ts";

/** Names that are no attributes'. */
export const OWN_NAMES = [
  "line_part",
  "event_name",
  "trace_id",
  "span_id",
  "severity_text",
  "body",
  "scope_name",
] as const;
export type OwnName = (typeof OWN_NAMES)[number];

/** Such a name, where a pair's writer finds it. */
export class OwnHead {
  readonly at: number;
  readonly length: number;
  readonly number: number;
  readonly #names: MetadataNames;
  constructor(names: MetadataNames, name: OwnName) {
    this.at = names.head(name) + NAME_AT;
    this.length = name.length;
    this.number = names.number(name);
    this.#names = names;
  }
  get source(): DataView {
    return this.#names.heads.view;
  }
}
