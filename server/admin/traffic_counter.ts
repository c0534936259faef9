/**
 * Counts what has crossed since a server was started.
 *
 * @module
 */

import type { EndedOperation, Observer } from "../observe/operation.ts";

/** What was counted. Sizes are in bytes. */
export interface CountedTraffic {
  /** Connections that were opened. */
  readonly connections: number;
  /** Clients that were turned away before their first request. */
  readonly refused: number;
  /** Operations that have ended. */
  readonly operations: number;
  /** Those of them that have failed. */
  readonly failed: number;
  /** Files that were stored; those that existed already do not count. */
  readonly stored: number;
  /** Bytes of content that were received by operations that have ended. */
  readonly received: number;
  /** Bytes of content that were sent by operations that have ended. */
  readonly sent: number;
}

/** Counts. */
export class TrafficCounter implements Observer {
  #totals = {
    connections: 0,
    refused: 0,
    operations: 0,
    failed: 0,
    stored: 0,
    received: 0,
    sent: 0,
  };

  /** What was counted so far. */
  get totals(): CountedTraffic {
    return { ...this.#totals };
  }

  /** See {@linkcode Observer.connected}. */
  connected(): void {
    this.#totals.connections++;
  }

  /** See {@linkcode Observer.refused}. */
  refused(): void {
    this.#totals.refused++;
  }

  /** See {@linkcode Observer.stored}. */
  stored({ unchanged }: { readonly unchanged: boolean }): void {
    if (!unchanged) this.#totals.stored++;
  }

  /** See {@linkcode Observer.ended}. */
  ended({ error, received, sent }: EndedOperation): void {
    this.#totals.operations++;
    if (error) this.#totals.failed++;
    this.#totals.received += received;
    this.#totals.sent += sent;
  }
}
