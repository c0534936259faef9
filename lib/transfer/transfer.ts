/**
 * The two hot loops, used by both ends: a source onto the wire, and the wire into a sink. They count,
 * digest and verify; where bytes come from and go to, and who draws progress, is the caller's business.
 *
 * @module
 */

import { CHUNK_BYTES, fillChunk } from "../digest/source_digest.ts";
import type { Digest } from "../digest/digest.ts";
import { PrefixDigest, type SavedPrefix } from "../digest/prefix_digest.ts";
import type { Runtime } from "../runtime/runtime.ts";
import {
  type Algorithm,
  type Checksum,
  emptyChecksum,
  hexOf,
  sameChecksum,
} from "../core/checksum.ts";
import { FerryError, toFerryError } from "../core/errors.ts";
import { errorReply } from "../wire/error_reply.ts";
import { checksumKeys } from "../wire/checksum_keys.ts";
import { CHECKPOINT_BYTES } from "../files/partial_file.ts";
import type { Digests } from "../digest/digests.ts";
import { ChunkPipeline } from "../digest/chunk_pipeline.ts";
import type { ByteSink, ByteSource, IncomingContent } from "../core/bytes.ts";
import type { IncomingBody } from "../wire/body.ts";
import type { Wire } from "../wire/frames.ts";

/** Called with the number of bytes that have just been moved. */
export type OnBytes = (count: number) => void;

/** The piece in which bodies are read that are looked into as they come. */
const PIECE_BYTES = 32 * 1024;

/** What small pieces of a stream are gathered for before they leave, in milliseconds. */
const FLUSH_MS = 1000;

/** Bytes and their checksum. */
export interface Verified {
  /** The checksum of the bytes. */
  checksum: Checksum;
  /** How many bytes. */
  size: number;
}

/** Options of {@linkcode sendSized}. */
export interface SendOptions {
  /** How many bytes the source is to give. */
  size: number;
  /** What they are checked with; md5 unless told otherwise. */
  algorithm?: Algorithm | undefined;
  /** The checksum of the whole file, where it is known; without it a closing header gives it. */
  checksum: Checksum | null;
  /** The digest of what the receiver has already, in front of the source's bytes. */
  digest?: Digest | undefined;
  /** Told of each piece that was handed to the connection. */
  onBytes?: OnBytes | undefined;
  /** Asked before each piece; an error that it returns ends the transfer. */
  stop?: (() => FerryError | undefined) | undefined;
}

/** Options of {@linkcode sendStreamed}. */
export interface StreamOptions extends Pick<SendOptions, "algorithm" | "onBytes"> {
  /** Asked at the end for further keys of the closing header. */
  closing?: (() => Readonly<Record<string, unknown>>) | undefined;
}

/**
 * Reads a small source whole, into a buffer of its size.
 *
 * @throws {FerryError} the source's errors; `io` where it changes meanwhile
 */
export async function readWhole(
  source: ByteSource,
  { into, algorithm, digests }: {
    into: Uint8Array<ArrayBuffer>;
    algorithm: Algorithm;
    digests: Digests;
  },
): Promise<Checksum> {
  const { length: count } = await fillChunk(source, into, into.length);
  if (count < into.length) throw shrunk(count, into.length);
  const checksum = await digests.checksumOf(algorithm, into);
  await source.assertUnchanged?.(checksum);
  return checksum;
}

/**
 * Sends a message with a sized body. After a failure in the middle of the body nothing more can
 * be sent, since the peer would take it for the rest of the body.
 *
 * @param header the keys beside `total_size` and those of the checksum
 * @throws {FerryError} the source's and the connection's errors; `io` where the source is shorter than
 * announced or changed meanwhile
 */
