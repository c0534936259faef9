/**
 * What is told of files and directories, by storages, on the wire and in the library.
 *
 * @module
 */

import type { Checksum } from "./checksum.ts";
import type { FerryError } from "./errors.ts";

/** What is told of a file or a directory, on the wire and in the library. */
export interface Entry {
  /** The name, relative to the root. */
  filename: string;
  /** What it is; anything else than these two is not served. */
  type: "file" | "directory";
  /** Bytes; 0 for a directory. */
  size: number;
  /** The modification time in milliseconds since 1970. */
  mtime: number;
  /** The permission bits, 0 to 0o777. */
  mode: number;
  /**
   * The content's checksum, an md5 unless another one was asked for; null for a directory, and where it is not
   * known yet.
   */
  checksum: Checksum | null;
}

/**
 * Why a list leaves something out: the error that keeps it from being shown; or what it is, since lists show no
 * such thing: `link` (a symbolic link: one that leads nowhere or out of what is served, or one to a directory,
 * which is not descended into), `pipe`, `socket`, `device`, `vanished` (it was there a moment before), or what a
 * newer server may say.
 */
export type Omitted = FerryError | string;

/** What a list tells of something that it cannot show. */
export interface Omission {
  /** The name, relative to the root. Bytes that are no UTF-8 are U+FFFD in it. */
  filename: string;
  /** It has none. */
  type?: undefined;
  /** Why it is left out. */
  omitted: Omitted;
}

/** What a list tells: entries, that of a directory perhaps with why what is in it is left out, and omissions. */
export type Listed = Entry & { omitted?: Omitted | undefined } | Omission;

/**
 * What of a file its file system did not keep: the modification time, what of it is less than a second or two, or
 * the permission bits.
 */
export type Unkept = "mtime" | "mtime_fraction" | "mode";

/** The values of {@linkcode Unkept}. */
export const UNKEPT: readonly Unkept[] = ["mtime", "mtime_fraction", "mode"];

/** What says what is not kept; nothing where that is nothing. */
export function unkeptKey(unkept: readonly Unkept[] = []): { unkept?: readonly Unkept[] } {
  return unkept.length === 0 ? {} : { unkept };
}

/** A part of a file that was cut, as a line of a list of those. */
export interface PartEntry {
  /** The name that the file was to have. */
  filename: string;
  /** The size of the whole file in bytes. */
  size: number;
  /** How many bytes are there. */
  received: number;
  /** When the last of them came, in milliseconds since 1970. */
  mtime: number;
  /** Whether it is being written at the moment. */
  active: boolean;
}
