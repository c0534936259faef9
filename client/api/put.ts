/**
 * Uploads of files and directories.
 *
 * @module
 */

import { FerryError, quote } from "../../lib/core/errors.ts";
import { basename, resolve } from "../../lib/core/paths.ts";
import { localFailure } from "../transfer/local_failure.ts";
import { localPathFor } from "../transfer/local_path.ts";
import type { PutOptions, PutTreeOptions, Transferred } from "../transfer/options.ts";
import { nameOf, type Source, type UploadSource, uploadSourceOf } from "../transfer/source.ts";
import { TreeUpload } from "../transfer/tree_upload.ts";
import { upload } from "../transfer/upload.ts";
import { planUpload } from "../transfer/upload_plan.ts";
import { Callbacks } from "./callbacks.ts";
import { isMirror, moveTree, type TreeTransfer } from "./move_tree.ts";
import type { Requests } from "./requests.ts";

/** Uploads a file; see `Client.put`. */
export async function put(
  requests: Requests,
  given: Source,
  options: PutOptions,
): Promise<Transferred> {
  let source: UploadSource;
  let filename: string | undefined;
  try {
    source = uploadSourceOf(given, options.size);
    filename = options.as ?? nameOf(given);
  } catch (error) {
    // A failure of the source itself is thrown as it is.
    if (!(error instanceof FerryError)) throw error;
    throw error.during(`put ${quote(options.as ?? "")}`);
  }
  if (source.kind !== "pieces") return await putSource(requests, source, filename, options);
  const { pieces } = source;
  try {
    return await putSource(requests, source, filename, options);
  } catch (error) {
    await pieces.end(error);
    throw error;
  } finally {
    // Where the server has the file already, the source is not read to its end.
    await pieces.end(undefined);
  }
}

function putSource(
  requests: Requests,
  source: UploadSource,
  filename: string | undefined,
  options: PutOptions,
): Promise<Transferred> {
  if (filename === undefined) {
    const reason = "a source without a name needs one: the option `as`";
    throw new FerryError("usage", reason, { action: "put it" });
  }
  const callbacks = new Callbacks();
  const watched = callbacks.of(options);
  const plan = planUpload(filename, source, watched);
  const paced = source.kind === "pieces";
  return requests.make(
    `put ${quote(source.kind === "path" ? source.path : filename)}`,
    watched,
    (connection, { waitFor }) => upload(connection, plan, waitFor),
    { callbacks, paced, repeatable: () => !paced || source.pieces.untouched },
  );
}

/** Uploads a directory; see `Client.putTree`. */
export async function putTree(
  requests: Requests,
  root: string | URL,
  options: PutTreeOptions,
): Promise<void> {
  const path = localPathFor(root, "put it");
  const action = `put ${quote(path)}`;
  const callbacks = new Callbacks();
  const watched = callbacks.ofTree(options);
  let tree: TreeTransfer;
  try {
    const as = options.as ?? basename(resolve(path));
    const Upload = await uploadFor(options);
    tree = await Upload.begin(path, as, watched);
  } catch (error) {
    callbacks.assertNoneFailed();
    throw localFailure(error, path).during(action);
  }
  await moveTree(requests, tree, action, watched, callbacks);
}

/** How a directory is uploaded with these options. A module that few need is loaded where it is needed. */
async function uploadFor(options: PutTreeOptions) {
  if (options.atomic) return (await import("../transfer/atomic_upload.ts")).AtomicUpload;
  if (isMirror(options)) return (await import("../transfer/mirror_upload.ts")).MirroredUpload;
  return TreeUpload;
}
