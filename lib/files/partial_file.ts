/**
 * Parts of files: what has come of a transfer that was cut, and how to go on behind it.
 *
 * Beside the bytes of a part, `NAME.part`, stands a record, `NAME.json`: what it is a part of, how many of
 * its first bytes are good, and the state of their digests. It is written anew every few MiB, so that a
 * process that is killed loses no more than those.
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
import { type StagedFile } from "./staged_file.ts";
import { openExactly } from "./open_exactly.ts";
import { hasOtherNames, isTaken } from "./path_lookup.ts";

/** How many bytes may come between two records; at most so many are sent again after a kill. */
export const CHECKPOINT_BYTES: number = 4 * 1024 * 1024;

/** Files up to this size are sent again as a whole: a part would save less than it costs. */
export const RESUMABLE_BYTES: number = 8 * 1024 * 1024;

/** The piece in which a part is read. */
const PIECE_BYTES = 1024 * 1024;

/** No record is longer; what is may be anything. */
const MAX_RECORD_BYTES = 64 * 1024;

/** What a part is a part of, and how much of it is there. */
export interface PartRecord {
  /** The name that the file is to have. */
  filename: string;
  /** The size of the whole file in bytes. */
  size: number;
  /** The checksum of the whole file, where it was known in advance. */
  checksum: Checksum | null;
  /** The first bytes, which are on file. */
  prefix: SavedPrefix;
  /** Whose it is, where a server keeps it; absent, as in records of older versions, or "" is nobody's in particular. */
  owner?: string | undefined;
}

interface StoredRecord extends PartRecord {
  version: 2;
  /** When the system was started that it was written on. */
  boot: number | null;
}

/** What is written at once into the first page of a file is not torn by a kill. */
const PAGE_BYTES = 4096;

/** By how much the numbers in a record may make it longer or shorter. */
const SPARE_BYTES = 256;

const utf8 = new TextEncoder();

/**
 * Writes the record of a part. It is replaced at once: a kill leaves the old one or the new one.
 *
 * @param options.exactly that others may replace what they like where it is written, while the part's path
 * leads to its directory whatever they do; a kill may leave a file `*.new` then
 * @returns the record, as one that was read
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
    // Where a file takes the place of another, ext4 writes it to the disk at once, and that takes longer than
    // receiving what stands between two records.
    const inPlace = bytes.length <= PAGE_BYTES - SPARE_BYTES;
    const page = new Uint8Array(inPlace ? PAGE_BYTES : bytes.length).fill(0x20);
    page.set(bytes);
    if (exactly && (!inPlace || !isTaken(path))) {
      Deno.renameSync(writeExactly(dirname(path), page), path);
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

/** Writes a new file into a directory and gives its path. */
export function writeExactly(directory: string, bytes: Uint8Array): string {
  // To open a file, the runtime resolves its path by itself; not so to create a temporary one.
  const path = Deno.makeTempFileSync({ dir: directory, suffix: ".new" });
  try {
    using file = openExactly(path, { write: true });
    for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
    return path;
  } catch (error) {
    Deno.removeSync(path);
    throw error;
  }
}

/**
 * The record of a part; undefined where there is none, or none that makes sense. A file that has another name
 * beside its part's is no part: it was published, and whoever did that was killed before it was done.
 */
export function readRecord(part: string): PartRecord | undefined {
  try {
    const record = JSON.parse(readExactly(recordPath(part))) as StoredRecord;
    const { filename, size, checksum, prefix, owner } = record;
    const whole = record.version === 2 && typeof filename === "string" &&
      Number.isSafeInteger(size) && isTextOr(null, checksum) &&
      Number.isSafeInteger(prefix.size) && isTextOr(undefined, prefix.md5) &&
      isTextOr(undefined, prefix.xxh128) && isTextOr(undefined, owner) &&
      (record.boot === null || typeof record.boot === "number");
    if (!whole) return undefined;
    const info = Deno.lstatSync(part);
    return prefix.size <= info.size && !hasOtherNames(info) ? record : undefined;
  } catch {
    return undefined;
  }
}

function readExactly(path: string): string {
  return new TextDecoder().decode(bytesOf(path));
}

function bytesOf(path: string): Uint8Array {
  using file = openExactly(path, { read: true });
  const bytes = new Uint8Array(Math.min(file.statSync().size, MAX_RECORD_BYTES));
  return bytes.subarray(0, file.readSync(bytes) ?? 0);
}

/**
 * Moves a part with its record into another directory, if it is one. Whoever is killed meanwhile leaves it in one
 * of the two.
 */
export function movePart(part: string, directory: string): void {
  const to = `${directory}/${basename(part)}`;
  if (!readRecord(part) || isTaken(to)) return;
  try {
    Deno.renameSync(writeExactly(directory, bytesOf(recordPath(part))), recordPath(to));
    Deno.renameSync(part, to);
  } catch (error) {
    throw fileError(error);
  }
}

function isTextOr(nothing: null | undefined, value: unknown): boolean {
  return value === nothing || typeof value === "string";
}

/**
 * Makes a part ready to go on behind its good bytes; what follows them is cut off.
 *
 * After a restart of the system the record may be newer than the bytes on the disk, so that those are read and
 * compared first; and they are read where the file system may have lost some without a word, or where the record does
 * not say enough for the algorithm.
 *
 * @returns the digest of the good bytes; undefined where they are not what the record says
 */
export async function goOnWith(
  staged: StagedFile,
  record: PartRecord,
  options: PrefixDigestOptions,
): Promise<PrefixDigest | undefined> {
  const digest = await behind(staged, record as StoredRecord, options);
  if (digest) staged.truncate(digest.size);
  return digest;
}

async function behind(
  { path, runtime }: StagedFile,
  { boot, prefix }: StoredRecord,
  options: PrefixDigestOptions,
): Promise<PrefixDigest | undefined> {
  if (sameBoot(boot) && await runtime.fileSystems.reportsWriteErrors(dirname(path))) {
    try {
      const saved = await PrefixDigest.resume(prefix, options, runtime.digests);
      if (saved) return saved;
    } catch {
      // A state that nobody can read any more is worth nothing.
      return undefined;
    }
  }
  const proof = prefix.xxh128 !== undefined;
  const read = await PrefixDigest.create({ ...options, proof }, runtime.digests);
  using file = openExactly(path, { read: true });
  using lent = runtime.buffers.lend(PIECE_BYTES);
  while (read.size < prefix.size) {
    const count = await file.read(lent.bytes);
    if (count === null) return undefined;
    read.update(lent.bytes.subarray(0, Math.min(count, prefix.size - read.size)));
  }
  return read.matches(prefix) ? read : undefined;
}

/**
 * Makes the record of a part void, if there is one: nobody goes on with the part any more. The record's file
 * stays, to be removed when the part has its final name.
 *
 * @throws {FerryError} where it may still be good
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
 * Removes the record of a part, if there is one.
 *
 * @throws {FerryError} where it may still be there
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

/** Two times of a start of the system that differ by less than this are the same start. */
const SAME_BOOT_MS = 5000;

/** When the system was started, in milliseconds since 1970; null where the process may not know. */
export function bootTime(): number | null {
  try {
    return Math.round(Date.now() - Deno.osUptime() * 1000);
  } catch {
    // Parts of earlier runs are read before they are trusted, then.
    return null;
  }
}

/** Whether the system has been running since a record was written: what was written before is there. */
export function sameBoot(boot: number | null): boolean {
  const now = bootTime();
  return boot !== null && now !== null && Math.abs(boot - now) < SAME_BOOT_MS;
}
