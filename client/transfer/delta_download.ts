/**
 * How a file is downloaded of which another version is here: what both have in common is copied from that, and only the
 * rest is fetched.
 *
 * @module
 */

import type { Checksum } from "../../lib/core/checksum.ts";
import { FerryError, wasCut } from "../../lib/core/errors.ts";
import { AssembledContent, unreadable } from "../../lib/delta/assembled_content.ts";
import { coarseBlock } from "../../lib/delta/block_sizes.ts";
import type { Copies } from "../../lib/delta/copies.ts";
import { freeSpans } from "../../lib/delta/gaps.ts";
import { KnownParts } from "../../lib/delta/parts.ts";
import { planGet } from "../../lib/delta/plan.ts";
import type { RandomAccess } from "../../lib/delta/random_access.ts";
import { MAX_RANGES, RangeCollector, type Ranges } from "../../lib/delta/ranges.ts";
import type { FetchSignature } from "../../lib/delta/signature.ts";
import { LocalFile } from "../../lib/files/local_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { receive } from "../../lib/transfer/receive.ts";
import type { Connection } from "../net/connection.ts";
import { getRanges } from "../net/delta_requests.ts";
import { Signatures, unusable } from "../net/signatures.ts";
import type { DownloadPlan } from "./download_plan.ts";
import type { PartialDownload } from "./partial_downloads.ts";

/** A file that was received. */
export interface ReceivedFile {
  /** Its size in bytes. */
  readonly size: number;
  /** Its modification time in milliseconds since 1970. */
  readonly mtime: number;
  /** Its permission bits, 0 to 0o777. */
  readonly mode: number;
  /** How many of its first bytes are from an earlier attempt. */
  readonly offset: number;
  /** Its checksum, which was verified. */
  readonly checksum: Checksum;
  /** How many bytes have crossed the network. */
  readonly transferred: number;
  /** How many bytes were copied from another version; absent where there are none. */
  readonly reused?: number | undefined;
}

/** What {@linkcode receiveChanges} needs. */
export interface Changes {
  /** The path of the file that has much in common with the server's. */
  basis: string;
  /** What an earlier attempt has left; undefined where there is nothing. */
  partial: PartialDownload | undefined;
  /** Prepares the partial download that takes the file. */
  open: () => Promise<PartialDownload>;
  /** Reports the bytes of the file that are there behind the first `offset` ones. */
  reporting: (size: { offset: number; total: number }) => (count: number) => void;
}

/**
 * Receives a file into a partial download, with what it has in common with a local one copied from there.
 *
 * @returns undefined where the whole file is to be fetched: the two have nothing in common
 * @throws {FerryError} what the server, the connection or the partial download fails with; `checksum_mismatch` where two
 * parts were taken for the same and are not; a lasting error where a basis was asked for and cannot be read
 */
export async function receiveChanges(
  connection: Connection,
  plan: DownloadPlan,
  { basis: path, partial, open, reporting }: Changes,
): Promise<ReceivedFile | undefined> {
  const { filename, algorithm } = plan;
  const { runtime } = connection;
  await using basis = openBasis(path, plan, runtime);
  partial?.discardPieces();
  await using prefix = partial?.prefix && LocalFile.open(partial.staged.path, runtime);
  await using signatures = new Signatures(connection, filename);
  const found = await search(signatures, basis, prefix);
  if (prefix && found.offset === 0) partial!.startOver();
  const { copies, local, size, offset } = found;
  const { ranges, reused } = lacking(copies, { size, offset });
  if (!ranges || reused === 0 && offset === 0) return undefined;
  const { version } = signatures;
  const remote = { filename, version };
  return await getRanges(connection, remote, { algorithm, ranges }, async (file, body) => {
    if (file.size !== size) throw new FerryError("busy", "it has changed meanwhile");
    const part = await open();
    if (plan.sparse) part.staged.makeHoles();
    const content = new AssembledContent(new KnownParts(copies, size, body, offset), local);
    const incoming = {
      size: size - offset,
      algorithm,
      get checksum() {
        return body.checksum;
      },
      read: (into: Uint8Array) => content.read(into),
    };
    try {
      const { checksum } = await receive(runtime, incoming, part.staged, {
        behind: offset > 0 ? part.prefix : undefined,
        resumable: part.resumable({ filename, size, mtime: file.mtime, checksum: body.checksum }),
        onBytes: reporting({ offset, total: size }),
        byThread: true,
      });
      const { mtime, mode } = file;
      return { size, mtime, mode, offset, checksum, transferred: ranges.size, reused };
    } catch (error) {
      // These bytes may be wrong: a transfer of the whole file must not build upon them.
      if (!wasCut(error)) part.startOver();
      throw error;
    }
  });
}

