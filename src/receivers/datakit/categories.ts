import {
  NO_ATTRIBUTE,
  type ResourceAttribute,
  resourceAttribute,
} from "../../series/resource-attribute.ts";

/** Attribute of the resource that tells the category of what is neither a metric nor a log. */
export const CATEGORY_ATTRIBUTE = "datakit.category";

/**
 * DataKit's categories, and `metrics`, as older senders write. Metrics and logs are rows as their senders know them; of the others the
 * category is kept beside the rows, because names of measurements may be the same in two of them.
 */
const CARRIED: ReadonlyMap<string, ResourceAttribute> = new Map([
  ...["metric", "metrics", "logging"].map((name) => [name, NO_ATTRIBUTE] as const),
  ...[
    "object",
    "object_change",
    "custom_object",
    "network",
    "keyevent",
    "tracing",
    "rum",
    "security",
    "profiling",
    "dialtesting",
  ].map((name) => [name, resourceAttribute(CATEGORY_ATTRIBUTE, name)] as const),
]);

/** What the resources of a category's points carry; undefined: there is no such category. */
export function carriedBy(category: string): ResourceAttribute | undefined {
  return CARRIED.get(category);
}
