/**
 * What a storage has to do that keeps symbolic links of clients.
 *
 * @module
 */

import type { FileName } from "../../lib/core/remote_name.ts";

/** Options of {@linkcode SymbolicLinks.create}. */
export interface CreateLinkOptions {
  /** A check that MUST be called right before anything is changed. If it throws, nothing is changed. */
  assertMay?: (() => void) | undefined;
  /** Whether an existing file or link of that name may be replaced. */
  replace: boolean;
  /** The modification time of the link itself, in milliseconds since 1970. Default: now. */
  mtime?: number | undefined;
}

/** What has a name, without following it if it is a link. */
export interface LinkOrOther {
  /** Its type. `other` is a file, or anything else that is no directory. */
  readonly type: "link" | "directory" | "other";
  /** Its modification time in milliseconds since 1970. */
  readonly mtime: number;
  /** What a link says; undefined for anything else, and if it leads out of the bounds. */
  readonly target?: string | undefined;
}

/**
 * Keeps symbolic links as such. A link is kept only if its target, a relative path without `..` behind a name, stays in
 * the root and in the bounds of the request: by its text, and by what is there now. A target may be missing.
 */
export interface SymbolicLinks {
  /**
   * What has a name, which may be a link; undefined if nothing has.
   *
   * @throws {FerryError} `not_a_file` if a part of the name is no directory; `denied`
   */
  find(name: FileName): Promise<LinkOrOther | undefined>;

  /**
   * Fails if a link of that name and target would not be kept.
   *
   * @throws {FerryError} `denied` with what is wrong with the target
   */
  assertKept(name: FileName, target: string): Promise<void>;

  /**
   * Makes a link, and missing parent directories. It appears at once, in the place of what it replaces. If the storage
   * is durable, it survives a power failure when the returned promise resolves.
   *
   * @throws {FerryError} `exists`; `not_a_file` if the name is that of a directory, or a part of it is no directory;
   * `denied` with what is wrong with the target, `no_space`, `io`
   */
  create(name: FileName, target: string, options: CreateLinkOptions): Promise<void>;
}
