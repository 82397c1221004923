/**
 * `npm run interop [-- name …]`: real peers, installed by the ordinary clients of their own registries. A peer that cannot be installed
 * here is a visible skip, not a failure. The last line is the total.
 */
import { collector } from "./collector.ts";
import { docker } from "./docker.ts";
import { fluentLoggers } from "./fluent-loggers.ts";
import { h2spec } from "./h2spec.ts";
import { influxdbClients } from "./influxdb-clients.ts";
import { influxdb1 } from "./influxdb1.ts";
import { loki } from "./loki.ts";
import { lokiPushes } from "./loki-pushes.ts";
import type { Peer } from "./peer.ts";
import { sdks } from "./sdk.ts";
import { telegraf } from "./telegraf.ts";
import { telemetrygen } from "./telemetrygen.ts";
import { toCollector } from "./to-collector.ts";

const PEERS: readonly Peer[] = [
  h2spec,
  influxdb1,
  ...sdks,
  telemetrygen,
  collector,
  toCollector,
  loki,
  lokiPushes,
  ...influxdbClients,
  telegraf,
  ...fluentLoggers,
  docker,
];

const wanted = process.argv.slice(2);
let passed = 0;
let failed = 0;
let skipped = 0;
for (const peer of PEERS) {
  if (wanted.length > 0 && !wanted.includes(peer.name)) continue;
  console.log(`== ${peer.name}: ${peer.what}`);
  const missing = await peer.install();
  if (missing !== undefined) {
    skipped++;
    console.log(`skipped: ${missing}`);
    continue;
  }
  await peer.run((what, isFine, detail = "") => {
    if (isFine) passed++;
    else failed++;
    console.log(`${isFine ? "ok    " : "FAILED"} ${what}${detail === "" ? "" : `: ${detail}`}`);
  });
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;
