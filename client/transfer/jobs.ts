/**
 * Work that is shared by several connections.
 *
 * @module
 */

import type { Connection } from "../net/connection.ts";

/** Connections to one server; the first one is the oldest. */
export type Connections = readonly [Connection, ...Connection[]];

/**
 * Distributes items over connections, each as soon as a connection can take one, and waits for all of them.
 *
 * @param run processes items from an iterator that is shared by all connections, until there are none
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

/** An async generator serializes concurrent calls, so that each item goes to one caller. */
async function* asyncIterator<T>(
  items: AsyncIterable<T> | Iterable<T>,
): AsyncGenerator<T, void, void> {
  yield* items;
}

/** Opens further connections besides the given one, and closes them when `run` has ended. */
export async function withJobs(
  connection: Connection,
  { jobs = 1, signal, dial }: {
    /** How many connections there are in all. Default: 1. */
    jobs?: number | undefined;
    /** Closes the further connections, too. */
    signal: AbortSignal;
    /** Makes a connection. */
    dial: () => Promise<Connection>;
  },
  run: (connections: Connections) => Promise<void>,
): Promise<void> {
  const ends = await Promise.allSettled(Array.from({ length: jobs - 1 }, dial));
  // A server that refuses further connections still serves the existing ones.
  const further = ends.flatMap((end) => end.status === "fulfilled" ? [end.value] : []);
  using stack = new DisposableStack();
  for (const connection of further) {
    stack.defer(() => connection.close());
    stack.use(connection.closeOnAbort(signal));
  }
  await run([connection, ...further]);
}
