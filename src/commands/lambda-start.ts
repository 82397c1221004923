import type { Config } from "../config/config.ts";
import type { Logger } from "../pipeline/telemetry.ts";
import type { Creators } from "../service/creators.ts";

/** What the service of an extension starts with. */
export interface LambdaStart {
  readonly config: Config;
  readonly components: Creators;
  readonly log: Logger;
}
