/**
 * How a large file is uploaded in pieces, over several connections. The connection on which it was offered begins and
 * ends the upload; what is moved meanwhile is digested behind the pieces that have arrived.
 *
 * @module
 */

import type { Checksum } from "../../lib/core/checksum.ts";
import { toFerryError } from "../../lib/core/errors.ts";
import { gapsOf, sizeOf, type Span, union } from "../../lib/delta/spans.ts";
import { createDigest } from "../../lib/digest/chunk_digest.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import { FollowingDigest } from "../../lib/digest/following_digest.ts";
import { digestOfSpan } from "../../lib/transfer/assembly.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import type { Connection } from "../net/connection.ts";
import type { FileToPut } from "../net/file_requests.ts";
import { assemble, PieceSender } from "../net/piece_requests.ts";
import type { StreamCount } from "../net/stream_count.ts";
import { moveInPieces } from "../net/streams.ts";
import type { SizedSource } from "./source.ts";
import { type Reader, SourceReaders } from "./source_readers.ts";
import type { UploadPlan } from "./upload_plan.ts";

/** What an upload in pieces begins with. */
export interface PiecesBehind {
  /** How many of the first bytes the server has. */
  readonly offset: number;
  /** Their digest; undefined where there are none. */
  readonly digest: Digest | undefined;
  /** Over how many streams the others are moved. */
  readonly streams: StreamCount;
}

/** What an upload in pieces has come to. */
export interface PiecesUpload {
  /** The server's reply. */
  readonly reply: PutReply;
  /** How many bytes were moved, and how many the server had already. */
  readonly transferred: number;
  readonly resumedFrom: number;
}

/**
 * Uploads what the server does not have of a file.
 *
 * @returns undefined where the server takes the file only from its start to its end; `other` where it has pieces of
 * another file, so that the upload has to start over
 * @throws {FerryError} what the server or the source fails with
 */
export async function uploadInPieces(
  connection: Connection,
  plan: UploadPlan,
  request: FileToPut,
  source: SizedSource,
  { offset, digest: behind, streams }: PiecesBehind,
): Promise<PiecesUpload | "other" | undefined> {
  const { size } = source;
  const { filename, algorithm } = plan;
  const { runtime } = connection;
  const { id, pieces } = await assemble(connection, { ...request, offset });
  if (id === undefined) return undefined;
  const readers = new SourceReaders(source);
  let there: Span[] = [{ from: 0, to: offset }];
  for (const { offset: from, size, xxh128 } of pieces) {
    const piece = { from, to: from + size };
    const own = await digestOfSpan(runtime, { readAt: readAt(readers.reader()) }, piece);
    if (own !== xxh128) return "other";
    there.push(piece);
  }
  there = union(there);
  const gaps = gapsOf(there, size);
  const missing = sizeOf(gaps);
  const resumedFrom = size - missing;
  const resumed = resumedFrom > 0 ? { resumedFrom } : {};
  const digest = behind ?? await createDigest(algorithm, size, runtime.digests);
  await using following = request.checksum === null
    ? new FollowingDigest(runtime, { digest, offset, size, readAt: readAt(readers.reader()) })
    : undefined;
  const follow = () => following?.advance(there[0]?.from === 0 ? there[0].to : 0);
  follow();
  let moved = 0;
  if (missing > 0) {
    try {
      // Meanwhile, the server hears that this side is still at work.
      await connection.channel.converse(() =>
        moveInPieces(connection, {
          streams,
          gaps,
          mover: (stream) => new PieceSender(stream, { filename, id }, readers.reader()),
          onMoved: (piece) => {
            there = union([...there, piece]);
            moved += piece.to - piece.from;
            follow();
            plan.onProgress?.({ filename, bytes: resumedFrom + moved, total: size, ...resumed });
          },
          onFewer: plan.onFewerStreams,
        })
      );
    } catch (error) {
      // Of several servers that share an address, all pieces may have reached another one.
      if (moved === 0 && toFerryError(error).code === "busy") plan.streams.giveUp();
      throw error;
    }
  }
  const checksum = request.checksum ?? await wholeChecksum(following!, digest, readers.reader());
  const nothing = { source: readers.reader(), size: 0, onBytes: () => {} };
  const reply = await connection.put({ ...request, checksum, offset: size }, nothing);
  return { reply, transferred: moved, resumedFrom };
}

async function wholeChecksum(
  following: FollowingDigest,
  digest: Digest,
  source: Reader,
): Promise<Checksum> {
  await following.end();
  const checksum = digest.checksum();
  await source.assertUnchanged(checksum);
  return checksum;
}

function readAt(reader: Reader) {
  return async (into: Uint8Array, offset: number) => {
    reader.seek(offset);
    return await reader.read(into);
  };
}
