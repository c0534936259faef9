/**
 * Requests about files, and their headers.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import type { ByteRange, RequestHeader } from "./reply_check.ts";

/** A file to upload. */
export interface FileToPut {
  /** The name on the server. */
  readonly filename: string;
  /** The checksum algorithm. */
  readonly algorithm: Algorithm;
  /** The checksum of the whole file; null where it is not known before the file is sent. */
  readonly checksum: Checksum | null;
  /** The size of the whole file in bytes; null for a stream of unknown length. */
  readonly size: number | null;
  /** What to do where the name is taken. */
  readonly overwrite: Overwrite;
  /** The modification time to set, in milliseconds since 1970. Default: it is not set. */
  readonly mtime?: number | undefined;
  /** The permission bits to set, 0 to 0o777. Default: they are not set. */
  readonly mode?: number | undefined;
  /** The staged tree that the file is put into. Default: none. */
  readonly stage?: string | undefined;
  /** How many bytes of the file the server has from an earlier attempt; they are not sent again. Default: 0. */
  readonly offset?: number | undefined;
  /** Whether the server makes holes of runs of zeros. Default: false. */
  readonly sparse?: boolean | undefined;
}

/** A file to download. */
export interface FileToGet {
  /** The name on the server. */
  readonly filename: string;
  /** The checksum algorithm. */
  readonly algorithm: Algorithm;
  /** The range to download. Default: the whole file. */
  readonly range?: ByteRange | undefined;
  /** The version that the file has to have; only with a range. Default: any. */
  readonly version?: string | undefined;
  /** The bytes that an earlier attempt has left. Default: none. */
  readonly prefix?: Prefix | undefined;
}

/** The first bytes of a file, described such that a server can check that its file begins with them. */
export interface Prefix {
  /** How many bytes. */
  readonly size: number;
  /** The checksum of the whole file that they are from, where it is known. */
  readonly whole: Checksum | null;
  /** Their md5. */
  readonly md5: string | null;
  /** Their XXH3-128, where their md5 is not known. */
  readonly xxh128: string | null;
}

/** The header of an upload request. */
export function putHeader(
  { filename, algorithm, checksum, size, overwrite, mtime, mode, offset = 0, sparse, stage }:
    FileToPut,
): RequestHeader {
  const header: Record<string, unknown> = { op: "put", filename, overwrite };
  if (mtime !== undefined) header.mtime = mtime;
  if (mode !== undefined) header.mode = mode;
  if (offset > 0) header.offset = offset;
  if (stage !== undefined) header.stage = stage;
  if (size !== null) header.size = size;
  if (sparse) header.sparse = true;
  return Object.assign(header, checksumKeys(algorithm, checksum));
}

/** The header of a request for a file, the rest of one or a range of one. */
export function getHeader(
  { filename, algorithm, range, version, prefix }: FileToGet,
): RequestHeader {
  const of = version === undefined ? {} : { version };
  const header = { op: "get", filename, ...checksumKeys(algorithm, null), ...range, ...of };
  if (!prefix) return header;
  const { size, whole, md5, xxh128 } = prefix;
  return {
    ...header,
    offset: size,
    ...(whole === null ? {} : { [algorithm === "md5" ? "if_md5" : "if_checksum"]: whole }),
    ...(md5 === null ? { prefix_xxh128: xxh128 } : { prefix_md5: md5 }),
  };
}

/** One of many small files to download. */
export interface SmallDownload {
  readonly request: FileToGet;
}
