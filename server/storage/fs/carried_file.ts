/**
 * Brings files of a published directory over into the staged tree that will replace it.
 *
 * @module
 */

import { lutimesSync } from "node:fs";
import type { Entry } from "../../../lib/core/entry.ts";
import { type ErrorCode, FerryError, fileError, systemCodeOf } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import type { Place } from "./name_walk.ts";
import { reserve } from "./pending_write.ts";
import type { Root } from "./root.ts";
import type { ServedRoot } from "./served_root.ts";
import { entryOf } from "./stored_file.ts";
import type { StagingArea } from "./staging_area.ts";
import { copyContent } from "./tree_copy.ts";

/** Why a file cannot have another name: its file system has no hard links, or not so many, or is another one. */
const NO_LINK: readonly unknown[] = ["EXDEV", "EPERM", "EACCES", "EMLINK", "ENOTSUP", "ENOSYS"];

/** The errors of a file that is not there any more, or may not be read: the client has to send it. */
const NOT_THERE: readonly ErrorCode[] = ["not_found", "not_a_file", "denied", "bad_name"];

/** Where a file is brought over to. */
export interface CarryWork {
  /** The served root. */
  served: ServedRoot;
  /** The root, confined to what the request may reach. */
  root: Root;
  /** The area on the file system of the tree. */
  area: StagingArea;
  /** Makes the place for the file in the tree, and returns its path. */
  makePlace(): string;
  /** Makes the directory in the tree that the name would have. */
  makeDirectory(): void;
}

/** See `StagedTree.keep`. */
export async function keepEntry(work: CarryWork, name: FileName): Promise<boolean> {
  const { served, root, makePlace, makeDirectory } = work;
  using found = root.placeIfAny(name);
  if (!found) return false;
  const { info } = found;
  const mtime = info.mtime?.getTime() ?? 0;
  if (info.isDirectory) makeDirectory();
  else if (info.isSymlink) {
    const path = makePlace();
    Deno.symlinkSync(Deno.readLinkSync(found.path), path);
    lutimesSync(path, mtime / 1000, mtime / 1000);
  } else if (info.isFile) {
    return await carryOver(work, name, entryOf(served.cache, name, info));
  } else throw new FerryError("not_a_file", "pipes, sockets and devices are not kept");
  return true;
}

/** See `StagedTree.carryOver`. */
export async function carryOver(work: CarryWork, name: FileName, seen: Entry): Promise<boolean> {
  const { served, root, makePlace } = work;
  let place: Place;
  try {
    place = root.find(name);
  } catch (error) {
    if (NOT_THERE.includes(fileError(error).code)) return false;
    throw error;
  }
  using found = place;
  const { info } = found;
  const same = info.isFile && info.size === seen.size && info.mtime?.getTime() === seen.mtime;
  if (!same) return false;
  const path = makePlace();
  try {
    // A second name of the file, not a copy: the first one goes when the directory is replaced.
    Deno.linkSync(found.path, path);
  } catch (error) {
    if (NO_LINK.includes(systemCodeOf(error))) return await copyOver(work, name, seen, path);
    if (NOT_THERE.includes(fileError(error).code)) return false;
    throw error;
  }
  const linked = infoAt(path);
  if (linked?.isFile && linked.dev === info.dev && linked.ino === info.ino) {
    served.quota.linked(info);
    return true;
  }
  // Another program has replaced it after it was looked at.
  Deno.removeSync(path);
  return false;
}

async function copyOver(
  { served, root, area }: CarryWork,
  name: FileName,
  { size, mtime, mode }: Entry,
  path: string,
): Promise<boolean> {
  const { runtime, closing: signal } = served;
  await using source = root.open(name, runtime);
  await served.quotas.prepare(name, size);
  using reserved = reserve(served, area, { name, size });
  await using upload = area.create(name, size);
  await copyContent(source, upload.staged, "xxh128", { durable: false, signal });
  upload.staged.setAttributes({ mtime, mode });
  upload.staged.publish(path, { replace: true });
  reserved.settle(upload.staged.size);
  return true;
}
