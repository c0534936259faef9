/**
 * Sending bodies, of either end: sized ones from a source, and streamed ones chunk by chunk. Bytes are counted and
 * digested on their way.
 *
 * @module
 */

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

/** How long small chunks of a streamed body may wait for more before they leave, in milliseconds. */
const FLUSH_MS = 1000;

/** Options of {@linkcode sendSized}. */
export interface SendOptions {
  /** How many bytes the source is to give. */
  size: number;
  /** What they are checked with. Default: `md5`. */
  algorithm?: Algorithm | undefined;
  /** The checksum of the whole file, where it is known; without it a closing header gives it. */
  checksum: Checksum | null;
  /** The digest of the bytes in front of the source's, which the receiver has already. */
  digest?: Digest | undefined;
  /** Called for each chunk that was handed to the connection. */
  onBytes?: OnBytes | undefined;
  /** Called before each chunk; an error that it returns ends the transfer. */
  stop?: (() => FerryError | undefined) | undefined;
}

/** Options of {@linkcode sendStreamed}. */
export interface StreamOptions extends Pick<SendOptions, "algorithm" | "onBytes"> {
  /** Gives further keys of the closing header, when all chunks have been sent. */
  closing?: (() => HeaderKeys) | undefined;
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
 * Sends a message with a sized body. After a failure in the middle of the body nothing more can be sent, since the peer
 * would take it for the rest of the body.
 *
 * @param header the keys other than `total_size` and those of the checksum
 * @throws {FerryError} the source's and the connection's errors; `io` where the source is shorter than announced or
 * changed meanwhile
 */
export async function sendSized(
  wire: Wire,
  header: HeaderKeys,
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
  // An error before the header has been written can still be sent in its place.
  if (checksum === null) digest ??= await wire.runtime.digests.create(algorithm);
  const digesting = checksum === null ? digest : undefined;
  using pipeline = new ChunkPipeline(wire.runtime, {
    most: Math.min(size, CHUNK_BYTES),
    digest: digesting,
  });
  await wire.writeFrame({ ...header, ...checksumKeys(algorithm, checksum), total_size: size });
  const readNext = (left: number) =>
    pipeline.next().then((memory) => fillChunk(source, memory, left));
  let reading = readNext(size);
  let writing: Promise<void> | undefined;
  try {
    // While one chunk is being digested, the one before it is on its way into the socket and the one after it
    // is being read by another thread.
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
    // The source and the buffers must not be disposed of under a read or a write.
    await Promise.allSettled([reading, pipeline.end()]);
    throw failure;
  }
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

function shrunk(left: number, size: number): FerryError {
  return new FerryError("io", `it shrank while it was sent: ${left} of ${size} bytes are left`);
}

function sendChunk(wire: Wire, chunk: Uint8Array, onBytes?: OnBytes): Promise<void> {
  const writing = wire.write(chunk);
  return onBytes ? writing.then(() => onBytes(chunk.length)) : writing;
}

/** A streamed body that is being sent: each chunk is a message of its own, and a closing header ends it. */
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
   * @throws {FerryError} the connection's errors
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
   * Writes a chunk; one without bytes is left out.
   *
   * @param keys further keys of the chunk's header
   * @throws {FerryError} the connection's errors
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
   * @param keys further keys of it
   * @throws {FerryError} the connection's errors
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
 * @throws {FerryError} the errors of `chunks`, of which the peer is told too, and the connection's
 */
export async function sendStreamed(
  wire: Wire,
  header: HeaderKeys,
  chunks: AsyncIterable<Uint8Array>,
  { algorithm, onBytes, closing }: StreamOptions = {},
): Promise<Verified> {
  const body = await StreamedBody.open(wire, header, algorithm);
  // A failure shows at the next chunk.
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
 * Ends a body with a closing header that reports an error, so that the peer does not take what it got for whole.
 *
 * @throws {FerryError} the error
 */
export async function closeWithError(wire: Wire, error: unknown): Promise<never> {
  const failure = toFerryError(error);
  if (wire.writable) await wire.writeFrame({ end: true, ...errorReply(failure) });
  throw failure;
}