export async function sendSized(
  wire: Wire,
  header: Readonly<Record<string, unknown>>,
  source: ByteSource,
  { size, algorithm = "md5", checksum, digest, onBytes, stop }: SendOptions,
): Promise<Verified> {
  if (size === 0) {
    // No closing header follows an empty body, so that of a file that is whole already goes in front.
    const known = checksum ?? digest?.checksum() ?? null;
    await source.assertUnchanged?.(
      checksum === null ? known ?? emptyChecksum(algorithm) : undefined,
    );
    await wire.writeFrame({ ...header, ...checksumKeys(algorithm, known), total_size: 0 });
    return { checksum: known ?? emptyChecksum(algorithm), size };
  }
  // What fails before the header has left can still be said in its place.
  if (checksum === null) digest ??= await wire.runtime.digests.create(algorithm);
  const digesting = checksum === null ? digest : undefined;
  using pieces = new ChunkPipeline(wire.runtime, {
    most: Math.min(size, CHUNK_BYTES),
    digest: digesting,
  });
  await wire.writeFrame({ ...header, ...checksumKeys(algorithm, checksum), total_size: size });
  const readNext = (left: number) =>
    pieces.next().then((memory) => fillChunk(source, memory, left));
  let reading = readNext(size);
  let writing: Promise<void> | undefined;
  try {
    // While one piece is being digested, the one before it is on its way into the socket and the one after it
    // is being read by another thread.
    let sent = 0;
    while (sent < size) {
      const piece = await reading;
      if (piece.length === 0) throw shrunk(sent, size);
      const error = stop?.();
      if (error) throw error;
      await writing;
      sent += piece.length;
      writing = sendPiece(wire, piece, onBytes);
      if (sent < size) reading = readNext(size - sent);
      // Its failure is seen at the next await; here it only must not count as unhandled.
      reading.catch(() => {});
      void pieces.pass(piece, { use: writing });
    }
    await pieces.end();
  } catch (error) {
    const failure = toFerryError(error);
    wire.endWrites(failure);
    // Nobody may dispose of the source or the buffers under a read or a write.
    await Promise.allSettled([reading, pieces.end()]);
    throw failure;
  }
  if (checksum !== null) return { checksum, size };
  const sent = { checksum: digest!.checksum(), size };
  return await closeBody(wire, header, { source, algorithm, sent });
}

function shrunk(left: number, size: number): FerryError {
  return new FerryError("io", `it shrank while it was sent: ${left} of ${size} bytes are left`);
}

function sendPiece(wire: Wire, piece: Uint8Array, onBytes?: OnBytes): Promise<void> {
  const writing = wire.write(piece);
  return onBytes ? writing.then(() => onBytes(piece.length)) : writing;
}

/**
 * Sends a message with a streamed body: each piece as a message of its own, then the closing header.
 *
 * @param header the keys beside `total_size` and those of the checksum
 * @throws {FerryError} the pieces' errors, of which the peer is told too, and the connection's
 */
export async function sendStreamed(
  wire: Wire,
  header: Readonly<Record<string, unknown>>,
  pieces: AsyncIterable<Uint8Array>,
  { algorithm = "md5", onBytes, closing }: StreamOptions = {},
): Promise<Verified> {
  const digest = await wire.runtime.digests.create(algorithm);
  let size = 0;
  await wire.writeFrame({ ...header, ...checksumKeys(algorithm, null), total_size: null });
  // A failure shows at the next piece.
  const flushing = setInterval(() => wire.flush().catch(() => {}), FLUSH_MS);
  try {
    for await (const piece of pieces) {
      if (piece.length === 0) continue;
      digest.update(piece);
      await wire.writeFrame({ total_size: piece.length }, piece);
      size += piece.length;
      onBytes?.(piece.length);
    }
  } catch (error) {
    await closeWithError(wire, error);
  } finally {
    clearInterval(flushing);
  }
  const sent = { checksum: digest.checksum(), size };
  return await closeBody(wire, header, { algorithm, sent, keys: closing?.() });
}

async function closeBody(
  wire: Wire,
  header: Readonly<Record<string, unknown>>,
  { source, algorithm, sent, keys }: {
    source?: ByteSource;
    algorithm: Algorithm;
    sent: Verified;
    keys?: Readonly<Record<string, unknown>> | undefined;
  },
): Promise<Verified> {
  const { checksum, size } = sent;
  try {
    await source?.assertUnchanged?.(checksum);
  } catch (error) {
    await closeWithError(wire, error);
  }
  const { filename } = header;
  await wire.writeFrame({
    end: true,
    filename,
    ...checksumKeys(algorithm, checksum),
    size,
    ...keys,
  });
  return sent;
}

/** Tells the peer that the body it got is not to be believed, and fails with the reason. */
export async function closeWithError(wire: Wire, error: unknown): Promise<never> {
  const failure = toFerryError(error);
  if (wire.writable) await wire.writeFrame({ end: true, ...errorReply(failure) });
  throw failure;
}

/** Options of {@linkcode receive}. */
export interface ReceiveOptions {
  /** The digest of what the sink holds already, in front of the body. */
  behind?: PrefixDigest | undefined;
  /** Makes it possible to go on with what has come when the connection is cut. */
  resumable?: Resumable | undefined;
  /** Told of each piece that came. */
  onBytes?: OnBytes | undefined;
  /**
   * Whether a thread may digest a large body that is resumable. It ends sooner then, where a processor has
   * nothing else to do, and takes more of their time in all.
   */
  byThread?: boolean | undefined;
}

