/**
 * Sends bodies, from a client or a server: sized ones from a source, and streamed ones chunk by chunk. Bytes are
 * counted and digested while they are sent.
 *
 * @module
 */

import { createDigest } from "../digest/chunk_digest.ts";
import { CHUNK_BYTES, fillChunk } from "../digest/source_digest.ts";
import type { Digest } from "../digest/digest.ts";
import type { Digests } from "../digest/digests.ts";
import { ChunkPipeline } from "../digest/chunk_pipeline.ts";
import type { ByteSource } from "../core/bytes.ts";
import { type Algorithm, type Checksum, emptyChecksum } from "../core/checksum.ts";
import { FerryError, toFerryError } from "../core/errors.ts";
import { checksumKeys } from "../wire/checksum_keys.ts";
import type { HeaderKeys } from "../wire/codec.ts";
import { errorReply } from "../wire/error_reply.ts";
import type { Wire } from "../wire/frames.ts";
import type { OnBytes, Verified } from "./receive.ts";

/** How long small chunks of a streamed body may wait for more before they are sent, in milliseconds. */
const FLUSH_MS = 1000;

/** Options of {@linkcode sendSized}. */
export interface SendOptions {
  /** The number of bytes to read from the source. */
  size: number;
  /** The checksum algorithm. Default: `md5`. */
  algorithm?: Algorithm | undefined;
  /** The checksum of the whole file; null if it is not known and is to be sent in a closing header. */
  checksum: Checksum | null;
  /**
   * The digest of the bytes before those of the source, which the receiver already has. Default: undefined, there are
   * none.
   */
  digest?: Digest | undefined;
  /** Called for each chunk that was written to the connection. */
  onBytes?: OnBytes | undefined;
  /** Called before each chunk. If it returns an error, the transfer ends with that. */
  stop?: (() => FerryError | undefined) | undefined;
}

/** Options of {@linkcode sendStreamed}. */
export interface StreamOptions extends Pick<SendOptions, "algorithm" | "onBytes"> {
  /** Called when all chunks have been sent, for additional keys of the closing header. */
  closing?: (() => HeaderKeys) | undefined;
}

/**
 * Reads a small source completely, into a buffer of its size.
 *
 * @throws {FerryError} the errors of the source; `io` if it changes meanwhile
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
 * Sends a message with a sized body. After a failure in the middle of the body nothing more can be sent, since the peer
 * would read it as the rest of the body.
 *
 * @param header the keys other than `total_size` and those of the checksum
 * @throws {FerryError} the errors of the source and of the connection; `io` if the source is shorter than announced or
 * changed meanwhile
 */
export async function sendSized(
  wire: Wire,
  header: HeaderKeys,
  source: ByteSource,
  { size, algorithm = "md5", checksum, digest, onBytes, stop }: SendOptions,
): Promise<Verified> {
  if (size === 0) {
    // An empty body has no closing header. If the receiver already has the whole file, its checksum goes into the
    // opening header.
    const known = checksum ?? digest?.checksum() ?? null;
    await source.assertUnchanged?.(
      checksum === null ? known ?? emptyChecksum(algorithm) : undefined,
    );
    await wire.writeFrame({ ...header, ...checksumKeys(algorithm, known), total_size: 0 });
    return { checksum: known ?? emptyChecksum(algorithm), size };
  }
  // Done before the header is written: until then an error can still be sent in its place.
  if (checksum === null) digest ??= await createDigest(algorithm, size, wire.runtime.digests);
  await sendBody(wire, { ...header, ...checksumKeys(algorithm, checksum) }, source, {
    size,
    digest: checksum === null ? digest : undefined,
    onBytes,
    stop,
  });
  if (checksum !== null) return { checksum, size };
  const sent = { checksum: digest!.checksum(), size };
  try {
    await source.assertUnchanged?.(sent.checksum);
  } catch (error) {
    await closeWithError(wire, error);
  }
  await writeClosing(wire, header, { algorithm, sent });
  return sent;
}