/**
 * Opens the file to copy from.
 *
 * @throws {FerryError} a lasting error if it was asked for
 */
export function openBasis(path: string, { basis }: DownloadPlan, runtime: Runtime): LocalFile {
  try {
    return LocalFile.open(path, runtime);
  } catch (error) {
    throw basis === undefined ? error : unusable(path, error, "here");
  }
}

/** What a file on the server has in common with local ones. */
interface Found {
  /** What can be copied. */
  copies: Copies;
  /** From where. */
  local: RandomAccess;
  /** The size of the server's file in bytes. */
  size: number;
  /** How many of the bytes that an earlier attempt has left are those of the server's file. */
  offset: number;
}

/**
 * Searches for what a file on the server has in common with local ones.
 *
 * @param prefix what an earlier attempt has left; undefined where there is nothing
 */
async function search(
  signatures: Signatures,
  basis: LocalFile,
  prefix: LocalFile | undefined,
): Promise<Found> {
  const fetch: FetchSignature = (request) => signatures.fetch(request);
  const older = olderVersion(basis);
  if (prefix) {
    const local = joined(prefix, basis);
    const { copies, size } = await planGet(joined(prefix, older), { fetch });
    // Of the last bytes only the checksum of the whole file will show whether they are right.
    const { size: offset } = prefix;
    const certain = offset - offset % coarseBlock(size);
    const first = copies.count > 0 ? copies.get(0) : undefined;
    const same = first?.at === 0 && first.from === 0 && first.size >= certain;
    if (offset <= size && same) return { copies, local, size, offset };
  }
  return { ...await planGet(older, { fetch }), local: basis, offset: 0 };
}

/** A basis to be searched. Where it cannot be read to its end, the file is transferred without it. */
function olderVersion(basis: LocalFile): RandomAccess {
  return {
    size: basis.size,
    seek: (offset) => basis.seek(offset),
    async read(into) {
      try {
        return await basis.read(into);
      } catch (error) {
        throw unreadable(error);
      }
    },
  };
}

/** The first bytes of a file are those of `first`, the others those of `second` at the same offsets. */
function joined(first: RandomAccess, second: RandomAccess): RandomAccess {
  let position = 0;
  return {
    size: Math.max(first.size, second.size),
    seek: (offset) => void (position = offset),
    async read(into) {
      const left = first.size - position;
      const source = left > 0 ? first : second;
      source.seek(position);
      const count = await source.read(left > 0 ? into.subarray(0, left) : into);
      position += count ?? 0;
      return count;
    },
  };
}

/** What has to be fetched behind an offset, and how many bytes are copied; no ranges where they would be too many. */
function lacking(
  copies: Copies,
  { size, offset }: { size: number; offset: number },
): { ranges: Ranges | undefined; reused: number } {
  const collector = new RangeCollector(size);
  let reused = size - offset;
  for (const { from, to } of freeSpans(copies, size, offset)) {
    collector.add(from, to - from);
    reused -= to - from;
  }
  return { ranges: collector.count > MAX_RANGES ? undefined : collector.finish(), reused };
}
