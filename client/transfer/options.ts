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
import type { FerryError } from "../../lib/core/errors.ts";
import type { Filter } from "./filter.ts";
import type { OmissionHandlers } from "./omissions.ts";

/** Options of every request. */
export interface RequestOptions {
  /** Aborts the request and closes its connection. What was already sent of the request may still take effect. */
  signal?: AbortSignal | undefined;
}

/** The progress of a transfer. */
export interface Progress {
  /** The name on the server. */
  filename: string;
  /** How many bytes of the file the other side has, including those of an earlier attempt and of an older version. */
  bytes: number;
  /** The size of the file in bytes; null where it is not known. */
  total: number | null;
  /** How many of these bytes are from an earlier attempt; absent where the transfer began at the start. */
  resumedFrom?: number | undefined;
}

/** Options of transfers in both directions. */
export interface TransferOptions extends RequestOptions {
  /** What to do where the name is taken. An identical file is no conflict. Default: `never`. */
  overwrite?: Overwrite | undefined;
  /** Whether the modification time and the permission bits are kept. Default: false. */
  preserve?: boolean | undefined;
  /** Whether the partial transfer of an earlier attempt is resumed. Default: true. */
  resume?: boolean | undefined;
  /**
   * Whether this is a dry run: nothing is transferred, made, replaced or removed on either side. The result is what
   * would happen: `skipped`, or else the number of bytes that would be transferred. Default: false.
   */
  dryRun?: boolean | undefined;
  /**
   * The checksum algorithm. `sha256` also withstands attackers; `xxh128` is the fastest. A server that does not have
   * the algorithm refuses with `bad_version`. Default: `md5`.
   */
  algorithm?: Algorithm | undefined;
  /**
   * Whether the receiving side makes holes, which take no space on its disk, of runs of zeros of 64 KiB and more. A
   * server over an object store, and one that does not know of this, stores the zeros. Default: false.
   */
  sparse?: boolean | undefined;
  /**
   * Whether only what has changed crosses the network where the receiver has an older version of a file of more than
   * 1 MiB. The result is verified as any other; a server that cannot do this gets the whole file. Default: true.
   */
  delta?: boolean | undefined;
  /**
   * Over how many connections at once a file of 32 MiB and more is moved, in pieces, beside the one of the request: 1
   * to 64, or `auto` for as many as make it faster. It helps where the network or a proxy limits each connection. One
   * connection is used where the server cannot do this, and for a stream, a delta or a sparse file. Default: 1.
   */
  streams?: number | "auto" | undefined;
  /** Called when only `streams` connections, fewer than asked for, could be opened, with the reason. */
  onFewerStreams?: ((streams: number, error: FerryError) => void) | undefined;
  /** Called after each piece of a file. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** Options of {@linkcode Client.put}. */
export interface PutOptions extends TransferOptions {
  /**
   * The name on the server. Default: the last component of the path or URL, or the name of a `File`. For other sources,
   * it is required.
   */
  as?: string | undefined;
  /**
   * The size of the source in bytes, for a stream or an iterable. With it, a server without room for the file can
   * refuse at once, and a source with fewer or more bytes fails with `io`.
   */
  size?: number | undefined;
  /** Whether a large file is read once more before it is sent, so that its checksum precedes it. Default: false. */
  hashFirst?: boolean | undefined;
  /**
   * The name of a file on the server that has much in common with this one: only what is not in it is sent. It may be
   * an older version under another name. The upload fails with `not_found` where it is missing, and with `bad_version`
   * where the server cannot do this. It does not go with a stream. Default: the file that is replaced, if there is one.
   */
  basis?: string | undefined;
}

/** Options of {@linkcode Client.get}. */
export interface GetOptions extends TransferOptions {
  /**
   * The offset of a range in bytes. With this or a `length`, only that range of the file is fetched, as far as it
   * exists. Default: 0.
   *
   * The checksum of a range shows that the bytes arrived as the server read them, not of which version of the file they
   * are: two ranges may be of two versions. A server that does not support ranges refuses with `bad_version`. An `out`
   * that stores a whole file, a path or a URL, does not go with a range.
   */
  offset?: number | undefined;
  /** The length of the range in bytes, at most. Default: up to the end of the file. */
  length?: number | undefined;
  /**
   * The path or `file:` URL to store the file at, or a sink that takes the bytes as they arrive. Those are verified
   * after the last one; a failure then means that what was taken is not the file. A `WritableStream` is closed after
   * the last byte, or else aborted. Default: the last component of the name, in the working directory.
   */
  out?: string | URL | WritableStream<Uint8Array> | ByteSink | undefined;
  /** Whether the file has to survive a loss of power. Default: `full`. */
  durability?: Durability | undefined;
  /**
   * The path or `file:` URL of a local file that has much in common with the server's: only what is not in it is
   * fetched. The download fails with `not_found` where it is missing, and with `bad_version` where the server cannot do
   * this. It needs an `out` that stores a file. Default: the file that is replaced, if there is one.
   */
  basis?: string | URL | undefined;
}

/** The result of a transfer. */
export interface Transferred {
  /** The name on the server. */
  filename: string;
  /**
   * The checksum of the whole file, or of the requested range, verified by the receiving side. Null where it was not
   * needed to see that the file exists already, and where nothing was transferred because of `dryRun`.
   */
  checksum: Checksum | null;
  /** The size of the whole file in bytes. */
  size: number;
  /** Whether nothing was changed because an identical or a newer file was there. */
  skipped: boolean;
  /** Bytes of the file that were transferred, without those of an earlier attempt and those of its basis. */
  transferred: number;
  /**
   * How many bytes the receiver has taken from an older version of the file, or from the `basis`, so that they were not
   * transferred; absent where there are none.
   */
  reused?: number | undefined;
  /** How many bytes of an earlier attempt were kept; 0 where the transfer began at the start. */
  resumedFrom: number;
  /**
   * Where the receiving side had the content already, so that it was copied from there instead of being transferred:
   * for an upload a name on the server, for a download a local path. Absent where it was not.
   */
  known?: string | undefined;
  /**
   * The metadata that the file system which stores the file does not keep; absent where it keeps all. With `preserve`,
   * a file whose modification time or permission bits are not kept fails instead.
   */
  unkept?: readonly Unkept[] | undefined;
  /** What a symbolic link says, which was made as such; absent for a file. */
  link?: string | undefined;
}

/** The result of a transfer that sent no bytes; `checksum` is that of the existing file. */
export function nothingTransferred(
  filename: string,
  { size, checksum = null, skipped = false, link }:
    & Pick<Transferred, "size">
    & Partial<Pick<Transferred, "checksum" | "skipped" | "link">>,
): Transferred {
  const kind = link === undefined ? {} : { link };
  return { filename, checksum, size, skipped, transferred: 0, resumedFrom: 0, ...kind };
}

/** The key of {@linkcode Transferred.known}, where there is a value for it. */
export function knownKey(known: string | undefined): Pick<Transferred, "known"> {
  return known === undefined ? {} : { known };
}

/** What a mirror may delete. */
export interface DeleteOptions {
  /** If more files and directories than this would be deleted, none is. Default: Infinity. */
  maxDelete?: number | undefined;
  /** Whether what the filter leaves out is deleted from the target, too. Default: false. */
  excluded?: boolean | undefined;
  /** Whether to delete even if something failed or could not be read. Default: false. */
  force?: boolean | undefined;
}

/** What is given besides the wish to delete; undefined without that. */
export function limitsOf(deletion: TreeOptions["delete"] = false): DeleteOptions | undefined {
  return deletion === true ? {} : deletion || undefined;
}

/** Something that was deleted from the target of a mirror, or would be. */
export interface Deleted {
  /** The name on the server. */
  filename: string;
  /** Its type. A link is deleted itself, not what it leads to. */
  type: "file" | "directory" | "link";
  /** Its size in bytes; 0 for anything but a file. */
  size: number;
  /** The name or path under which it is kept; absent where it is not. */
  backup?: string | undefined;
}

/** Options of transfers of directories. */
export interface TreeOptions extends OmissionHandlers {
  /**
   * Whether what the source does not have is deleted from the target, last of all, and only if everything else went
   * well. `overwrite` is `different` then unless it is given. Default: false.
   */
  delete?: boolean | DeleteOptions | undefined;
  /**
   * A directory on the receiving side. What is deleted or replaced is moved there and keeps its name relative to the
   * target; where that is taken, it ends with `.~1~`, `.~2~` and so on. Default: nothing is kept.
   */
  backup?: string | undefined;
  /** Called for each file, directory and link that was deleted. */
  onDelete?: ((deleted: Deleted) => void) | undefined;
  /** Which files and directories are transferred. Default: all. */
  filter?: Filter | undefined;
  /**
   * How many connections share the work. More than one help where a single connection does not use the whole bandwidth,
   * because of high latency or competing traffic. Default: 1.
   */
  jobs?: number | undefined;
  /**
   * Whether symbolic links are kept as links: those that stay, by their text and in fact, in the directory that is
   * written to. Targets that are absolute, or have `..` behind a name, are skipped. A server that does not offer it
   * refuses with `bad_version`; on Windows links are skipped. Default: false.
   */
  links?: boolean | undefined;
  /** Called with the number of files and of their bytes, before the first file is transferred. */
  onPlan?: ((files: number, bytes: number) => void) | undefined;
  /** Called for each file that was transferred, or that the other side has already. */
  onFile?: ((result: Transferred) => void) | undefined;
}

/** The options for another pass over a directory, which tells only of the files that the first one did not settle. */
export function again<Options extends TreeOptions>(options: Options): Options {
  return {
    ...options,
    onPlan: undefined,
    onSkip: undefined,
    // Those that were transferred before are the same now.
    onFile: (result) => result.skipped ? undefined : options.onFile?.(result),
  };
}

/** Options of {@linkcode Client.putTree}. */
export interface PutTreeOptions extends Omit<PutOptions, "as" | "basis" | "size">, TreeOptions {
  /** The directory on the server. Default: the last component of the local path. */
  as?: string | undefined;
  /** Whether symbolic links are followed instead of skipped; not together with `links`. Default: false. */
  follow?: boolean | undefined;
  /** Whether files are compared by their checksums, and not by size and modification time. Default: false. */
  checksumCompare?: boolean | undefined;
  /**
   * Whether the directory is published as one: nobody sees anything of it before all of it is there. It replaces a
   * directory of that name, unless `overwrite` is `never`, and what only that one has is gone then, except what the
   * `filter` excludes (with `delete: { excluded: true }`, that too). If a file fails, nothing is published, and what
   * was sent is kept for the next attempt. A server that cannot do this refuses before anything is sent. Default:
   * false.
   */
  atomic?: boolean | undefined;
  /** Called when the directory was published, with `atomic`. */
  onPublished?: ((published: Published) => void) | undefined;
}

/** A directory that was published as one. */
export interface Published {
  /** Its name on the server. */
  filename: string;
  /** How many files are in it. */
  files: number;
  /** Their size in bytes. */
  bytes: number;
  /** Whether it has replaced a directory. */
  replaced: boolean;
}

/** What one pass of {@linkcode Client.watchTree} came to. */
export interface Pass {
  /** Whether it is the first one. */
  first: boolean;
  /** How many files were transferred. */
  files: number;
  /** How many files, directories and links were deleted. */
  deleted: number;
  /** How many files and directories failed. */
  failed: number;
  /** How many bytes of files were transferred. */
  bytes: number;
  /** How long it took, in seconds. */
  seconds: number;
}

/** Options of {@linkcode Client.watchTree}. `overwrite` is `different` unless it is given. */
export interface WatchTreeOptions
  extends Omit<PutTreeOptions, "atomic" | "dryRun" | "onPublished"> {
  /** How often everything is compared, in milliseconds, to find what the system did not report. Default: 30000. */
  rescan?: number | undefined;
  /** Called after each pass, also if it has found nothing to do. */
  onPass?: ((pass: Pass) => void) | undefined;
  /** Called after the first pass; with the reason where the system reports no changes, so that only rescans find them. */
  onWatching?: ((unwatched: FerryError | undefined) => void) | undefined;
  /** Called once when passes begin to fail, such as while the server is away. They are repeated for ever. */
  onWaiting?: ((error: FerryError) => void) | undefined;
}

/** Options of {@linkcode Client.getTree}. */
export interface GetTreeOptions
  extends Omit<GetOptions, "basis" | "length" | "offset" | "out">, TreeOptions {
  /** The local directory. Default: the last component of the name, in the working directory. */
  out?: string | URL | undefined;
}
