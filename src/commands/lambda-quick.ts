import { createLokiBackend } from "../exporters/loki/backend.ts";
import type { Config as LokiConfig } from "../exporters/loki/config.ts";
import type { HttpClientOptions } from "../kit/client/http-answer.ts";
import { NodeHttpClient } from "../kit/client/node-http-client.ts";
import type { ExporterContext } from "../kit/delivery/backend.ts";
import { checkedConfig, withValues } from "../lambda/checked-config.ts";
import type { Settings } from "../lambda/own-config.ts";
import { pickItems } from "../otlp/pick.ts";
import type { Signal } from "../otlp/tape.ts";
import { writeRequestJson } from "../otlp/write-json.ts";
import type { Intake } from "../pipeline/contracts.ts";
import type { Context } from "../pipeline/factory.ts";
import type { Config as ReceiverConfig } from "../receivers/telemetry_api/config.ts";
import { TelemetryApi, type TelemetryListener } from "../receivers/telemetry_api/receiver.ts";
import type { Creators } from "../service/creators.ts";
import { createLeanLogger } from "../service/lean-log.ts";
import { snappyCompressor } from "../wire/snappy-block.ts";
import type { LambdaStart } from "./lambda-start.ts";

/**
 * The way from LOKI_IP to Loki without anything that reads a configuration: it was checked when the layer was built. Undefined where the
 * environment says something that has to be checked now, and outside of the layer.
 */
export function quickStart(
  { own }: Settings,
  listener: TelemetryListener,
): LambdaStart | undefined {
  const checked = own && checkedConfig();
  const config = own && checked && withValues(checked, own);
  if (config === undefined) return undefined;
  const log = createLeanLogger(config.service.telemetry.logs);
  return { config, components: creators(listener), log };
}

function creators(listener: TelemetryListener): Creators {
  const parts = {
    // Lines of functions never name one: rows come of platform events, for which there is a whole configuration.
    tables: [],
    pick: pickItems,
    writeJson: writeRequestJson,
    connect: (options: HttpClientOptions) => new NodeHttpClient(options),
    snappy: snappyCompressor,
  };
  const receiver = {
    create: (options: ReceiverConfig, context: Context, intake: Intake) =>
      new TelemetryApi(options, context, intake, listener),
  };
  const loki = {
    create: <S extends Signal>(options: LokiConfig, context: ExporterContext<S>) =>
      createLokiBackend(parts, options, context),
  };
  return {
    receivers: new Map([["telemetry_api", receiver]]) as Creators["receivers"],
    processors: new Map(),
    exporters: new Map([["loki", loki]]) as Creators["exporters"],
    extensions: new Map(),
  };
}
