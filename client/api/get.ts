/**
 * Downloads of files and directories.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { basename } from "../../lib/core/paths.ts";
import type { Connection } from "../net/connection.ts";
import { openDestination, type Outlet } from "../transfer/destination.ts";
import { download } from "../transfer/download.ts";
import { type DownloadPlan, planDownload } from "../transfer/download_plan.ts";
import { localPathFor } from "../transfer/local_path.ts";
import { named } from "../transfer/names.ts";
import type { GetOptions, GetTreeOptions, Transferred } from "../transfer/options.ts";
import { TreeDownload } from "../transfer/tree_download.ts";
import { Callbacks } from "./callbacks.ts";
import { isMirror, moveTree } from "./move_tree.ts";
import type { RequestContext, Requests } from "./requests.ts";

/**
 * Downloads a file; see `Client.get`.
 *
 * @param outlet takes the bytes instead of the destination in the options
 */
export async function get(
  requests: Requests,
  filename: string,
  options: GetOptions,
  outlet?: Outlet,
): Promise<Transferred> {
  const action = `get ${named(filename)}`;
  const callbacks = new Callbacks();
  const watched = callbacks.of(options);
  const plan = await planGet(filename, watched, outlet).catch((error) => {
    throw options.signal?.aborted ? options.signal.reason : toFerryError(error).during(action);
  });
  const run = (connection: Connection, { waitFor }: RequestContext) =>
    download(connection, plan, waitFor);
  const { destination } = plan;
  if (typeof destination === "string") {
    return await requests.make(action, watched, run, { callbacks });
  }
  try {
    const repeatable = () => destination.repeatable;
    return await requests.make(action, watched, run, { callbacks, repeatable, paced: true });
  } catch (error) {
    await destination.fail(error);
    throw error;
  }
}

async function planGet(
  filename: string,
  options: GetOptions,
  outlet: Outlet | undefined,
): Promise<DownloadPlan> {
  const { out = basename(filename), dryRun = false, signal } = options;
  if (outlet && dryRun) throw new FerryError("usage", "a dry run fetches no bytes");
  const destination = outlet ?? await openDestination(out, { dryRun, signal });
  try {
    return planDownload(filename, destination, options);
  } catch (error) {
    if (typeof destination === "object") await destination.fail(error);
    throw error;
  }
}

/** Downloads a directory; see `Client.getTree`. */
export async function getTree(
  requests: Requests,
  directory: string,
  options: GetTreeOptions,
): Promise<void> {
  const action = `get ${named(directory)}`;
  const out = localPathFor(options.out ?? (basename(directory) || "."), action);
  const callbacks = new Callbacks();
  const watched = callbacks.ofTree(options);
  // A module that few need is loaded where it is needed.
  const tree = isMirror(options)
    ? (await import("../transfer/mirror_download.ts")).MirroredDownload.begin(
      directory,
      out,
      watched,
    )
    : new TreeDownload(directory, out, watched);
  await moveTree(requests, tree, action, watched, callbacks);
}
