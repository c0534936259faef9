/**
 * Lists of what is on a server, as async generators.
 *
 * @module
 */

import type { Entry, Listed, PartEntry } from "../../lib/core/entry.ts";
import type { SharedLink } from "../../lib/core/share_link.ts";
import type { Connection } from "../net/connection.ts";
import { named } from "../transfer/names.ts";
import { type OmissionHandlers, reportOmission } from "../transfer/omissions.ts";
import type { RequestOptions } from "../transfer/options.ts";
import { BoundedQueue } from "./bounded_queue.ts";
import type { Requests } from "./requests.ts";

/** How many entries of a list are read ahead. */
const ENTRIES_AHEAD = 4096;

interface ListOptions extends RequestOptions, OmissionHandlers {
  recursive?: boolean | undefined;
}

/** The entries of a directory. What the server leaves out is reported to the handlers. */
export async function* listEntries(
  requests: Requests,
  directory: string,
  { recursive = false, onSkip, onError, signal }: ListOptions,
): AsyncGenerator<Entry, void, void> {
  const wanted = { recursive, omitted: onSkip !== undefined || onError !== undefined };
  const listed = readAhead(
    requests,
    `list ${named(directory)}`,
    signal,
    (connection): AsyncIterable<Listed[]> => connection.list(directory, wanted),
  );
  for await (const { omitted, ...entry } of listed) {
    if (omitted !== undefined) reportOmission({ onSkip, onError }, "list", { ...entry, omitted });
    if (entry.type !== undefined) yield entry;
  }
}

/** The partial uploads that can be resumed. */
export function listPartialUploads(
  requests: Requests,
  { signal }: RequestOptions,
): AsyncGenerator<PartEntry, void, void> {
  const list = (connection: Connection) => connection.listPartialUploads();
  return readAhead(requests, "list the partial uploads", signal, list);
}

/** The share links of a client. */
export function listShares(
  requests: Requests,
  { signal }: RequestOptions,
): AsyncGenerator<SharedLink, void, void> {
  const list = (connection: Connection) => connection.listShares();
  return readAhead(requests, "list the share links", signal, list);
}

/** The items of a list request, some of which are read ahead. */
async function* readAhead<T>(
  requests: Requests,
  action: string,
  signal: AbortSignal | undefined,
  run: (connection: Connection) => AsyncIterable<T[]>,
): AsyncGenerator<T, void, void> {
  const queue = new BoundedQueue<T>(ENTRIES_AHEAD);
  const reading = requests.make(action, { signal }, async (connection, { waitFor }) => {
    for await (const items of run(connection)) {
      const room = queue.put(items);
      if (room) await waitFor(() => room);
    }
  }, { repeatable: () => queue.untouched, paced: true });
  const read = reading.then(
    () => queue.end(),
    (error) => queue.fail(error, { atOnce: signal?.aborted || requests.pool.closing.aborted }),
  );
  try {
    for await (const item of queue.taken()) {
      yield item;
      signal?.throwIfAborted();
    }
  } finally {
    await read;
  }
}
