import { ProtoWriter } from "../otlp/build.ts";
import { AnyValue, KeyValue, Resource } from "../otlp/tags.gen.ts";
import { SLACK } from "../wire/slack.ts";

/** An attribute with a text, as the door puts it into resources: encoded, with SLACK behind it. */
export interface ResourceAttribute {
  readonly view: DataView;
  readonly length: number;
}

export const NO_ATTRIBUTE: ResourceAttribute = {
  view: new DataView(new ArrayBuffer(SLACK)),
  length: 0,
};

/** Encodes `key: value`. */
export function resourceAttribute(key: string, value: string): ResourceAttribute {
  const writer = new ProtoWriter(key.length + value.length + 64);
  writer.open(Resource.attributes, 2);
  writer.text(KeyValue.key, key);
  writer.open(KeyValue.value, 2);
  writer.text(AnyValue.string_value, value);
  writer.close();
  writer.close();
  const { buffer } = writer.take();
  return { view: new DataView(buffer), length: writer.length };
}
