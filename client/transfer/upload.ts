/**
 * How a file is uploaded. A small one is read into memory and sent with its checksum in the request. A large one is
 * offered to the server first, and sent from the offset where an earlier attempt was cut.
 *
 * @module
 */

import { type Checksum, sameChecksum } from "../../lib/core/checksum.ts";
import { unkeptKey } from "../../lib/core/entry.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import { checksumOfSource, digestPrefix } from "../../lib/digest/source_digest.ts";
import { LocalFile } from "../../lib/files/local_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { OfferReply, PutReply } from "../../lib/wire/operations/put.ts";
import { MAX_DRAIN_BYTES } from "../../lib/wire/body.ts";
import type { Connection } from "../net/connection.ts";
import type { WaitFor } from "../net/connection_pool.ts";
import type { FileToPut } from "../net/file_requests.ts";
import { triesDelta, tryDelta } from "./delta.ts";
import { uploadDelta } from "./delta_upload.ts";
import { unusable } from "../net/signatures.ts";
import { localFailure } from "./local_failure.ts";
import { nothingTransferred, type Transferred } from "./options.ts";
import { streamsFor } from "../net/streams.ts";
import { MemorySource, Pieces, type SizedSource } from "./source.ts";
import { uploadInPieces } from "./upload_in_pieces.ts";
import type { UploadPlan } from "./upload_plan.ts";

/**
 * A file up to this size is read once, into memory, so that its checksum can be in the request; and the rest of one up
 * to this size is sent over one stream. This must not exceed
 * `RESUMABLE_BYTES`: a file that is sent as a whole is never resumed.
 */
const WHOLE_BYTES = 8 * 1024 * 1024;

/**
 * Uploads a file.
 *
 * @param waitFor waits for each piece of a source that the caller of the library gives
 */
export async function upload(
  connection: Connection,
  plan: UploadPlan,
  waitFor?: WaitFor,
): Promise<Transferred> {
  connection.assertOffers(plan.algorithm);
  const { source } = plan;
  if (source.kind === "pieces") {
    return await uploadPieces(connection, plan, source.pieces, { waitFor });
  }
  if (source.kind === "sized") return await uploadSized(connection, plan, source.source);
  try {
    await using file = LocalFile.open(source.path, connection.runtime);
    const unsized = await file.unsized();
    if (!unsized) return await uploadSized(connection, plan, file);
    const pieces = new Pieces(unsized[Symbol.asyncIterator](), plan.size);
    return await uploadPieces(connection, plan, pieces, { waitFor, file });
  } catch (error) {
    throw localFailure(error, source.path);
  }
}

/** Uploads a stream of unknown or declared length. */
async function uploadPieces(
  connection: Connection,
  plan: UploadPlan,
  pieces: Pieces,
  { waitFor, file }: { waitFor: WaitFor | undefined; file?: LocalFile },
): Promise<Transferred> {
  const { size: total = null } = pieces;
  const request = requestOf(plan, { size: total, mtime: file?.mtime, mode: file?.mode });
  if (plan.dryRun) return await foreseePieces(connection, plan, request, pieces.taken(waitFor));
  // A file that the server refuses for its size is refused before any of it is sent.
  if (total !== null && total > MAX_DRAIN_BYTES) {
    const offered = await connection.offer(request, { restart: true });
    if (offered.decision === "have") return keptExisting(request, offered);
  }
  const { onBytes, count } = counting(plan, { offset: 0, total });
  const reply = await connection.putStream(request, pieces.taken(waitFor), onBytes);
  return transferred(reply, { transferred: count(), resumedFrom: 0 });
}

/** Uploads a source that has a size, and can be read from any offset. */
async function uploadSized(
  connection: Connection,
  plan: UploadPlan,
  source: SizedSource,
): Promise<Transferred> {
  const { size } = source;
  if (size !== (plan.size ?? size)) {
    const reason = `the source has ${size} bytes, and its size was to be ${plan.size}`;
    throw new FerryError("io", reason);
  }
  const request = requestOf(plan, source);
  if (plan.dryRun) {
    return await foresee(
      connection,
      plan,
      request,
      () => checksumOf(source, request, connection.runtime),
    );
  }
  return size <= WHOLE_BYTES
    ? await uploadWhole(connection, plan, request, await source.readWhole())
    : await uploadLarge(connection, plan, request, source);
}

