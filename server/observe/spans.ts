/**
 * A span of OpenTelemetry for each operation that has ended, which Deno hands on where `OTEL_DENO` is set.
 *
 * @module
 */

import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { VERSION } from "../../lib/core/version.ts";
import type { EndedOperation, Observer } from "./operation.ts";

/** Makes the spans. Names of files are not in them; the request id leads to the log, which has them. */
export class Spans implements Observer {
  readonly #tracer = trace.getTracer("ferry", VERSION);

  ended(operation: EndedOperation): void {
    const { op, id, listener, peer, time, seconds, received, sent, error } = operation;
    const span = this.#tracer.startSpan(op, {
      kind: SpanKind.SERVER,
      startTime: time - seconds * 1000,
      attributes: {
        "client.address": peer.hostname,
        "client.port": peer.port,
        "ferry.request": id,
        "ferry.listener": listener,
        "ferry.received": received,
        "ferry.sent": sent,
        ...(error ? { "error.type": error.code } : {}),
      },
    });
    if (error) span.setStatus({ code: SpanStatusCode.ERROR, message: error.reason });
    span.end(time);
  }
}
