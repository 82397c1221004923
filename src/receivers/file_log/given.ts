import { basename } from "node:path";
import { GivenAttributes } from "../../series/records/given-attributes.ts";
import type { Config } from "./config.ts";

type Pair = readonly [name: string, value: string];

/** Longer paths and values are cut. */
const VALUE_MAX = 4_096;

/** The attributes of a file's records, made once. */
export class Given {
  readonly plain: GivenAttributes;
  /** With the stream of a container's output beside them. */
  readonly stdout: GivenAttributes;
  readonly stderr: GivenAttributes;

  constructor(pairs: readonly Pair[]) {
    this.plain = new GivenAttributes(pairs);
    this.stdout = new GivenAttributes([...pairs, ["stream", "stdout"]]);
    this.stderr = new GivenAttributes([...pairs, ["stream", "stderr"]]);
  }
}

/** What the path and the options say about a file's records. */
export function givenOf(path: string, config: Config): Given {
  const pairs = new Map<string, string>(Object.entries(config.attributes));
  for (const [name, value] of pathFields(path, config)) pairs.set(name, value);
  if (config.include_file_name) pairs.set("log.file.name", basename(path));
  if (config.include_file_path) pairs.set("log.file.path", path);
  return new Given([...pairs].map(([name, value]): Pair => [name, value.slice(0, VALUE_MAX)]));
}

function* pathFields(path: string, { path_pattern: pattern }: Config): Generator<Pair> {
  const match = pattern?.matcher(path);
  if (pattern === undefined || match === undefined || !match.find()) return;
  for (const [name, group] of Object.entries(pattern.namedGroups())) {
    const value = match.group(group);
    if (value !== null && value !== undefined && value !== "") yield [name, value];
  }
}