/**
 * Sends a message with a sized body from which the receiver makes a file. The closing header has the checksum of that
 * file, so that it may be computed while the body is sent. After a failure in the middle of the body nothing more can be
 * sent.
 *
 * @param header the keys other than `total_size` and those of the checksum
 * @param options.size the number of bytes to read from the source, at least 1
 * @param options.whole the checksum of the file
 * @throws {FerryError} the errors of the source, of `whole` and of the connection
 */
export async function sendDescription(
  wire: Wire,
  header: HeaderKeys,
  source: ByteSource,
  { size, whole, algorithm = "md5", onBytes, stop }:
    & Omit<SendOptions, "checksum" | "digest">
    & { whole: Promise<Checksum> },
): Promise<Checksum> {
  // It is awaited below; until then a failure must not count as unhandled.
  whole.catch(() => {});
  const opening = { ...header, ...checksumKeys(algorithm, null) };
  await sendBody(wire, opening, source, { size, onBytes, stop });
  try {
    // The receiver can use these bytes before it has the checksum.
    await wire.flush();
    const checksum = await whole;
    await source.assertUnchanged?.(checksum);
    await writeClosing(wire, header, { algorithm, sent: { checksum, size } });
    return checksum;
  } catch (error) {
    return await closeWithError(wire, error);
  }
}

/** Options of {@linkcode sendDescriptionInPieces}. */
export interface PiecesOptions extends Pick<SendOptions, "algorithm"> {
  /** Returns the checksum of the file, once all pieces have been made. */
  whole: () => Promise<Checksum>;
  /** Fails if the file has changed since it was read. */
  assertUnchanged: (whole: Checksum) => Promise<void>;
}

/**
 * Like {@linkcode sendDescription}, with pieces that are sent as soon as they have been made.
 *
 * @throws {FerryError} the errors of `pieces`, `whole` and `assertUnchanged`, which are also reported to the peer, and
 * those of the connection
 */
export async function sendDescriptionInPieces(
  wire: Wire,
  header: HeaderKeys,
  pieces: AsyncIterable<Uint8Array>,
  { whole, assertUnchanged, algorithm = "md5" }: PiecesOptions,
): Promise<Checksum> {
  await wire.writeFrame({ ...header, ...checksumKeys(algorithm, null), total_size: null });
  let size = 0;
  let checksum: Checksum;
  try {
    for await (const piece of pieces) {
      if (piece.length === 0) continue;
      size += piece.length;
      await wire.writeFrame({ total_size: piece.length }, piece);
      await wire.flush();
    }
    checksum = await whole();
    await assertUnchanged(checksum);
  } catch (error) {
    return await closeWithError(wire, error);
  }
  await writeClosing(wire, header, { algorithm, sent: { checksum, size } });
  return checksum;
}

/** Writes a header and so many bytes of a source behind it. */
async function sendBody(
  wire: Wire,
  header: HeaderKeys,
  source: ByteSource,
  { size, digest, onBytes, stop }: Pick<SendOptions, "size" | "digest" | "onBytes" | "stop">,
): Promise<void> {
  const most = Math.min(size, CHUNK_BYTES);
  using pipeline = new ChunkPipeline(wire.runtime, { most, digest, expected: size });
  await wire.writeFrame({ ...header, total_size: size });
  const readNext = (left: number) =>
    pipeline.next().then((memory) => fillChunk(source, memory, left));
  let reading = readNext(size);
  let writing: Promise<void> | undefined;
  try {
    // While one chunk is being digested, the previous one is written to the socket, and the next one is read on another
    // thread.
    let sent = 0;
    while (sent < size) {
      const chunk = await reading;
      if (chunk.length === 0) throw shrunk(sent, size);
      const error = stop?.();
      if (error) throw error;
      await writing;
      sent += chunk.length;
      writing = sendChunk(wire, chunk, onBytes);
      if (sent < size) reading = readNext(size - sent);
      // A failure is seen at the next await; until then it must not count as unhandled.
      reading.catch(() => {});
      void pipeline.pass(chunk, { use: writing });
    }
    await pipeline.end();
  } catch (error) {
    const failure = toFerryError(error);
    wire.endWrites(failure);
    // The source and the buffers must not be disposed of during a read or a write.
    await Promise.allSettled([reading, pipeline.end()]);
    throw failure;
  }
}

