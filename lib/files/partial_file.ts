/**
 * Partial files: the bytes received of a transfer that was interrupted, and how it is resumed.
 *
 * Next to a partial file, `NAME.part`, is its record, `NAME.json`: the file that it belongs to, how many of its first
 * bytes are valid, and the state of their digests. The record is rewritten every few MiB, so that a process that is
 * killed loses no more than those.
 *
 * @module
 */

import {
  PrefixDigest,
  type PrefixDigestOptions,
  type SavedPrefix,
} from "../digest/prefix_digest.ts";
import type { Checksum } from "../core/checksum.ts";
import { fileError } from "../core/errors.ts";
import { basename, dirname } from "../core/paths.ts";
import { syncDirectoryNow } from "./directory_flush.ts";
import { type StagedFile } from "./staged_file.ts";
import { openExactly } from "./open_exactly.ts";
import { hasOtherNames, isTaken } from "./path_lookup.ts";
import { areStoredPieces, type StoredPiece } from "./stored_pieces.ts";

/** How many bytes are received between two writes of the record. At most this many are sent again after a kill. */
export const CHECKPOINT_BYTES: number = 4 * 1024 * 1024;

/**
 * Files up to this size, in bytes, are not resumed but sent again as a whole: keeping a partial file would cost more
 * than it saves.
 */
export const RESUMABLE_BYTES: number = 8 * 1024 * 1024;

/** How much of a partial file is read at once, in bytes. */
const CHUNK_BYTES = 1024 * 1024;

/** The maximum size of a record in bytes. A larger file is not a record. */
const MAX_RECORD_BYTES = 64 * 1024;

/** The record of a partial file: the file that it belongs to, and how much of it is stored. */
export interface PartRecord {
  /** The name of the whole file. */
  filename: string;
  /** The size of the whole file in bytes; null if it is not known yet. */
  size: number | null;
  /** The checksum of the whole file; null if it was not known in advance. */
  checksum: Checksum | null;
  /** The size and the digests of the valid first bytes. */
  prefix: SavedPrefix;
  /**
   * The modification time of the whole file, in milliseconds since 1970, where it is known in advance: of a download.
   * Absent, as in records of older versions: it is not known.
   */
  mtime?: number | undefined;
  /** On a server, the owner. Absent, as in records of older versions, or "": no owner. */
  owner?: string | undefined;
  /**
   * The pieces that are stored beyond the valid first bytes, in ascending order. Absent, as in records of older
   * versions: none.
   */
  pieces?: readonly StoredPiece[] | undefined;
}

/** How many bytes of a partial file count as stored: the valid first bytes, and what the pieces add to them. */
export function storedBytes({ prefix, pieces = [] }: PartRecord): number {
  return pieces.reduce((sum, { from, to }) => sum + to - Math.max(from, prefix.size), prefix.size);
}

interface StoredRecord extends PartRecord {
  version: 2;
  /** When the machine was booted, in milliseconds since 1970; null if unknown. */
  boot: number | null;
}

/** A write of at most this size, in bytes, to the start of a file is not interrupted halfway by a kill. */
const PAGE_BYTES = 4096;

/** By how many bytes the length of a record may vary with the numbers in it. */
const SPARE_BYTES = 256;

const utf8 = new TextEncoder();

/**
 * Writes the record of a partial file atomically: a kill leaves either the old record or the new one.
 *
 * @param options.exactly for a directory in which other programs may replace entries, while `part` leads to the
 * directory whatever they do. A kill may leave a file `*.new` then. Default: false
 * @returns the record, as {@linkcode readRecord} returns it
 */
export function writeRecord(
  part: string,
  record: PartRecord,
  { exactly = false }: { exactly?: boolean } = {},
): PartRecord {
  const path = recordPath(part);
  const stored: StoredRecord = { version: 2, boot: bootTime(), ...record };
  const bytes = utf8.encode(JSON.stringify(stored));
  try {
    // A record that fits into a page is overwritten in place. If a file replaced another one, ext4 would write it to
    // the disk immediately, which takes longer than receiving the bytes between two records.
    const inPlace = bytes.length <= PAGE_BYTES - SPARE_BYTES;
    const page = new Uint8Array(inPlace ? PAGE_BYTES : bytes.length).fill(0x20);
    page.set(bytes);
    if (exactly && (!inPlace || !isTaken(path))) {
      replaceExactly(path, page);
    } else if (!inPlace) {
      Deno.writeFileSync(`${path}.new`, page);
      Deno.renameSync(`${path}.new`, path);
    } else {
      using file = exactly
        ? openExactly(path, { write: true })
        : Deno.openSync(path, { write: true, create: true });
      file.writeSync(page);
    }
    return stored;
  } catch (error) {
    throw fileError(error);
  }
}

/**
 * Replaces a file by another content, atomically, in a directory in which other programs may replace entries. A kill may
 * leave a file `*.new`.
 *
 * @param path leads to the directory whatever others do
 * @param options.durable whether a loss of power leaves either the old content or the new one, and the new one after
 * this has returned. Default: false, it may leave an empty file
 * @throws what the runtime throws
 */
export function replaceExactly(
  path: string,
  bytes: Uint8Array,
  { durable = false }: { durable?: boolean } = {},
): void {
  const directory = dirname(path);
  Deno.renameSync(writeExactly(directory, bytes, durable), path);
  if (durable) syncDirectoryNow(directory);
}

