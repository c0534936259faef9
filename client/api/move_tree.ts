/**
 * Transfers of directories, over one connection or several.
 *
 * @module
 */

import { type Connections, withJobs } from "../transfer/jobs.ts";
import type { RequestOptions, TreeOptions } from "../transfer/options.ts";
import type { Callbacks } from "./callbacks.ts";
import type { Requests } from "./requests.ts";

/** A transfer of a directory, which goes on over new connections where it was cut. */
export interface TreeTransfer {
  /** Whether {@linkcode TreeTransfer.run} ended early, and has to run again. */
  readonly isCutShort: boolean;
  /** Transfers what is left; where a connection is lost, the rest is left for the next ones. */
  run(connections: Connections): Promise<void>;
}

/** Whether a transfer deletes anything, or keeps backups. */
export function isMirror(options: Pick<TreeOptions, "delete" | "backup">): boolean {
  return Boolean(options.delete) || options.backup !== undefined;
}

/** Transfers a directory. A file that fails locally may end its connection; the rest is transferred over a new one. */
export function moveTree(
  requests: Requests,
  tree: TreeTransfer,
  action: string,
  options: TreeOptions & RequestOptions,
  callbacks: Callbacks,
): Promise<void> {
  return requests.make(action, options, async (connection, { signal, renewed }) => {
    const dial = () => requests.pool.dial(signal);
    const run = (all: Connections) => tree.run(all);
    await withJobs(connection, { ...options, signal, dial }, run);
    while (tree.isCutShort) {
      const next = await renewed();
      using _abort = next.closeOnAbort(signal);
      await withJobs(next, { ...options, signal, dial }, run);
    }
  }, { callbacks });
}
