import { createInfluxdbReceiver } from "../../src/receivers/influxdb/index.ts";
import { shippedTables } from "../../src/series/tables/load.ts";
import type { ReceiverRig } from "./receiver-rig.ts";

const factory = createInfluxdbReceiver(shippedTables());

/** An `influxdb` receiver on a free port of this machine, with the rig around it. */
export async function startInfluxdb(rig: ReceiverRig, options: object = {}) {
  const config = factory.schema.parse({ endpoint: "127.0.0.1:0", ...options });
  const receiver = factory.create(config, rig.context, rig.intake);
  await receiver.start();
  const address = receiver.address() ?? "";
  return {
    address,
    url: `http://${address}`,
    stop: () => receiver.stop(AbortSignal.timeout(2_000)),
  };
}
