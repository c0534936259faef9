/**
 * The types that describe files and directories: for storages, on the wire and in the library.
 *
 * @module
 */

import type { Checksum } from "./checksum.ts";
import type { FerryError } from "./errors.ts";
import type { Link } from "./link_target.ts";

/** The description of a file or a directory, on the wire and in the library. */
export interface Entry {
  /** The name, relative to the root. */
  filename: string;
  /** Its type. Nothing else is served. */
  type: "file" | "directory";
  /** The size in bytes; 0 for a directory. */
  size: number;
  /** The modification time in milliseconds since 1970. */
  mtime: number;
  /** The permission bits, 0 to 0o777. */
  mode: number;
  /**
   * The checksum of the content, an MD5 unless another algorithm was requested; null for a directory, and if it is not
   * known yet.
   */
  checksum: Checksum | null;
  /**
   * The same for all names of one file (hard links), and for no other; undefined for a file with one name, and where it
   * was not asked for.
   */
  id?: string | undefined;
}

/**
 * Why a list leaves an entry out: the error because of which it cannot be shown, or its kind, which lists do not show.
 * The kinds are `link` (a symbolic link that is dangling, leads out of the served tree, or leads to a directory, which
 * is not followed), `pipe`, `socket`, `device`, `vanished` (it disappeared while the list was made), and others that a
 * newer server may send.
 */
export type Omitted = FerryError | string;

/** The line of a list for an entry that it cannot show. */
export interface Omission {
  /** The name, relative to the root. Bytes that are not valid UTF-8 are replaced by U+FFFD. */
  filename: string;
  /** An omission has no type. */
  type?: undefined;
  /** Why the entry is left out. */
  omitted: Omitted;
  /** What a symbolic link says, where links were asked for and this one stays in what the client may see. */
  link?: Link | undefined;
}

/**
 * A line of a list: an entry or an omission. The entry of a directory may have the reason why its contents are left
 * out.
 */
export type Listed = Entry & { omitted?: Omitted | undefined } | Omission;

/**
 * An attribute of a file that its file system did not store: the modification time, its fraction below one or two
 * seconds, or the permission bits.
 */
export type Unkept = "mtime" | "mtime_fraction" | "mode";

/** The values of {@linkcode Unkept}. */
export const UNKEPT: readonly Unkept[] = ["mtime", "mtime_fraction", "mode"];

/** The key `unkept` with the attributes that were not stored; no key if there are none. */
export function unkeptKey(unkept: readonly Unkept[] = []): { unkept?: readonly Unkept[] } {
  return unkept.length === 0 ? {} : { unkept };
}

/** A partial upload, as a line of a list of them. */
export interface PartEntry {
  /** The name that the complete file will get. */
  filename: string;
  /** The size of the whole file in bytes; as long as it is not known, the number of bytes stored. */
  size: number;
  /** The number of bytes stored. */
  received: number;
  /** When the last of them was received, in milliseconds since 1970. */
  mtime: number;
  /** Whether it is being written at the moment. */
  active: boolean;
}
