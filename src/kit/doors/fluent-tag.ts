import { GivenAttributes } from "../../series/records/given-attributes.ts";

/** The attribute that holds a tag. */
const TAG_ATTRIBUTE = "fluent.tag";
/** Longer tags are cut. */
export const TAG_MAX = 256;

/** The tag of Fluent Bit or Fluentd as an attribute of records. */
export function fluentTag(tag: string): GivenAttributes {
  return new GivenAttributes([[TAG_ATTRIBUTE, tag.slice(0, TAG_MAX)]]);
}
