/**
 * What monitoring systems get from a server: metrics where they are asked for, spans where OpenTelemetry is set up.
 *
 * @module
 */

import type { Runtime } from "../lib/runtime/runtime.ts";
import { metricsAddress } from "./configuration/listening.ts";
import type { ServerSettings } from "./configuration/settings.ts";
import type { KeyPair } from "./net/tls_listener.ts";
import type { Metrics } from "./observe/metrics/metrics.ts";
import type { ScrubFindings } from "./observe/metrics/scrub_metrics.ts";
import type { Traffic } from "./observe/traffic.ts";
import type { Storage } from "./storage/storage.ts";

/** The options of a server that its metrics depend on. */
interface MetricsServeOptions extends ServerSettings {
  storage: Storage;
  tls?: KeyPair | undefined;
  scrubbed?: (() => ScrubFindings) | undefined;
}

/**
 * Begins to collect metrics; undefined if none are asked for.
 *
 * @throws {FerryError} `usage` if the address is none
 */
export async function collectMetrics(
  { storage, tls, scrubbed, ...settings }: MetricsServeOptions,
  { traffic, runtime: { clock } }: { traffic: Traffic; runtime: Runtime },
): Promise<Metrics | undefined> {
  const address = metricsAddress(settings);
  if (!address) return undefined;
  // Loaded on demand, since it takes time and few servers need it.
  const { Metrics } = await import("./observe/metrics/metrics.ts");
  const several = settings.reusePort === true;
  return new Metrics({ address, traffic, storage, scrubbed, clock, tls, several });
}

/** Has a span made of each operation, if somebody takes spans: Deno does so where `OTEL_DENO` is set. */
export async function traceOperations(traffic: Traffic): Promise<void> {
  // Where the API of OpenTelemetry finds what takes them. Without it nothing is loaded, and nothing is done.
  const api: Readonly<Record<string, unknown>> | undefined = Reflect.get(
    globalThis,
    Symbol.for("opentelemetry.js.api.1"),
  );
  if (!api?.trace) return;
  const { Spans } = await import("./observe/spans.ts");
  traffic.observe(new Spans());
}
