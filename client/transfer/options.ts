/**
 * The options of transfers, and their results.
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

/** Options of every request. */
export interface RequestOptions {
  /** Aborts the request and closes its connection. What was sent of the request already may still take effect. */
  signal?: AbortSignal | undefined;
}

/** How far a transfer is. */
export interface Progress {
  /** The name on the server. */
  filename: string;
  /** How many bytes of the file the other side has, those of an earlier try included. */
  bytes: number;
  /** The size of the file in bytes; null where it is not known. */
  total: number | null;
  /** How many of these bytes are of an earlier try; absent where the transfer began at the start. */
  resumedFrom?: number | undefined;
}

/** Options of transfers in both directions. */
export interface TransferOptions extends RequestOptions {
  /** What to do when the name is taken. An identical file is no conflict. Default: `never`. */
  overwrite?: Overwrite | undefined;
  /** Whether the modification time and the permission bits are kept. Default: false. */
  preserve?: boolean | undefined;
  /** Whether a partial transfer of an earlier try is resumed. Default: true. */
  resume?: boolean | undefined;
  /**
   * Whether nothing is transferred, made, replaced or removed on either side, and the result only tells what
   * would be: `skipped`, or else the size of what would cross. Default: false.
   */
  dryRun?: boolean | undefined;
  /**
   * The checksum algorithm. `sha256` also withstands attackers; `xxh128` is the fastest. A server that does not have
   * the algorithm refuses with `bad_version`. Default: `md5`.
   */
  algorithm?: Algorithm | undefined;
  /** Called after each piece of a file. */
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
  /** Whether a large file is read once more before it is sent, so that its checksum precedes it. Default: false. */
  hashFirst?: boolean | undefined;
}

/** Options of {@linkcode Client.get}. */
export interface GetOptions extends TransferOptions {
  /**
   * The offset of a range in bytes. With this or a `length`, only that range of the file is fetched, as far as the
   * file has it. Default: 0. Its checksum shows that these bytes arrived as the server read them, and
   * not of which version of the file they are: the ranges of two requests may be of two files. A server that does
   * not have ranges refuses with `bad_version`. What stores a whole file, `out` as a path or a URL, takes none.
   */
  offset?: number | undefined;
  /** The length of the range in bytes, at most. Default: up to the end of the file. */
  length?: number | undefined;
  /**
   * The path or the `file:` URL to store the file at; or what takes the bytes as they come. Those are verified when the
   * last one has come, and a failure then says that what was taken is not the file. A `WritableStream` is closed after
   * the last byte, or else aborted. Default: the last part of the name, in the working directory.
   */
  out?: string | URL | WritableStream<Uint8Array> | ByteSink | undefined;
  /** Whether the file has to survive a loss of power. Default: `full`. */
  durability?: Durability | undefined;
}

/** The result of a transfer. */
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
  /** How many bytes of an earlier try were resumed; 0 where the transfer began at the start. */
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
  /** Which files and directories are transferred. Default: all. */
  filter?: Filter | undefined;
  /**
   * How many connections share the work. More than one help where a single connection does not fill the line, since
   * its latency is high or others use it too. Default: 1.
   */
  jobs?: number | undefined;
  /** Called with the number of files and of their bytes, before the first of them is transferred. */
  onPlan?: ((files: number, bytes: number) => void) | undefined;
  /** Called for each file that was transferred, or that the other side has already. */
  onFile?: ((result: Transferred) => void) | undefined;
}

/** Options of {@linkcode Client.putTree}. */
export interface PutTreeOptions extends Omit<PutOptions, "as" | "size">, TreeOptions {
  /** The directory on the server. Default: the last part of the local path. */
  as?: string | undefined;
  /** Whether symbolic links are followed instead of skipped. Default: false. */
  follow?: boolean | undefined;
  /** Whether files are compared by their checksums, and not by size and modification time. Default: false. */
  checksumCompare?: boolean | undefined;
}

/** Options of {@linkcode Client.getTree}. */
export interface GetTreeOptions extends Omit<GetOptions, "length" | "offset" | "out">, TreeOptions {
  /** The local directory. Default: the last part of the name, in the working directory. */
  out?: string | URL | undefined;
}