function shrunk(left: number, size: number): FerryError {
  return new FerryError("io", `it shrank while it was sent: ${left} of ${size} bytes are left`);
}

function sendChunk(wire: Wire, chunk: Uint8Array, onBytes?: OnBytes): Promise<void> {
  const writing = wire.write(chunk);
  return onBytes ? writing.then(() => onBytes(chunk.length)) : writing;
}

/** A streamed body that is being sent: each chunk is a message of its own, and a closing header ends the body. */
export class StreamedBody {
  readonly #wire: Wire;
  readonly #header: HeaderKeys;
  readonly #algorithm: Algorithm;
  readonly #digest: Digest;
  #size = 0;

  private constructor(wire: Wire, header: HeaderKeys, algorithm: Algorithm, digest: Digest) {
    this.#wire = wire;
    this.#header = header;
    this.#algorithm = algorithm;
    this.#digest = digest;
  }

  /**
   * Writes the opening header.
   *
   * @param header the keys other than `total_size` and those of the checksum
   * @throws {FerryError} the errors of the connection
   */
  static async open(
    wire: Wire,
    header: HeaderKeys,
    algorithm: Algorithm = "md5",
  ): Promise<StreamedBody> {
    const digest = await wire.runtime.digests.create(algorithm);
    await wire.writeFrame({ ...header, ...checksumKeys(algorithm, null), total_size: null });
    return new StreamedBody(wire, header, algorithm, digest);
  }

  /**
   * Writes a chunk. An empty one is skipped.
   *
   * @param keys additional keys of the chunk's header
   * @throws {FerryError} the errors of the connection
   */
  async write(chunk: Uint8Array, keys?: HeaderKeys): Promise<void> {
    const { length } = chunk;
    if (length === 0) return;
    this.#digest.update(chunk);
    this.#size += length;
    await this.#wire.writeFrame({ ...keys, total_size: length }, chunk);
  }

  /**
   * Writes the closing header.
   *
   * @param keys additional keys of the header
   * @throws {FerryError} the errors of the connection
   */
  async close(keys?: HeaderKeys): Promise<Verified> {
    const sent = { checksum: this.#digest.checksum(), size: this.#size };
    await writeClosing(this.#wire, this.#header, { algorithm: this.#algorithm, sent, keys });
    return sent;
  }
}

/**
 * Sends a message with a streamed body.
 *
 * @param header the keys other than `total_size` and those of the checksum
 * @throws {FerryError} the errors of `chunks`, which are also reported to the peer, and those of the connection
 */
export async function sendStreamed(
  wire: Wire,
  header: HeaderKeys,
  chunks: AsyncIterable<Uint8Array>,
  { algorithm, onBytes, closing }: StreamOptions = {},
): Promise<Verified> {
  const body = await StreamedBody.open(wire, header, algorithm);
  // A failure is reported by the write of the next chunk.
  const flushing = setInterval(() => wire.flush().catch(() => {}), FLUSH_MS);
  try {
    for await (const chunk of chunks) {
      await body.write(chunk);
      if (chunk.length > 0) onBytes?.(chunk.length);
    }
  } catch (error) {
    await closeWithError(wire, error);
  } finally {
    clearInterval(flushing);
  }
  return await body.close(closing?.());
}

async function writeClosing(
  wire: Wire,
  { filename }: HeaderKeys,
  { algorithm, sent: { checksum, size }, keys }: {
    algorithm: Algorithm;
    sent: Verified;
    keys?: HeaderKeys | undefined;
  },
): Promise<void> {
  const sums = checksumKeys(algorithm, checksum);
  await wire.writeFrame({ end: true, filename, ...sums, size, ...keys });
}

/**
 * Ends a body with a closing header that reports an error, so that the peer does not take the bytes received for the
 * whole body.
 *
 * @throws {FerryError} the error
 */
export async function closeWithError(wire: Wire, error: unknown): Promise<never> {
  const failure = toFerryError(error);
  if (wire.writable) await wire.writeFrame({ end: true, ...errorReply(failure) });
  throw failure;
}
