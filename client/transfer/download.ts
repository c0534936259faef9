/**
 * How a file comes down: into a part beside its final name, verified, flushed, and only then renamed. A part
 * that was cut stays, and the next try goes on behind it.
 *
 * @module
 */

import { SHARED_RUNTIME } from "../../lib/runtime/runtime.ts";
import { delay } from "@std/async/delay";
import type { PrefixDigest, SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import { type Algorithm, algorithmOf, type Checksum } from "../../lib/core/checksum.ts";
import { FerryError, fileError, quote, toFerryError } from "../../lib/core/errors.ts";
import { OPERATIONS, parseReply } from "../../lib/wire/operations/operations.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import { unkeptKey } from "../../lib/core/entry.ts";
import { LocalFile } from "../../lib/files/source_file.ts";
import { decideOverwrite, type FileState } from "../../lib/core/overwrite.ts";
import {
  goOnWith,
  readRecord,
  removeRecord,
  RESUMABLE_BYTES,
  writeRecord,
} from "../../lib/files/partial_file.ts";
import { dirname } from "../../lib/core/paths.ts";
import { makeSure } from "../../lib/files/read_back.ts";
import { StagedFile } from "../../lib/files/staged_file.ts";
import { bitsOf, modeAt, PRIVATE_BITS } from "../../lib/files/permission_bits.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { directoryAt, syncDirectories } from "../../lib/files/directory_flush.ts";
import { isDirectory, isTaken } from "../../lib/files/path_lookup.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { receive, type Verified } from "../../lib/transfer/transfer.ts";
import { checksumOfSource } from "../../lib/digest/source_digest.ts";
import type { Frame } from "../../lib/wire/wire.ts";
import { assertBegins, assertRange, type Range } from "../net/reply_check.ts";
import type { Connection } from "../net/connection.ts";
import { kindOfSpecial } from "./destination.ts";
import { nothingMoved } from "./dry_run.ts";
import { partialPathOf, removePartialDownload, TEMPORARY_PREFIX } from "./partial_downloads.ts";
import type { GetOptions, Transferred } from "./options.ts";
import { localFailure } from "./local_failure.ts";

/** Options of {@linkcode download}. */
export interface DownloadOptions extends Omit<GetOptions, "out"> {
  /** The path to store it at, or what takes the bytes. */
  out: string | ByteSink;
  /** Whether the modification time is kept in any case. */
  keepTime?: boolean | undefined;
}

/** Downloads a file. */
export async function download(
  connection: Connection,
  filename: string,
  options: DownloadOptions,
): Promise<Transferred> {
  const { out } = options;
  try {
    return await downloadTo(out, connection, filename, options);
  } catch (error) {
    throw typeof out === "string" ? localFailure(error, out) : error;
  }
}

async function downloadTo(
  out: string | ByteSink,
  connection: Connection,
  filename: string,
  options: DownloadOptions,
): Promise<Transferred> {
  const { algorithm = "md5", dryRun } = options;
  connection.assertOffers(algorithm);
  const range = rangeOf(options);
  if (range) {
    connection.assertFeature("range", "ranges of files");
    if (typeof out === "string") {
      const reason = "a range is no whole file: `out` has to be a stream, such as an open file has";
      throw new FerryError("usage", reason);
    }
  }
  const existing = typeof out === "string" ? lookAt(out) : undefined;
  if (existing || dryRun) {
    const request = { op: "stat", filename, ...checksumKeys(algorithm, null) };
    const incoming = await connection.ask(OPERATIONS.stat.reply, request);
    if (incoming.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    if (existing && await isThere(existing, incoming, options)) {
      // One that an earlier try left which was killed when the file had its name.
      if (typeof out === "string" && !dryRun) removePartialDownload(partialPathOf(out));
      // The one that stays may be another than the server's.
      const { path, size } = existing;
      const checksum = dryRun ? null : existing.checksum ?? await checksumOf(path, algorithm);
      return nothingMoved(filename, { size, checksum, skipped: true });
    }
    if (!existing && typeof out === "string") assertFree(out, options);
    if (dryRun) return nothingMoved(filename, { size: incoming.size });
  }
  if (typeof out !== "string") return await pour(connection, filename, out, options);
  await using stack = new AsyncDisposableStack();
  // What the server says of the bits comes later: until then nobody else may read what is kept.
  const mode = options.preserve ? PRIVATE_BITS : existing?.bits;
  const open = async () => {
    const resume = options.resume !== false;
    const part = await openPart(out, { filename, algorithm, resume, mode });
    stack.use(part.staged);
    return part;
  };
  // Where the directory is missing there is nothing to go on from. It is made when the file comes.
  let part = isDirectory(dirname(out)) ? await open() : undefined;
  try {
    const header = {
      op: "get",
      filename,
      ...checksumKeys(algorithm, null),
      ...await proofOf(part, algorithm),
    };
    return await connection.fetch(header, async (reply) => {
      parseReply(OPERATIONS.get.reply, reply.header);
      const made = part ? [] : makeDirectories(dirname(out));
      part ??= await open();
      const replaced = existing !== undefined;
      return await store(reply, { part, out, replaced, made, filename, options });
    });
  } catch (error) {
    if (!part) throw error;
    const { staged } = part;
    // Also where the connection was lost before the reply: the part of an earlier try is still good.
    const { code } = toFerryError(error);
    const cut = code === "closed" || code === "timeout";
    if (cut && readRecord(staged.path)) staged.keep();
    else removeRecord(staged.path);
    throw error;
  }
}

/**
 * Whether a local file makes the transfer needless. Where that takes its checksum, that is known of it then.
 *
 * @throws {FerryError} `exists` where it must not be replaced
 */
async function isThere(
  existing: Existing,
  incoming: FileState,
  { overwrite = "never", algorithm = "md5" }: DownloadOptions,
): Promise<boolean> {
  const { path } = existing;
  let decision = decideOverwrite(overwrite, incoming, existing);
  if (decision === "hash") {
    existing.checksum = await checksumOf(path, algorithm);
    decision = decideOverwrite(overwrite, incoming, existing);
  }
  if (decision === "exists") throw new FerryError("exists", `another file is at ${quote(path)}`);
  return decision === "have";
}

/** Hands a file, or a range of it, on as it comes. */
async function pour(
  connection: Connection,
  filename: string,
  sink: ByteSink,
  options: DownloadOptions,
): Promise<Transferred> {
  const { algorithm = "md5", onProgress } = options;
  const range = rangeOf(options);
  const request = { op: "get", filename, ...checksumKeys(algorithm, null), ...range };
  return await connection.fetch(request, async ({ header, body }) => {
    const reply = parseReply(OPERATIONS.get.reply, header);
    assertBegins(reply);
    const { size } = reply;
    const total = range ? assertRange(reply, range) : size;
    let bytes = 0;
    const onBytes = (count: number) => onProgress?.({ filename, bytes: bytes += count, total });
    const { checksum } = assertWhole(total, await receive(SHARED_RUNTIME, body, sink, { onBytes }));
    return { filename, checksum, size, skipped: false, transferred: total, resumedFrom: 0 };
  });
}

/**
 * The keys of a request for a range, where one is meant.
 *
 * @throws {FerryError} `usage`
 */
function rangeOf({ offset, length }: DownloadOptions): Range | undefined {
  if (offset === undefined && length === undefined) return undefined;
  for (const [name, value] of Object.entries({ offset, length })) {
    if (value === undefined || Number.isSafeInteger(value) && value >= 0) continue;
    throw new FerryError("usage", `${name} is a number of bytes, and not ${value}`);
  }
  return { start: offset ?? 0, ...(length === undefined ? {} : { count: length }) };
}

/** What has come of a file, if anything. */
interface Part {
  staged: StagedFile;
  /** The checksum of the file that it is a part of, where that was known. */
  checksum?: Checksum | null;
  /** The digest of what has come. */
  behind?: PrefixDigest;
}

/** What shows the server that a part is one of its file. */
async function proofOf(
  part: Part | undefined,
  algorithm: Algorithm,
): Promise<Readonly<Record<string, unknown>>> {
  if (!part?.behind) return {};
  const { behind, checksum } = part;
  const { size, md5, xxh128 } = await behind.facts();
  return {
    offset: size,
    ...(checksum ? { [algorithm === "md5" ? "if_md5" : "if_checksum"]: checksum } : {}),
    ...(md5 !== null ? { prefix_md5: md5 } : { prefix_xxh128: xxh128 }),
  };
}

interface Target {
  part: Part;
  out: string;
  /** Whether another file is there, whose permission bits stay. */
  replaced: boolean;
  /** The directories that got an entry when those above the file were made. */
  made: readonly string[];
  filename: string;
  options: DownloadOptions;
}

async function store({ header, body }: Frame, target: Target): Promise<Transferred> {
  const { part: { staged, behind }, out, replaced, made, filename, options } = target;
  const { onProgress, overwrite = "never", preserve, durability = "full" } = options;
  const reply = parseReply(OPERATIONS.get.reply, header);
  assertBegins(reply, behind?.size);
  const { size, mtime, mode, offset } = reply;
  if (behind && offset === 0) {
    // It is not a part of what the server has now.
    staged.truncate(0);
    removeRecord(staged.path);
  }
  const checkpoint = (prefix: SavedPrefix) => {
    writeRecord(staged.path, { filename, size, checksum: header.checksum, prefix });
    return Promise.resolve();
  };
  let bytes = offset;
  const resumed = offset > 0 ? { resumedFrom: offset } : {};
  const received = await receive(SHARED_RUNTIME, body, staged, {
    behind: offset > 0 ? behind : undefined,
    // The server may have to read its file again for the proof, and has an md5 to compute anyway.
    ...(size > RESUMABLE_BYTES ? { resumable: { checkpoint, proof: false } } : {}),
    onBytes: (count) => onProgress?.({ filename, bytes: bytes += count, total: size, ...resumed }),
    // Who downloads waits for it and for nothing else.
    byThread: true,
  });
  const { checksum } = assertWhole(size, received);
  const unkept = staged.setAttributes({
    mtime: preserve || options.keepTime ? mtime : undefined,
    mode: preserve ? mode : replaced ? modeAt(out) : undefined,
    explicit: preserve,
    look: options.keepTime,
  });
  await makeSure(staged, { checksum, durable: durability === "full" });
  // Nobody may take for a part what has its name.
  removeRecord(staged.path);
  let skipped = false;
  try {
    staged.publish(out, { replace: overwrite !== "never" });
  } catch (error) {
    if (toFerryError(error).code !== "exists") throw error;
    await assertSame(out, { size, checksum });
    skipped = true;
  }
  if (durability === "full") await syncDirectories([...made, dirname(out)].map(directoryAt));
  const crossed = { transferred: size - offset, resumedFrom: offset };
  return { filename, checksum, size, skipped, ...crossed, ...unkeptKey(unkept) };
}

/**
 * No checksum protects a header: a length that was damaged on its way shows beside the file's size.
 *
 * @throws {FerryError} `checksum_mismatch`
 */
export function assertWhole(size: number, received: Verified): Verified {
  if (received.size === size) return received;
  throw new FerryError("checksum_mismatch", `${received.size} of ${size} bytes came`);
}

/** How long another process may have the part before this one gets a part of its own. */
const CLAIM = { tries: 10, pause: 50 };

/** Options of {@linkcode openPart}. */
interface PartOptions {
  filename: string;
  algorithm: Algorithm;
  /** Whether it may go on from what an earlier try left. */
  resume: boolean;
  /** The permission bits to publish it with, which make it private until then. */
  mode: number | undefined;
}

/**
 * The part of a download, with its record where there is something to go on from. Its name follows from the
 * final one; if another process is at it, this one gets a part of its own.
 */
async function openPart(out: string, { mode, ...wanted }: PartOptions): Promise<Part> {
  const path = partialPathOf(out);
  let staged = StagedFile.claim(path, SHARED_RUNTIME, { create: true, mode });
  for (let tries = 1; !staged && tries < CLAIM.tries; tries++) {
    await delay(CLAIM.pause);
    staged = StagedFile.claim(path, SHARED_RUNTIME, { create: true, mode });
  }
  if (!staged) {
    return {
      staged: StagedFile.create(dirname(out), SHARED_RUNTIME, { prefix: TEMPORARY_PREFIX, mode }),
    };
  }
  await using taken = new AsyncDisposableStack();
  taken.use(staged);
  try {
    const part = { staged, ...await goOn(staged, wanted) };
    taken.move();
    return part;
  } catch (error) {
    // That it could not be read now says nothing against it.
    if (readRecord(path)) staged.keep();
    throw error;
  }
}

/** Goes on behind what there is of a part, or at the start. */
async function goOn(
  staged: StagedFile,
  { filename, algorithm, resume }: Omit<PartOptions, "mode">,
): Promise<Omit<Part, "staged">> {
  const record = resume ? readRecord(staged.path) : undefined;
  if (record?.filename === filename) {
    const behind = await goOnWith(staged, record, { algorithm, proof: false });
    const same = record.checksum && algorithmOf(record.checksum) === algorithm;
    if (behind) return { behind, checksum: same ? record.checksum : null };
  }
  removeRecord(staged.path);
  staged.truncate(0);
  return {};
}

/** A local file. */
interface Existing extends FileState {
  path: string;
  size: number;
  /** Its permission bits, where it has any. */
  bits: number | undefined;
}

/**
 * The checksum of a local file.
 *
 * @throws {FerryError} as `LocalFile.open`; `io` where it changes meanwhile
 */
export async function checksumOf(path: string, algorithm: Algorithm): Promise<Checksum> {
  await using file = LocalFile.open(path, SHARED_RUNTIME);
  return await checksumOfSource(SHARED_RUNTIME, file, { algorithm });
}

/**
 * Makes sure that the very same file is at a path that turned out to be taken: another process may have fetched it
 * meanwhile.
 *
 * @throws {FerryError} `exists` where it is another one
 */
export async function assertSame(
  path: string,
  { size, checksum }: { size: number; checksum: Checksum },
): Promise<void> {
  const same = lookAt(path)?.size === size &&
    await checksumOf(path, algorithmOf(checksum)!) === checksum;
  if (!same) throw new FerryError("exists", `another file is at ${quote(path)}`);
}

/**
 * Fails where a name is taken though no file is there: by a link that leads to nothing. A transfer fails on it when
 * all the bytes have come; this is for those that are only foreseen.
 *
 * @throws {FerryError} `exists`
 */
export function assertFree(path: string, { overwrite = "never" }: Pick<GetOptions, "overwrite">) {
  if (overwrite !== "never" || !isTaken(path)) return;
  throw new FerryError("exists", `a symbolic link is at ${quote(path)}`);
}

/** What is at a local path; undefined where nothing is. */
function lookAt(path: string): Existing | undefined {
  try {
    const info = Deno.statSync(path);
    assertReplaceable(path, info);
    const { size, mtime } = info;
    return { path, size, mtime: mtime?.getTime(), checksum: null, bits: bitsOf(info) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw fileError(error);
  }
}

/**
 * Fails where a file must not take the place of what is at a path, whatever the policy.
 *
 * @throws {FerryError} `not_a_file`
 */
export function assertReplaceable(path: string, info: Deno.FileInfo): void {
  if (info.isFile) return;
  const kind = info.isDirectory ? "directory" : kindOfSpecial(info);
  throw new FerryError("not_a_file", `${quote(path)} is a ${kind}`);
}