/** How a transfer can be gone on with. */
export interface Resumable {
  /** Told how far the sink has come, now and then and where the connection is cut. */
  checkpoint(prefix: SavedPrefix): Promise<void>;
  /** Whether the other side will have to be shown quickly that it has the same bytes. */
  proof: boolean;
}

/**
 * Receives a body into a sink and verifies its length, and the checksum of the whole file.
 *
 * @param runtime what memory and digests come from
 * @throws {FerryError} `checksum_mismatch`; the connection's and the sink's errors. The body may not
 * have ended then: drain it, or close the connection.
 */
export async function receive(
  runtime: Runtime,
  body: IncomingContent,
  sink: ByteSink,
  options: ReceiveOptions = {},
): Promise<Verified> {
  const { size } = body;
  const small = size !== null && size <= CHUNK_BYTES && runtime.buffers.has(Number(size)) &&
    !options.behind;
  const received = small
    ? await receiveSmall(runtime, body, sink, Number(size), options.onBytes)
    : await receiveLarge(runtime, body, sink, options);
  const { checksum } = body;
  if (checksum === null || !sameChecksum(checksum, received.checksum)) {
    const came = `the ${body.algorithm} of the ${received.size} bytes that came is`;
    throw new FerryError(
      "checksum_mismatch",
      `${came} ${hexOf(received.checksum)}, the sender says ${checksum && hexOf(checksum)}`,
    );
  }
  return received;
}

async function receiveSmall(
  runtime: Runtime,
  body: IncomingContent,
  sink: ByteSink,
  size: number,
  onBytes?: OnBytes,
): Promise<Verified> {
  using lent = runtime.buffers.lend(size);
  const { bytes } = lent;
  await fillFrom(body, bytes, onBytes);
  if (size > 0) await sink.write(bytes);
  const checksum = await runtime.digests.checksumOf(body.algorithm, bytes);
  // The closing header, where there is one, is behind the last byte.
  await body.read(bytes);
  return { checksum, size };
}

async function receiveLarge(
  runtime: Runtime,
  body: IncomingContent,
  sink: ByteSink,
  { behind, resumable, onBytes, byThread }: ReceiveOptions,
): Promise<Verified> {
  const { algorithm } = body;
  const keeping = behind ??
    (resumable &&
      await PrefixDigest.create({ algorithm, proof: resumable.proof }, runtime.digests));
  const digest = keeping ?? await runtime.digests.create(algorithm);
  const remember = async (saved?: SavedPrefix) => {
    if (saved && saved.size > 0) await resumable?.checkpoint(saved);
  };
  const expected = byThread ? Number(body.size) : 0;
  using pieces = new ChunkPipeline(runtime, { most: CHUNK_BYTES, digest, expected });
  let writing: Promise<void> | undefined;
  let size = behind?.size ?? 0;
  let remembered = size;
  try {
    for (;;) {
      const buffer = await pieces.next();
      const count = await fillFrom(body, buffer, onBytes);
      await writing;
      if (count === 0) break;
      const piece = buffer.subarray(0, count);
      size += count;
      const due = size - remembered >= CHECKPOINT_BYTES;
      if (due) remembered = size;
      // The write runs on another thread while the digest is computed.
      writing = sink.write(piece);
      void pieces.pass(piece, { use: writing, remember: due ? remember : undefined });
    }
    await pieces.end();
  } catch (error) {
    // Whoever disposes of the sink must not do so under a write; and all that was written is worth keeping.
    await pieces.end().then(() => remember(keeping?.save())).catch(() => {});
    throw error;
  }
  return { checksum: digest.checksum(), size };
}

async function fillFrom(
  body: IncomingContent,
  into: Uint8Array,
  onBytes?: OnBytes,
): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const count = await body.read(filled === 0 ? into : into.subarray(filled));
    if (count === 0) break;
    filled += count;
    onBytes?.(count);
  }
  return filled;
}

/**
 * The bytes of a body, piece by piece; fails at the end where they are not what the sender meant.
 *
 * @throws {FerryError} `checksum_mismatch`, and the connection's errors
 */
export async function* verifiedPieces(
  body: IncomingBody,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const digest = await body.runtime.digests.create(body.algorithm);
  using lent = body.runtime.buffers.lend(PIECE_BYTES);
  for (;;) {
    const count = await body.read(lent.bytes);
    if (count === 0) break;
    const piece = lent.bytes.slice(0, count);
    digest.update(piece);
    yield piece;
  }
  if (!sameChecksum(digest.checksum(), body.checksum ?? "")) {
    throw new FerryError("checksum_mismatch", "it did not arrive as it was sent");
  }
}