/** Writes a new file into a directory and returns its path. */
function writeExactly(directory: string, bytes: Uint8Array, durable: boolean): string {
  // Deno resolves the path of a file that it opens, but not the directory of a temporary file that it creates.
  const path = Deno.makeTempFileSync({ dir: directory, suffix: ".new" });
  try {
    using file = openExactly(path, { write: true });
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    if (durable) file.syncDataSync();
    return path;
  } catch (error) {
    Deno.removeSync(path);
    throw error;
  }
}

/**
 * Reads the record of a partial file; undefined if there is no valid one. A file with a second hard link is not a
 * partial file: it was published by a process that was killed before it could remove this name.
 */
export function readRecord(part: string): PartRecord | undefined {
  try {
    const record = JSON.parse(readExactly(recordPath(part))) as StoredRecord;
    const { filename, size, checksum, mtime, prefix, owner, pieces } = record;
    const whole = record.version === 2 && typeof filename === "string" &&
      (size === null || Number.isSafeInteger(size)) && isTextOr(null, checksum) &&
      (mtime === undefined || Number.isFinite(mtime)) && Number.isSafeInteger(prefix.size) &&
      isTextOr(undefined, prefix.md5) &&
      isTextOr(undefined, prefix.rest) && isTextOr(undefined, prefix.xxh128) &&
      isTextOr(undefined, owner) && areStoredPieces(pieces ?? [], prefix.size) &&
      (record.boot === null || typeof record.boot === "number");
    if (!whole) return undefined;
    const info = Deno.lstatSync(part);
    return prefix.size <= info.size && !hasOtherNames(info) ? record : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The text of a small file, in a directory in which other programs may replace entries.
 *
 * @param path leads to the directory whatever others do
 * @param most how many bytes are read at most. Default: 65536.
 * @throws what the runtime throws; `Deno.errors.NotFound` if it is not a file
 */
export function readExactly(path: string, most: number = MAX_RECORD_BYTES): string {
  using file = openExactly(path, { read: true });
  const bytes = new Uint8Array(Math.min(file.statSync().size, most));
  return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
}

/**
 * Moves a partial file with its record into another directory, if it has a valid record. A kill leaves it in one of the
 * two directories.
 */
export function movePart(part: string, directory: string): void {
  const to = `${directory}/${basename(part)}`;
  if (!readRecord(part) || isTaken(to)) return;
  try {
    replaceExactly(recordPath(to), utf8.encode(readExactly(recordPath(part))));
    Deno.renameSync(part, to);
  } catch (error) {
    throw fileError(error);
  }
}

function isTextOr(nothing: null | undefined, value: unknown): boolean {
  return value === nothing || typeof value === "string";
}

/**
 * Prepares a partial file to be continued after its valid first bytes, and truncates it to those; if pieces are stored
 * beyond them, only when something is appended.
 *
 * After a reboot, the record may be newer than the bytes on the disk, so the bytes are read and compared first. They
 * are also read if the file system may have lost some without an error, and if the record does not contain the digest
 * state for the algorithm.
 *
 * @returns the digest of the valid bytes; undefined if they differ from the record
 */
export async function resumePartial(
  staged: StagedFile,
  record: PartRecord,
  options: PrefixDigestOptions,
): Promise<PrefixDigest | undefined> {
  const digest = await validPrefix(staged, record as StoredRecord, options);
  if (digest) staged.truncate(digest.size, { later: record.pieces !== undefined });
  return digest;
}

async function validPrefix(
  { path, runtime }: StagedFile,
  { boot, prefix }: StoredRecord,
  options: PrefixDigestOptions,
): Promise<PrefixDigest | undefined> {
  if (sameBoot(boot) && await runtime.fileSystems.reportsWriteErrors(dirname(path))) {
    try {
      const saved = await PrefixDigest.resume(prefix, options, runtime.digests);
      if (saved) return saved;
    } catch {
      // The saved state is not valid.
      return undefined;
    }
  }
  const proof = prefix.xxh128 !== undefined;
  const read = await PrefixDigest.create({ ...options, proof }, runtime.digests);
  using file = openExactly(path, { read: true });
  using lent = runtime.buffers.lend(CHUNK_BYTES);
  while (read.size < prefix.size) {
    const count = await file.read(lent.bytes);
    if (count === null) return undefined;
    read.update(lent.bytes.subarray(0, Math.min(count, prefix.size - read.size)));
  }
  return read.matches(prefix) ? read : undefined;
}

/**
 * Empties the record of a partial file, if there is one, so that the partial file is no longer resumed. The empty file
 * stays, and is removed when the partial file has got its final name.
 *
 * @throws {FerryError} if the record may still be valid
 */
export function voidRecord(part: string): void {
  try {
    using file = openExactly(recordPath(part), { write: true });
    file.truncateSync(0);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw fileError(error);
  }
}

/**
 * Removes the record of a partial file, if there is one.
 *
 * @throws {FerryError} if the record may still exist
 */
export function removeRecord(part: string): void {
  for (const path of [recordPath(part), `${recordPath(part)}.new`]) {
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw fileError(error);
    }
  }
}

function recordPath(part: string): string {
  return part.replace(/\.part$/, ".json");
}

/** Two boot times that differ by less than this, in milliseconds, count as the same boot. */
const SAME_BOOT_MS = 5000;

/** When the machine was booted, in milliseconds since 1970; null if the process is not allowed to find out. */
export function bootTime(): number | null {
  try {
    return Math.round(Date.now() - Deno.osUptime() * 1000);
  } catch {
    // In that case the partial files of earlier processes are read and verified before they are resumed.
    return null;
  }
}

/** Whether the machine was not rebooted since a record was written, so that everything written before it is present. */
export function sameBoot(boot: number | null): boolean {
  const now = bootTime();
  return boot !== null && now !== null && Math.abs(boot - now) < SAME_BOOT_MS;
}
