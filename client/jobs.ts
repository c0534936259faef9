/**
 * Several connections that share one list of work.
 *
 * @module
 */

import type { Connection } from "./connection.ts";

/** Connections to one server, the one that was there first in front. */
export type Connections = readonly [Connection, ...Connection[]];

/**
 * Hands items out to connections, each as soon as one can take it, and waits for all of them.
 *
 * @param run takes items from an iteration that others take from too, until there are none
 * @throws the first failure, when all have ended
 */
export async function eachOf<T>(
  connections: Connections,
  items: AsyncIterable<T> | Iterable<T>,
  run: (connection: Connection, share: AsyncIterable<T>) => Promise<void>,
): Promise<void> {
  const iterator = asyncIterator(items);
  const taking = { next: () => iterator.next() };
  const share = { [Symbol.asyncIterator]: () => taking };
  const ends = await Promise.allSettled(connections.map((connection) => run(connection, share)));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** A generator hands out one item at a time, whoever asks: its calls wait for each other. */
async function* asyncIterator<T>(
  items: AsyncIterable<T> | Iterable<T>,
): AsyncGenerator<T, void, void> {
  yield* items;
}
