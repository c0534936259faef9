/**
 * The targets of symbolic links, as far as their text alone decides where they lead.
 *
 * @module
 */

import { type FileName, isTooLong, MAX_NAME_BYTES, parseDirectoryName } from "./remote_name.ts";

/** A symbolic link, apart from its name. */
export interface Link {
  /** What it says: a path, relative to the directory that the link is in. */
  readonly target: string;
  /** The modification time of the link itself, in milliseconds since 1970. */
  readonly mtime: number;
}

/**
 * Why a target is none that is kept; undefined if it is one.
 *
 * `..` is allowed at the beginning only. Behind a name it would lead elsewhere as soon as that name is a link, so that
 * the text would no longer show whether the target stays in a directory.
 */
export function flawOfTarget(target: string): string | undefined {
  if (target === "") return "is empty";
  if (!target.isWellFormed()) return "is not well-formed Unicode";
  if (target.includes("\0")) return "contains a NUL character";
  if (target.startsWith("/")) return "is absolute";
  if (isTooLong(target)) return `is longer than ${MAX_NAME_BYTES} bytes`;
  let below = false;
  for (const part of target.split("/")) {
    if (part === "..") {
      if (below) return 'has ".." behind a name';
    } else if (part !== "" && part !== ".") below = true;
  }
  return undefined;
}

/**
 * Where a target leads from a directory, if no name on the way is a link itself.
 *
 * @param directory the name of the directory that the link is in; "" is the root
 * @param target one without a flaw
 * @returns undefined if it leads out of the root, or to what is reserved for ferry
 */
export function leadsTo(directory: FileName | "", target: string): FileName | "" | undefined {
  const at = directory === "" ? [] : directory.split("/");
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") at.push(part);
    else if (at.length === 0) return undefined;
    else at.pop();
  }
  try {
    return parseDirectoryName(at.join("/"));
  } catch {
    return undefined;
  }
}
