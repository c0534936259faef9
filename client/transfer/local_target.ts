/**
 * What is in the local directory that a mirror writes to. Nothing is followed, and everything is shown.
 *
 * @module
 */

import { type FerryError, fileError } from "../../lib/core/errors.ts";
import { mayBeNoText, notText } from "../../lib/core/remote_name.ts";
import { infoAt } from "../../lib/files/path_lookup.ts";
import { kindOfOwn } from "./local_tree.ts";
import type { TargetEntry } from "./mirror_plan.ts";

/** Takes the entries of a target. */
export interface TargetVisitor {
  /** Takes an entry; returns whether the content of a directory is to follow. */
  add(entry: TargetEntry): boolean;
  /** Called for what cannot be read. */
  failed(name: string, error: FerryError): void;
}

/** Passes on all entries of a directory, each directory before its content. One that does not exist is empty. */
export async function visitTarget(root: string, visitor: TargetVisitor): Promise<void> {
  for (const directories = [""]; directories.length > 0;) {
    const directory = directories.pop()!;
    const path = directory === "" ? root : `${root}/${directory}`;
    try {
      for await (const child of Deno.readDir(path)) {
        const name = directory === "" ? child.name : `${directory}/${child.name}`;
        const entry = entryOf(name, child, infoAt(`${root}/${name}`));
        if (!entry && mayBeNoText(child.name)) visitor.failed(name, notText());
        if (entry && visitor.add(entry)) directories.push(name);
      }
    } catch (reason) {
      const error = fileError(reason);
      if (error.code !== "not_found") visitor.failed(directory, error);
    }
  }
}

function entryOf(
  name: string,
  { name: own }: Deno.DirEntry,
  info: Deno.FileInfo | undefined,
): TargetEntry | undefined {
  if (!info) return undefined;
  const none = { name, size: 0, checksum: null };
  if (kindOfOwn(name, own) !== undefined) return { ...none, type: "other" };
  if (info.isSymlink) return { ...none, type: "link" };
  if (info.isDirectory) return { ...none, type: "directory" };
  return info.isFile ? { ...none, type: "file", size: info.size } : { ...none, type: "other" };
}
