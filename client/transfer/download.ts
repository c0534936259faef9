/**
 * How a file is downloaded: into a temporary file beside its final name, which is verified, flushed and only then
 * renamed. A download that was cut is resumed by the next attempt.
 *
 * @module
 */

import { type Entry, unkeptKey } from "../../lib/core/entry.ts";
import { FerryError, toFerryError, wasCut } from "../../lib/core/errors.ts";
import { dirname } from "../../lib/core/paths.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { directoryAt, syncDirectories } from "../../lib/files/directory_flush.ts";
import { isDirectory } from "../../lib/files/path_lookup.ts";
import { modeAt, PRIVATE_BITS } from "../../lib/files/permission_bits.ts";
import { makeSure } from "../../lib/files/read_back.ts";
import type { Connection } from "../net/connection.ts";
import { waitDirectly, type WaitFor } from "../net/connection_pool.ts";
import type { IncomingFile } from "../net/incoming_file.ts";
import { triesDelta, tryDelta } from "./delta.ts";
import { openBasis, receiveChanges, type ReceivedFile } from "./delta_download.ts";
import type { Outlet } from "./destination.ts";
import type { DownloadPlan } from "./download_plan.ts";
import {
  assertNameFree,
  assertSameFile,
  checksumOfFile,
  type ExistingFile,
  existingFileAt,
  isWanted,
} from "./existing_file.ts";
import { localFailure } from "./local_failure.ts";
import { nothingTransferred, type Transferred } from "./options.ts";
import { PartialDownload, partialPathOf, removePartialDownload } from "./partial_downloads.ts";
import { receivePieces } from "./piece_download.ts";

/**
 * Downloads a file, or a range of one.
 *
 * @param waitFor waits for a destination that the caller of the library gives
 */
export async function download(
  connection: Connection,
  plan: DownloadPlan,
  waitFor: WaitFor = waitDirectly,
): Promise<Transferred> {
  connection.assertOffers(plan.algorithm);
  if (plan.range) connection.assertFeature("range", "ranges of files");
  const { destination } = plan;
  if (typeof destination !== "string") {
    return await pour(connection, plan, destination, waitFor);
  }
  try {
    return await store(connection, plan, destination);
  } catch (error) {
    throw localFailure(error, destination);
  }
}

/** Passes the bytes on as they arrive. */
async function pour(
  connection: Connection,
  plan: DownloadPlan,
  outlet: Outlet,
  waitFor: WaitFor,
): Promise<Transferred> {
  const { filename, algorithm, range } = plan;
  if (plan.dryRun) {
    const { size } = await statFile(connection, plan);
    return nothingTransferred(filename, { size });
  }
  const sink = outlet.begin(waitFor);
  const result = await connection.get({ filename, algorithm, range }, async (file) => {
    const { size, total } = file;
    const { checksum } = await file.receive(sink, { onBytes: reportingOf(plan, { total }) });
    return { filename, checksum, size, skipped: false, transferred: total, resumedFrom: 0 };
  });
  await outlet.finish(waitFor);
  return result;
}

/** Stores a file at a path, unless the existing file may stay. */
async function store(
  connection: Connection,
  plan: DownloadPlan,
  path: string,
): Promise<Transferred> {
  const existing = existingFileAt(path);
  if (plan.dryRun) await assertBasis(connection, plan);
  // What is to be replaced in any case need not be compared.
  if (existing && plan.overwrite !== "always" || plan.dryRun) {
    const kept = await withoutTransfer(connection, plan, { path, existing });
    if (kept) return kept;
  }
  const { filename, algorithm, resume, preserve, basis = path } = plan;
  const { runtime } = connection;
  // The server sends the permission bits with the file. Until then, nobody else may read the partial download.
  const mode = preserve ? PRIVATE_BITS : existing?.bits;
  await using opened = new AsyncDisposableStack();
  const claim = async () => {
    const options = { filename, algorithm, resume, mode, runtime };
    return opened.use(await PartialDownload.open(path, options));
  };
  // Where the directory is missing, there is nothing to resume. It is made when the file arrives.
  let partial = isDirectory(dirname(path)) ? await claim() : undefined;
  let made: string[] = [];
  const open = async () => {
    if (!partial) made = makeDirectories(dirname(path));
    return partial ??= await claim();
  };
  const replaces = existing !== undefined;
  try {
    const reporting = (size: Size) => reportingOf(plan, size);
    if (triesDelta(connection, plan, existing?.size)) {
      const received = await tryDelta(connection, plan, () => {
        return receiveChanges(connection, plan, { basis, partial, open, reporting });
      });
      if (received) return await publish(await open(), received, plan, { path, made, replaces });
    }
    const pieces = await receivePieces(connection, plan, { partial, open, reporting });
    if (pieces) return await publish(await open(), pieces, plan, { path, made, replaces });
    const prefix = await partial?.proof();
    return await connection.get({ filename, algorithm, prefix }, async (file) => {
      const part = await open();
      const received = await receiveInto(part, file, plan);
      return await publish(part, received, plan, { path, made, replaces });
    });
  } catch (error) {
    // This also applies where the connection was lost before the reply: the bytes of an earlier attempt are still good.
    if (wasCut(error) || isUnserved(error)) partial?.keep();
    else partial?.removeRecord();
    throw error;
  }
}