/** Uploads bytes in memory. */
async function uploadWhole(
  connection: Connection,
  plan: UploadPlan,
  planned: FileToPut,
  bytes: Uint8Array,
): Promise<Transferred> {
  const checksum = await connection.runtime.digests.checksumOf(plan.algorithm, bytes);
  const request = { ...planned, size: bytes.length, checksum };
  const { length: size } = bytes;
  // A small file is sent without an offer: a server that refuses it skips the body, which takes no longer.
  if (size > MAX_DRAIN_BYTES || plan.basis !== undefined) {
    const offered = await connection.offer(request, { restart: false });
    if (offered.decision === "have") return keptExisting(request, offered);
    const source = new MemorySource(bytes);
    const sent = await uploadChanges(connection, plan, request, source, { offered });
    if (sent) return sent;
  }
  const { onBytes } = counting(plan, { offset: 0, total: size });
  const reply = await connection.put(request, { source: new MemorySource(bytes), size, onBytes });
  return transferred(reply, { transferred: size, resumedFrom: 0 });
}

/** Uploads a large file: offers it, checks that what the server has are its first bytes, and sends the rest. */
async function uploadLarge(
  connection: Connection,
  plan: UploadPlan,
  planned: FileToPut,
  source: SizedSource,
): Promise<Transferred> {
  const { size } = source;
  const { runtime } = connection;
  const computeChecksum = () => checksumOf(source, planned, runtime);
  const hashFirst = plan.hashFirst && planned.checksum === null;
  // Before the offer, which the next request ends.
  const streams = plan.sparse ? undefined : await streamsFor(connection, plan.streams.count, size);
  let request = hashFirst ? { ...planned, checksum: await computeChecksum() } : planned;
  let offered: OfferReply;
  let digest: Digest | undefined;
  ({ request, offered } = await offer(connection, request, {
    restart: !plan.resume,
    computeChecksum,
  }));
  if (offered.offset > 0) {
    digest = await digestOfPartial(source, offered, plan, runtime);
    if (!digest) {
      // The server's bytes are of another file, or this file has changed since: the upload starts over.
      ({ request, offered } = await offer(connection, request, { restart: true, computeChecksum }));
    }
  }
  if (offered.decision === "have") return keptExisting(planned, offered);
  const offset = digest ? offered.offset : 0;
  const deltas = plan.delta.wanted;
  const sent = await uploadChanges(connection, plan, request, source, { offered, digest });
  if (sent) return sent;
  // The attempt may have taken from the digest, and what the server has of the file.
  if (deltas && !plan.delta.wanted) return await uploadLarge(connection, plan, request, source);
  if (streams !== undefined && size - offset > WHOLE_BYTES) {
    const begun = { offset, digest, streams };
    const moved = await uploadInPieces(connection, plan, request, source, begun);
    if (moved === "other") {
      return await uploadLarge(connection, { ...plan, resume: false }, planned, source);
    }
    if (moved) return transferred(moved.reply, moved);
  }
  source.seek(offset);
  const { onBytes } = counting(plan, { offset, total: size });
  const body = { source, size: size - offset, digest, onBytes };
  const reply = await connection.put({ ...request, offset }, body);
  return transferred(reply, { transferred: size - offset, resumedFrom: offset });
}

/**
 * Uploads what a file does not have in common with the one that it replaces, or with its basis.
 *
 * @param digest the digest of what the server has of an earlier attempt
 * @returns undefined where the whole file has to be sent
 */
async function uploadChanges(
  connection: Connection,
  plan: UploadPlan,
  request: FileToPut,
  source: SizedSource,
  { offered, digest }: { offered: OfferReply; digest?: Digest | undefined },
): Promise<Transferred | undefined> {
  const offset = digest ? offered.offset : 0;
  const { size } = source;
  if (offset === size || !triesDelta(connection, plan, offered.replaces ? size : undefined)) {
    return undefined;
  }
  // The server reserves what it has offered only until the next request.
  const reserve = async () => {
    const again = await connection.offer(request, { restart: false });
    const keys = ["decision", "offset", "prefix_md5", "prefix_xxh128"] as const;
    if (keys.every((key) => again[key] === offered[key])) return;
    throw new FerryError("busy", "the server has something else of it now");
  };
  const sent = await tryDelta(connection, plan, () => {
    return uploadDelta(connection, plan, request, source, { offset, digest, reserve });
  });
  if (!sent) return undefined;
  const { reply, transferred: crossed, reused } = sent;
  return { ...transferred(reply, { transferred: crossed, resumedFrom: offset }), reused };
}

/** The request of a plan, with the size and attributes of the opened source. */
function requestOf(
  { filename, algorithm, overwrite, keep, sparse, stage }: UploadPlan,
  { size, mtime, mode }: { size: number | null } & Pick<SizedSource, "mtime" | "mode">,
): FileToPut {
  const kept = { ...(keep.mtime ? { mtime } : {}), ...(keep.mode ? { mode } : {}) };
  return { filename, algorithm, overwrite, size, checksum: null, sparse, stage, ...kept };
}

