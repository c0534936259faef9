/**
 * Receiving bodies, of either end, and verifying that they are what the sender meant.
 *
 * @module
 */

import type { ByteSink, IncomingContent } from "../core/bytes.ts";
import { type Checksum, hexOf, sameChecksum } from "../core/checksum.ts";
import { FerryError } from "../core/errors.ts";
import { ChunkPipeline } from "../digest/chunk_pipeline.ts";
import type { Digest } from "../digest/digest.ts";
import { PrefixDigest, type SavedPrefix } from "../digest/prefix_digest.ts";
import { CHUNK_BYTES } from "../digest/source_digest.ts";
import { CHECKPOINT_BYTES } from "../files/partial_file.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { IncomingBody } from "../wire/body.ts";

/** Called with the number of bytes that have just been moved. */
export type OnBytes = (count: number) => void;

/** Bytes and their checksum. */
export interface Verified {
  /** The checksum of the bytes. */
  checksum: Checksum;
  /** How many bytes. */
  size: number;
}

/** How many bytes of a body are read at once that is looked into as it comes. */
const READ_BYTES = 32 * 1024;

/** Options of {@linkcode receive}. */
export interface ReceiveOptions {
  /** The digest of the bytes in front of the body, which the sink holds already. */
  behind?: PrefixDigest | undefined;
  /** Keeps what is needed to resume the transfer after a cut. */
  resumable?: Resumable | undefined;
  /** Called for each chunk that came. */
  onBytes?: OnBytes | undefined;
  /**
   * Whether a thread may digest a large body that is resumable. With an idle processor the transfer ends sooner then,
   * but takes more processor time in all. Default: false.
   */
  byThread?: boolean | undefined;
}

/** What makes a transfer resumable. */
export interface Resumable {
  /** Called with what the sink holds, now and then, and when the connection is cut. */
  checkpoint(prefix: SavedPrefix): Promise<void>;
  /** Whether the digest of the prefix is to be one that is quickly compared with the peer's. */
  proof: boolean;
}

/**
 * Receives a body into a sink and verifies its length, and the checksum of the whole file.
 *
 * @param runtime where memory and digests come from
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
  // This reads the closing header, where there is one.
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
  using pipeline = new ChunkPipeline(runtime, { most: CHUNK_BYTES, digest, expected });
  let writing: Promise<void> | undefined;
  let size = behind?.size ?? 0;
  let remembered = size;
  try {
    for (;;) {
      const buffer = await pipeline.next();
      const count = await fillFrom(body, buffer, onBytes);
      await writing;
      if (count === 0) break;
      const chunk = buffer.subarray(0, count);
      size += count;
      const due = size - remembered >= CHECKPOINT_BYTES;
      if (due) remembered = size;
      // The write runs on another thread while the digest is computed.
      writing = sink.write(chunk);
      void pipeline.pass(chunk, { use: writing, remember: due ? remember : undefined });
    }
    await pipeline.end();
  } catch (error) {
    // The caller must not dispose of the sink under a write; and all that was written is worth keeping.
    await pipeline.end().then(() => remember(keeping?.save())).catch(() => {});
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
 * Reads a body as it comes, and verifies it at its end: for bytes that are used before all of them have been verified.
 */
export class VerifyingReader {
  readonly #body: IncomingBody;
  readonly #digest: Digest;
  readonly #what: string;

  private constructor(body: IncomingBody, digest: Digest, what: string) {
    this.#body = body;
    this.#digest = digest;
    this.#what = what;
  }

  /**
   * A reader of a body of which nothing has been read.
   *
   * @param what the body, as the message of a `checksum_mismatch` names it
   */
  static async open(body: IncomingBody, what: string = "it"): Promise<VerifyingReader> {
    return new VerifyingReader(body, await body.runtime.digests.create(body.algorithm), what);
  }

  /**
   * Reads some bytes, at least one; 0 says that the body has ended and is what the sender meant.
   *
   * @throws {FerryError} `checksum_mismatch`, and what the body fails with
   */
  async read(into: Uint8Array): Promise<number> {
    const count = await this.#body.read(into);
    if (count > 0) this.#digest.update(into.subarray(0, count));
    else if (!sameChecksum(this.#digest.checksum(), this.#body.checksum ?? "")) {
      throw new FerryError("checksum_mismatch", `${this.#what} did not arrive as it was sent`);
    }
    return count;
  }
}

/**
 * The bytes of a body chunk by chunk, each of which is overwritten when the next one is asked for; fails at the end
 * where they are not what the sender meant.
 *
 * @throws {FerryError} `checksum_mismatch`, and what the body fails with
 */
export async function* verifiedChunks(
  body: IncomingBody,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const reader = await VerifyingReader.open(body);
  using lent = body.runtime.buffers.lend(READ_BYTES);
  for (let count; (count = await reader.read(lent.bytes)) > 0;) {
    yield lent.bytes.subarray(0, count);
  }
}
