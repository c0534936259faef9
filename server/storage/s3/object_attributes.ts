/**
 * What is kept of a file in the metadata of its object, and the entries that describe objects.
 *
 * @module
 */

import {
  type Algorithm,
  algorithmOf,
  type Checksum,
  checksumOf,
  hexOf,
  isMd5,
} from "../../../lib/core/checksum.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { ListedObject, Metadata, ObjectHead } from "./bucket.ts";

/** The permission bits of a file without metadata. */
const DEFAULT_MODE = 0o644;

/** The permission bits of every directory. */
const DIRECTORY_MODE = 0o755;

/** The names of metadata. They have no underscores, which some stores change to hyphens. */
const KEYS = {
  mtime: "ferry-mtime",
  mode: "ferry-mode",
  md5: "ferry-md5",
  sha256: "ferry-sha256",
  xxh128: "ferry-xxh128",
} as const;

/** By this name rclone and s3fs keep a modification time, in seconds since 1970. */
const SECONDS_KEY = "mtime";

/** The largest time that a JavaScript date can have, in milliseconds since 1970. */
const MAX_TIME = 8.64e15;

/** The attributes of a file that an object's metadata keeps. */
export interface Attributes {
  /** The modification time in milliseconds since 1970. Default: undefined, when the store wrote the object. */
  mtime?: number | undefined;
  /** The permission bits, 0 to 0o777. Default: undefined, 0o644. */
  mode?: number | undefined;
  /** The known checksums of the content, at most one of each algorithm. Default: none. */
  checksums?: readonly Checksum[] | undefined;
}

/** Makes the metadata that keeps attributes. */
export function metadataOf({ mtime, mode, checksums = [] }: Attributes): Metadata {
  const metadata: Record<string, string> = {};
  if (mtime !== undefined) metadata[KEYS.mtime] = String(mtime);
  if (mode !== undefined) metadata[KEYS.mode] = mode.toString(8);
  for (const checksum of checksums) metadata[KEYS[algorithmOf(checksum)!]] = hexOf(checksum);
  return metadata;
}

/** Reads attributes from metadata. Anybody may have written them: a value that makes no sense is ignored. */
export function attributesOf(metadata: Metadata): Attributes {
  const checksums = (["md5", "sha256", "xxh128"] as const)
    .flatMap((algorithm) => {
      const hex = metadata[KEYS[algorithm]];
      const checksum = hex === undefined ? undefined : checksumOf(algorithm, hex);
      return checksum !== undefined && algorithmOf(checksum) === algorithm ? [checksum] : [];
    });
  const octal = metadata[KEYS.mode] ?? "";
  return {
    mtime: timeOf(metadata[KEYS.mtime], 1) ?? timeOf(metadata[SECONDS_KEY], 1000),
    mode: /^[0-7]{1,3}$/.test(octal) ? parseInt(octal, 8) : undefined,
    checksums,
  };
}

/** A time as text, in milliseconds since 1970; undefined if it is none. */
function timeOf(text: string | undefined, unit: number): number | undefined {
  if (text === undefined || !/^-?\d+(\.\d+)?$/.test(text)) return undefined;
  const time = Math.trunc(Number(text) * unit);
  return Math.abs(time) <= MAX_TIME ? time : undefined;
}

/** What an ETag says about checksums. */
export interface ETagMeaning {
  /** Whether the ETag of an object that was stored by one PUT is the MD5 of its content. */
  readonly md5Etags: boolean;
}

/**
 * The checksum of an object as far as its metadata and its ETag tell it; null if they do not.
 *
 * @param object `metadata` is undefined in a list
 */
export function knownChecksum(
  { metadata = {}, etag }: { metadata?: Metadata; etag: string },
  algorithm: Algorithm,
  { md5Etags }: ETagMeaning,
): Checksum | null {
  const { checksums = [] } = attributesOf(metadata);
  const kept = checksums.find((checksum) => algorithmOf(checksum) === algorithm);
  if (kept !== undefined) return kept;
  return algorithm === "md5" && md5Etags && isMd5(etag) ? etag : null;
}

/** The entry of a file. */
export function fileEntry(
  filename: FileName,
  head: ObjectHead,
  algorithm: Algorithm,
  meaning: ETagMeaning,
): Entry {
  const { mtime = head.modified, mode = DEFAULT_MODE } = attributesOf(head.metadata);
  const checksum = knownChecksum(head, algorithm, meaning);
  return { filename, type: "file", size: head.size, mtime, mode, checksum };
}

/**
 * The entry of a file as a list knows it. Lists of a store have no metadata: the time is that at which the store wrote
 * the object, and the permission bits are the default.
 */
export function listedFileEntry(
  filename: FileName,
  { size, modified, ...object }: ListedObject,
  meaning: ETagMeaning,
): Entry {
  const checksum = knownChecksum(object, "md5", meaning);
  return { filename, type: "file", size, mtime: modified, mode: DEFAULT_MODE, checksum };
}

/** The entry of a directory. A store keeps no times of directories. */
export function directoryEntry(filename: FileName | ""): Entry {
  return { filename, type: "directory", size: 0, mtime: 0, mode: DIRECTORY_MODE, checksum: null };
}
