import type { Config } from "../config/config.ts";
import type { Config as LokiConfig } from "../exporters/loki/config.ts";
import type { Config as ReceiverConfig } from "../receivers/telemetry_api/config.ts";
import { labelProblem } from "../series/loki/labels.ts";
import { type OwnValues, readSettings } from "./own-config.ts";

/**
 * What own-config.ts makes of an environment, after all checks: in the layer it stands here as it was when the layer was built
 * (tools/layer-bundle.ts). Elsewhere it is not known, and a configuration is read and checked as it is needed.
 */
export function checkedConfig(): Config | undefined {
  return undefined;
}

/** Settings of the environment that `checkedConfig` is made from: one that has every part. */
export function exampleSettings() {
  return readSettings({ LOKI_IP: "127.0.0.1", DISPATCH_MIN_BATCH_SIZE: "2" }, []);
}

/** What any check of the receiver and the exporter takes, and what means the same in a configuration and out of it. */
const PLAIN = /^[\x20-\x7e]{0,256}$/;
const ADDRESS = /^https?:\/\/[A-Za-z0-9.-]+(?::\d{1,5})?(?:\/[A-Za-z0-9._~-]+)*$/;
const LISTENER = /^[A-Za-z0-9.-]*:\d{1,5}$/;

/** The checked configuration with other values in it; undefined where one of them is not of the plainest kind, and is to be checked. */
export function withValues(checked: Config, values: OwnValues): Config | undefined {
  if (!isPlain(values)) return undefined;
  const { listen, functionName, lineFormat, attributes, endpoint, labels, minBatch } = values;
  const receiver = checked.receivers.get("telemetry_api");
  const exporter = checked.exporters.get("loki");
  if (receiver === undefined || exporter === undefined) return undefined;
  const ofReceiver = receiver.options as ReceiverConfig;
  const ofLoki = exporter.options as LokiConfig;
  const { batch, ...queue } = ofLoki.sending_queue;
  const receiverOptions = {
    ...ofReceiver,
    endpoint: listen,
    function_name: functionName,
    line_format: lineFormat,
    resource_attributes: attributes,
  };
  const lokiOptions = {
    ...ofLoki,
    endpoint,
    labels,
    sending_queue: {
      ...queue,
      ...(minBatch > 1 && batch !== undefined && { batch: { ...batch, min_size: minBatch } }),
    },
  };
  return {
    ...checked,
    receivers: new Map([["telemetry_api", { ...receiver, options: receiverOptions }]]),
    exporters: new Map([["loki", { ...exporter, options: lokiOptions }]]),
  };
}

function isPlain({ listen, functionName, attributes, endpoint, labels }: OwnValues) {
  return (
    LISTENER.test(listen) &&
    ADDRESS.test(endpoint) &&
    PLAIN.test(functionName) &&
    Object.entries(attributes).every(
      ([name, value]) => /^[a-z0-9_]{1,128}$/.test(name) && PLAIN.test(value),
    ) &&
    labels.every((_name, i) => labelProblem(labels, i) === undefined)
  );
}
