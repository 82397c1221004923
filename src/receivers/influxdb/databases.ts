import {
  NO_ATTRIBUTE,
  type ResourceAttribute,
  resourceAttribute,
} from "../../series/resource-attribute.ts";
import type { Config } from "./config.ts";
import { Fault } from "./fault.ts";

/** Which databases and buckets there are, and what of their names goes along with the lines. */
export class Databases {
  readonly #attribute: string | undefined;
  readonly #known: ReadonlyMap<string, string> | undefined;

  constructor({ database_attribute: attribute, databases }: Config) {
    this.#attribute = attribute;
    this.#known =
      databases &&
      new Map(
        Object.entries(databases).map(([name, block]) => [name, block?.database ?? name] as const),
      );
  }

  has(name: string): boolean {
    return this.#known?.has(name) ?? true;
  }

  /** What the lines of a write to it carry. Throws Fault when there is no such database. */
  carried(name: string): ResourceAttribute {
    const database = this.#known === undefined ? name : this.#known.get(name);
    if (database === undefined)
      throw new Fault("not_found", `database not found: ${JSON.stringify(name.slice(0, 200))}`);
    if (this.#attribute === undefined) return NO_ATTRIBUTE;
    return resourceAttribute(this.#attribute, database);
  }
}
