/**
 * Metrics of connections and operations.
 *
 * @module
 */

import type { ListenerKind } from "../../../lib/core/address.ts";
import type { FerryError } from "../../../lib/core/errors.ts";
import type { StoredUpload } from "../../files/upload.ts";
import type { ContentCount, EndedOperation, Observer, Refusal, Requester } from "../operation.ts";
import type { Traffic } from "../traffic.ts";
import type { Families } from "./families.ts";

/** The bounds of the durations of operations that are told apart, in seconds: from a small file to hours. */
const DURATIONS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 300, 1800, 7200];

/** Counts what happens on the connections of a server. */
export class TrafficMetrics implements Observer {
  readonly #traffic: Traffic;
  readonly #connections;
  readonly #broken;
  readonly #refused;
  readonly #operations;
  readonly #durations;
  readonly #mismatches;
  readonly #stored;
  readonly #open;
  readonly #running;
  readonly #received;
  readonly #sent;
  /** The bytes of content of all operations that have ended. */
  #ended: ContentCount = { received: 0, sent: 0 };
  /** The bytes of content that the counters have. */
  #counted: ContentCount = { received: 0, sent: 0 };

  /** Counts from now on. */
  constructor(families: Families, traffic: Traffic) {
    this.#traffic = traffic;
    this.#open = families.gauge({
      name: "ferry_open_connections",
      help: "Connections that are open.",
      labels: ["listener"],
    });
    this.#connections = families.counter({
      name: "ferry_connections_total",
      help: "Connections that were admitted.",
      labels: ["listener"],
    });
    this.#broken = families.counter({
      name: "ferry_broken_connections_total",
      help: "Connections that did not end between two requests.",
      labels: ["listener", "code"],
    });
    this.#refused = families.counter({
      name: "ferry_refused_connections_total",
      help: "Connections that were turned away: too many (limit), or no TLS (tls).",
      labels: ["listener", "reason"],
    });
    this.#running = families.gauge({
      name: "ferry_running_operations",
      help: "Operations that have begun and not ended.",
      labels: ["op"],
    });
    this.#operations = families.counter({
      name: "ferry_operations_total",
      help: "Operations that have ended, with the code ok or that of their error.",
      labels: ["op", "listener", "code"],
    });
    this.#durations = families.histogram({
      name: "ferry_operation_duration_seconds",
      help: "How long operations took, whether they succeeded or not.",
      labels: ["op"],
      buckets: DURATIONS,
    });
    this.#received = families.counter({
      name: "ferry_received_bytes_total",
      help: "Bytes of content that were received, by running operations too.",
    });
    this.#sent = families.counter({
      name: "ferry_sent_bytes_total",
      help: "Bytes of content that were sent, by running operations too.",
    });
    this.#stored = families.counter({
      name: "ferry_stored_files_total",
      help: "Files that were stored, or were there already (unchanged).",
      labels: ["unchanged"],
    });
    this.#mismatches = families.counter({
      name: "ferry_digest_mismatches_total",
      help: "Operations that failed because bytes did not have the checksum that they should have.",
    });
    families.beforeText(() => this.#update());
  }

  connected(listener: ListenerKind): void {
    this.#connections.inc({ listener });
  }

  disconnected(listener: ListenerKind, _by: Requester, error?: FerryError): void {
    if (error) this.#broken.inc({ listener, code: error.code });
  }

  refused({ listener, reason }: Refusal): void {
    this.#refused.inc({ listener, reason });
  }

  stored({ unchanged }: StoredUpload): void {
    this.#stored.inc({ unchanged: `${unchanged}` });
  }

  ended({ op, listener, error, seconds, received, sent }: EndedOperation): void {
    this.#operations.inc({ op, listener, code: error?.code ?? "ok" });
    this.#durations.observe({ op }, seconds);
    if (error?.code === "checksum_mismatch") this.#mismatches.inc();
    this.#ended = sum(this.#ended, { received, sent });
  }

  #update(): void {
    this.#open.reset();
    this.#running.reset();
    const [open, running] = [new Map<ListenerKind, number>(), new Map<string, number>()];
    let all = this.#ended;
    for (const connection of this.#traffic.connections) {
      open.set(connection.listener, (open.get(connection.listener) ?? 0) + 1);
      for (const operation of connection.running) {
        const { subject: { op } } = operation;
        running.set(op, (running.get(op) ?? 0) + 1);
        all = sum(all, operation.count());
      }
    }
    for (const [listener, count] of open) this.#open.set({ listener }, count);
    for (const [op, count] of running) this.#running.set({ op }, count);
    // A running operation may turn out to have been none, and what has been counted stays.
    const { received, sent } = this.#counted;
    this.#received.inc(Math.max(0, all.received - received));
    this.#sent.inc(Math.max(0, all.sent - sent));
    this.#counted = {
      received: Math.max(received, all.received),
      sent: Math.max(sent, all.sent),
    };
  }
}

function sum(a: ContentCount, b: ContentCount): ContentCount {
  return { received: a.received + b.received, sent: a.sent + b.sent };
}
