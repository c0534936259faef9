/**
 * What can be said of a transfer, and what it comes to.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Unkept } from "../../lib/core/entry.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { Durability } from "../../lib/files/durability.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import type { Filter } from "./filter.ts";
import type { OmissionHandlers } from "./omissions.ts";

/** Options of everything that can be asked of a server. */
export interface RequestOptions {
  /** Gives up, and ends the connection: what had been sent of the request cannot be taken back. */
  signal?: AbortSignal | undefined;
}

/** How far a transfer is. */
export interface Progress {
  /** The name on the server. */
  filename: string;
  /** Bytes of the file that are on the other side, those of an earlier try among them. */
  bytes: number;
  /** Its size in bytes; null where that is not known. */
  total: number | null;
  /** How many of the bytes an earlier try had left; absent where it began at the start. */
  resumedFrom?: number | undefined;
}

/** Options of transfers in both directions. */
export interface TransferOptions extends RequestOptions {
  /** What to do when the name is taken; `never` unless told otherwise: an identical file is fine. */
  overwrite?: Overwrite | undefined;
  /** Whether the modification time and the permission bits are kept. */
  preserve?: boolean | undefined;
  /** Whether to go on with a part of an earlier try; true unless told otherwise. */
  resume?: boolean | undefined;
  /**
   * Whether nothing is transferred, made, replaced or removed on either side, and the result only tells what
   * would be: `skipped`, or else the size of what would cross.
   */
  dryRun?: boolean | undefined;
  /**
   * What files are checked with, md5 unless told otherwise: `sha256` holds against attackers too, `xxh128` is the
   * quickest. A server that does not have it refuses with `bad_version`.
   */
  algorithm?: Algorithm | undefined;
  /** Told after each piece. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** Options of {@linkcode Client.put}. */
export interface PutOptions extends TransferOptions {
  /**
   * The name on the server. Default: the last part of the path or URL, the name of a `File`; for other sources it
   * is needed.
   */
  as?: string | undefined;
  /**
   * How many bytes the source has, where a stream or an iterable does not tell. A server that has no room for them
   * can say so at once then, and a source that gives fewer or more is an error, `io`.
   */
  size?: number | undefined;
  /** Whether a large file is read once more in advance, so that its checksum precedes it. */
  hashFirst?: boolean | undefined;
}

/** Options of {@linkcode Client.get}. */
export interface GetOptions extends TransferOptions {
  /**
   * The first byte of a range, 0 unless told otherwise. With this or a `length`, only that range of the file is
   * fetched, as far as the file has it. Its checksum shows that these bytes arrived as the server read them, and
   * not of which version of the file they are: the ranges of two requests may be of two files. A server that does
   * not have ranges refuses with `bad_version`. What stores a whole file, `out` as a path or a URL, takes none.
   */
  offset?: number | undefined;
  /** How many bytes of the file, at most; all those behind the first one unless told otherwise. */
  length?: number | undefined;
  /**
   * The path or the `file:` URL to store it at; the name's last part, in the working directory, unless told
   * otherwise. Or what takes the bytes as they come: they are verified when the last one has, and a failure then
   * says that what was taken is not the file. A `WritableStream` is closed behind the last byte, or else aborted.
   */
  out?: string | URL | WritableStream<Uint8Array> | ByteSink | undefined;
  /** Whether the file has to survive a loss of power; `full` unless told otherwise. */
  durability?: Durability | undefined;
}

/** What a transfer came to. */
export interface Transferred {
  /** The name on the server. */
  filename: string;
  /**
   * The checksum of the whole file, or of the range that was asked for, verified by the receiving side; null where
   * it was not needed to see that the file is there already, and where nothing was transferred because of `dryRun`.
   */
  checksum: Checksum | null;
  /** The size of the whole file in bytes. */
  size: number;
  /** Whether nothing was changed because an identical or a newer file was there. */
  skipped: boolean;
  /** Bytes of the file that crossed; those of an earlier try are not counted. */
  transferred: number;
  /** How many bytes an earlier try had left; 0 where it began at the start. */
  resumedFrom: number;
  /**
   * What the file system that the file is on now does not keep of it: absent where that is nothing. With `preserve`
   * a file fails of which the modification time or the permission bits are not kept.
   */
  unkept?: readonly Unkept[] | undefined;
}

/** The result of a transfer in which nothing crossed; `checksum` is that of the file that is there already. */
export function nothingTransferred(
  filename: string,
  { size, checksum = null, skipped = false }:
    & Pick<Transferred, "size">
    & Partial<Pick<Transferred, "checksum" | "skipped">>,
): Transferred {
  return { filename, checksum, size, skipped, transferred: 0, resumedFrom: 0 };
}

/** Options of transfers of directories. */
export interface TreeOptions extends OmissionHandlers {
  /** Which of its files and directories are meant; all unless told otherwise. */
  filter?: Filter | undefined;
  /**
   * How many connections share the work, 1 unless told otherwise: more of them help where one does not fill
   * the line, since it is long or shared with others.
   */
  jobs?: number | undefined;
  /** Told how many files and bytes there are, before the first of them is transferred. */
  onPlan?: ((files: number, bytes: number) => void) | undefined;
  /** Told of each file that was transferred or need not be. */
  onFile?: ((result: Transferred) => void) | undefined;
}

/** Options of {@linkcode Client.putTree}. */
export interface PutTreeOptions extends Omit<PutOptions, "as" | "size">, TreeOptions {
  /** The directory on the server; the last part of the local one unless told otherwise. */
  as?: string | undefined;
  /** Whether symbolic links are followed; they are skipped unless told otherwise. */
  follow?: boolean | undefined;
  /** Whether only a checksum proves that two files are the same, not their size and time. */
  checksumCompare?: boolean | undefined;
}

/** Options of {@linkcode Client.getTree}. */
export interface GetTreeOptions extends Omit<GetOptions, "length" | "offset" | "out">, TreeOptions {
  /** The local directory; the name's last part, in the working directory, unless told otherwise. */
  out?: string | URL | undefined;
}
