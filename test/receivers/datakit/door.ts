import { expect } from "vitest";
import { createDatakit } from "../../../src/receivers/datakit/index.ts";
import { shippedTables } from "../../../src/series/tables/load.ts";
import { ReceiverRig } from "../../support/receiver-rig.ts";

const factory = createDatakit(shippedTables());

/** A running receiver, what it told the rest of the house, and how to end it. */
export interface DatakitDoor {
  readonly rig: ReceiverRig;
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** A `datakit` receiver on a real socket. `prepare` scripts the house before it starts; its end checks that all memory was given back. */
export async function datakitDoor(
  options: object = {},
  prepare: (rig: ReceiverRig) => void = () => {},
): Promise<DatakitDoor> {
  const rig = new ReceiverRig("datakit");
  prepare(rig);
  const config = factory.schema.parse({ endpoint: "127.0.0.1:0", ...options });
  const receiver = factory.create(config, rig.context, rig.intake);
  await receiver.start();
  return {
    rig,
    url: `http://${receiver.address()}`,
    stop: async () => {
      await receiver.stop(AbortSignal.timeout(2_000));
      expect(rig.budget.used, "every lease is given back").toBe(0);
    },
  };
}
