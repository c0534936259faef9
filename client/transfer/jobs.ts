/**
 * Work that several connections share.
 *
 * @module
 */

import type { Connection } from "../net/connection.ts";

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
  await onEach(connections, (connection) => run(connection, share));
}

/**
 * Runs something on each connection, and waits for all of them.
 *
 * @throws the first failure, when all have ended
 */
export async function onEach(
  connections: Connections,
  run: (connection: Connection) => Promise<void>,
): Promise<void> {
  const ends = await Promise.allSettled(connections.map(run));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** A generator hands out one item at a time, whoever asks: its calls wait for each other. */
async function* asyncIterator<T>(
  items: AsyncIterable<T> | Iterable<T>,
): AsyncGenerator<T, void, void> {
  yield* items;
}

/** Opens further connections beside the one that there is, and closes them when `run` has ended. */
export async function withJobs(
  connection: Connection,
  { jobs = 1, signal, dial }: {
    /** How many connections there are to be. */
    jobs?: number | undefined;
    /** Ends the further ones, too. */
    signal: AbortSignal;
    /** Makes one. */
    dial: () => Promise<Connection>;
  },
  run: (connections: Connections) => Promise<void>,
): Promise<void> {
  const ends = await Promise.allSettled(Array.from({ length: jobs - 1 }, dial));
  // A server that takes no more of them still takes the files through those that there are.
  const further = ends.flatMap((end) => end.status === "fulfilled" ? [end.value] : []);
  using stack = new DisposableStack();
  for (const connection of further) {
    stack.defer(() => connection.close());
    stack.use(connection.closeOnAbort(signal));
  }
  await run([connection, ...further]);
}