/** Whether an error is about the server, as further connections to it may meet one, and not about the bytes. */
function isUnserved(error: unknown): boolean {
  const { code } = toFerryError(error);
  return code === "unreachable" || code === "busy";
}

/**
 * Finishes a download that needs no transfer: the existing file may stay, or this is a dry run. Where the file stays,
 * what an earlier attempt has left is deleted.
 *
 * @returns undefined where the file has to be transferred
 * @throws {FerryError} `exists` where the existing file must not be replaced; `not_a_file` for a directory
 */
async function withoutTransfer(
  connection: Connection,
  plan: DownloadPlan,
  { path, existing }: { path: string; existing: ExistingFile | undefined },
): Promise<Transferred | undefined> {
  const { filename, algorithm, overwrite, dryRun } = plan;
  const { runtime } = connection;
  const incoming = await statFile(connection, plan);
  if (existing) {
    const here = () => checksumOfFile(path, algorithm, runtime);
    const there = () => Promise.resolve(incoming.checksum);
    if (!await isWanted(overwrite, incoming, existing, { here, there })) {
      // A try that was killed right after the rename may have left its temporary file.
      if (!dryRun) removePartialDownload(partialPathOf(path, runtime), runtime);
      // The file that stays may differ from the server's.
      const checksum = dryRun ? null : existing.checksum ?? await here();
      return nothingTransferred(filename, { size: existing.size, checksum, skipped: true });
    }
  } else assertNameFree(path, overwrite);
  return dryRun ? nothingTransferred(filename, { size: incoming.size }) : undefined;
}

/** Fails in a dry run as the download itself would where its basis is of no use. */
async function assertBasis(connection: Connection, plan: DownloadPlan): Promise<void> {
  const { basis } = plan;
  if (basis === undefined || !triesDelta(connection, plan, undefined)) return;
  await using _basis = openBasis(basis, plan, connection.runtime);
}

async function statFile(
  connection: Connection,
  { filename, algorithm }: DownloadPlan,
): Promise<Entry> {
  const entry = await connection.stat(filename, algorithm);
  if (entry.type === "directory") throw new FerryError("not_a_file", "it is a directory");
  return entry;
}

/** Receives a file, or the rest of one after the bytes of an earlier attempt. */
async function receiveInto(
  partial: PartialDownload,
  file: IncomingFile,
  plan: DownloadPlan,
): Promise<ReceivedFile> {
  const { filename } = plan;
  const { size, mtime, mode, offset, announced, total } = file;
  if (partial.prefix && offset === 0) partial.startOver();
  if (plan.sparse) partial.staged.makeHoles();
  const { checksum } = await file.receive(partial.staged, {
    behind: offset > 0 ? partial.prefix : undefined,
    resumable: partial.resumable({ filename, size, mtime, checksum: announced }),
    onBytes: reportingOf(plan, { offset, total }),
    // The process has nothing else to do than this download.
    byThread: true,
  });
  return { size, mtime, mode, offset, checksum, transferred: size - offset };
}

/** Flushes a received file and renames it to its final name. */
async function publish(
  partial: PartialDownload,
  { size, offset, mtime, mode, checksum, transferred, reused }: ReceivedFile,
  { filename, preserve, keepTime, overwrite, durable, beforeReplacing }: DownloadPlan,
  { path, made, replaces }: {
    path: string;
    /** The directories in which an entry was added when the parent directories of the file were made. */
    made: readonly string[];
    /** Whether another file exists, whose permission bits are kept. */
    replaces: boolean;
  },
): Promise<Transferred> {
  const { staged } = partial;
  const unkept = staged.setAttributes({
    mtime: preserve || keepTime ? mtime : undefined,
    // Look again at the bits of a file that is replaced: they may have changed since the download began.
    mode: preserve ? mode : replaces ? modeAt(path) : undefined,
    explicit: preserve,
    look: keepTime,
  });
  await makeSure(staged, { checksum, durable });
  await beforeReplacing?.();
  // Remove the record before the rename: after a crash it would describe a finished file.
  partial.removeRecord();
  let skipped = false;
  try {
    staged.publish(path, { replace: overwrite !== "never" });
  } catch (error) {
    if (toFerryError(error).code !== "exists") throw error;
    await assertSameFile(path, { size, checksum }, staged.runtime);
    skipped = true;
  }
  if (durable) await syncDirectories([...made, dirname(path)].map(directoryAt));
  const crossed = { transferred, resumedFrom: offset, ...(reused ? { reused } : {}) };
  return { filename, checksum, size, skipped, ...crossed, ...unkeptKey(unkept) };
}

/** How large a download is, and how much of that was there before. */
interface Size {
  offset?: number;
  total: number;
}

/** Reports the bytes that are there behind the first `offset` ones, which were there already. */
function reportingOf(
  { filename, onProgress }: DownloadPlan,
  { offset = 0, total }: Size,
): (count: number) => void {
  let bytes = offset;
  const resumed = offset > 0 ? { resumedFrom: offset } : {};
  return (count) => onProgress?.({ filename, bytes: bytes += count, total, ...resumed });
}