async function checksumOf(
  source: SizedSource,
  { algorithm }: Pick<FileToPut, "algorithm">,
  runtime: Runtime,
): Promise<Checksum> {
  source.seek(0);
  return await checksumOfSource(runtime, source, { algorithm });
}

/**
 * Offers a file, and once more with its checksum where the server needs that to decide.
 *
 * @returns the request, with the checksum where it was computed, and the decision, which is never `hash`
 */
async function offer(
  connection: Connection,
  request: FileToPut,
  { restart, computeChecksum }: { restart: boolean; computeChecksum: () => Promise<Checksum> },
): Promise<{ request: FileToPut; offered: OfferReply }> {
  const offered = await connection.offer(request, { restart });
  if (offered.decision !== "hash") return { request, offered };
  const withChecksum = { ...request, checksum: await computeChecksum() };
  return { request: withChecksum, offered: await connection.offer(withChecksum, { restart }) };
}

/**
 * The digest of the server's partial upload, with which the rest can be verified.
 *
 * @returns undefined where this file does not begin with the same bytes
 */
async function digestOfPartial(
  file: SizedSource,
  { offset, prefix_md5, prefix_xxh128, prefix_state }: OfferReply,
  { algorithm }: UploadPlan,
  runtime: Runtime,
): Promise<Digest | undefined> {
  if (offset > file.size) return undefined;
  file.seek(0);
  // Where the server sends the state of its md5, that need not be computed again: XXH3-128 is the quicker proof.
  const state = algorithm === "md5" && prefix_xxh128 !== null && offset % 64 === 0 && prefix_state;
  const digest = await digestPrefix(runtime, file, {
    size: offset,
    algorithm: state ? "xxh128" : algorithm,
    proof: prefix_xxh128 !== null,
  });
  const { size, md5, xxh128 } = await digest.facts();
  const [here, there] = prefix_xxh128 !== null ? [xxh128, prefix_xxh128] : [md5, prefix_md5];
  if (size !== offset || !here || !there || !sameChecksum(here, there)) return undefined;
  return state ? runtime.digests.resumeMd5(state, offset) : digest;
}

/** The result that an upload would have. The server decides that, and changes nothing. */
async function foresee(
  connection: Connection,
  plan: UploadPlan,
  request: FileToPut,
  computeChecksum: () => Promise<Checksum>,
): Promise<Transferred> {
  await assertBasis(connection, plan);
  // `restart`: a dry run must not take a partial upload away from its writer.
  const { offered } = await offer(connection, request, { restart: true, computeChecksum });
  return offered.decision === "have"
    ? keptExisting(request, offered)
    : nothingTransferred(request.filename, { size: request.size! });
}

/** Fails in a dry run as the upload itself would where its basis is of no use. */
async function assertBasis(connection: Connection, plan: UploadPlan): Promise<void> {
  const { basis, algorithm } = plan;
  if (basis === undefined || !triesDelta(connection, plan, undefined)) return;
  const { type } = await connection.stat(basis, algorithm).catch((error) => {
    throw unusable(basis, error);
  });
  if (type === "directory") {
    throw unusable(basis, new FerryError("not_a_file", "it is a directory"));
  }
}

/** The same for a stream, whose length is known only at its end. */
async function foreseePieces(
  connection: Connection,
  plan: UploadPlan,
  request: FileToPut,
  pieces: AsyncIterable<Uint8Array>,
): Promise<Transferred> {
  const digest = await connection.runtime.digests.create(request.algorithm);
  let size = 0;
  for await (const piece of pieces) {
    digest.update(piece);
    size += piece.length;
  }
  const checksum = digest.checksum();
  return await foresee(connection, plan, { ...request, size }, () => Promise.resolve(checksum));
}

/** The result where the existing file stays; with `newer` its content may differ. */
function keptExisting(
  request: FileToPut,
  { size, checksum }: OfferReply,
): Transferred {
  return nothingTransferred(request.filename, {
    size: size ?? request.size!,
    checksum: checksum ?? request.checksum,
    skipped: true,
  });
}

/** Counts the bytes that are sent after the first `offset` ones, which the server has already, and reports them. */
function counting(
  { filename, onProgress }: UploadPlan,
  { offset, total }: { offset: number; total: number | null },
): { onBytes: (count: number) => void; count: () => number } {
  let bytes = offset;
  const resumed = offset > 0 ? { resumedFrom: offset } : {};
  return {
    onBytes(count) {
      bytes += count;
      onProgress?.({ filename, bytes, total, ...resumed });
    },
    count: () => bytes - offset,
  };
}

function transferred(
  { filename, checksum, size, unchanged, unkept }: PutReply,
  crossed: { transferred: number; resumedFrom: number },
): Transferred {
  return { filename, checksum, size, skipped: unchanged, ...crossed, ...unkeptKey(unkept) };
}
