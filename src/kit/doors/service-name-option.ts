import { z } from "zod";

/** The option `service_name` of a receiver: the name of those that have none of their own, as in "records that have …". */
export function serviceNameOption(whose: string) {
  return z.string().min(1).optional().describe(`service.name of ${whose}.`);
}
