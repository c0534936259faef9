/**
 * Receives and verifies bodies, on a client or a server.
 *
 * @module
 */

import type { ByteSink, IncomingContent } from "../core/bytes.ts";
import { type Checksum, hexOf, sameChecksum } from "../core/checksum.ts";
import { FerryError } from "../core/errors.ts";
import { createDigest } from "../digest/chunk_digest.ts";
import { ChunkPipeline } from "../digest/chunk_pipeline.ts";
import type { Digest } from "../digest/digest.ts";
import { PrefixDigest, type SavedPrefix } from "../digest/prefix_digest.ts";
import { CHUNK_BYTES } from "../digest/source_digest.ts";
import { CHECKPOINT_BYTES } from "../files/partial_file.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { IncomingBody } from "../wire/body.ts";

/** Called with the number of bytes that were just transferred. */
export type OnBytes = (count: number) => void;

/** The size and the checksum of bytes that were transferred. */
export interface Verified {
  /** The checksum of the bytes. */
  checksum: Checksum;
  /** The number of bytes. */
  size: number;
}

/** How many bytes are read at once from a body that is processed while it is received. */
const READ_BYTES = 32 * 1024;

/** Options of {@linkcode receive}. */
export interface ReceiveOptions {
  /** The digest of the bytes before the body, which the sink already contains. Default: undefined, there are none. */
  behind?: PrefixDigest | undefined;
  /** Saves what is needed to resume the transfer after an interruption. Default: undefined, it cannot be resumed. */
  resumable?: Resumable | undefined;
  /** Called for each chunk received. */
  onBytes?: OnBytes | undefined;
  /**
   * Whether another thread may compute the digest of a large body. With an idle processor the transfer is
   * then faster, but it takes more processor time in total. Default: false.
   */
  byThread?: boolean | undefined;
}

/** What a resumable transfer needs. */
export interface Resumable {
  /**
   * Called with the state of the bytes in the sink: at each multiple of {@linkcode CHECKPOINT_BYTES}, counted from the
   * start of the file, and when the connection is interrupted.
   */
  checkpoint(prefix: SavedPrefix): Promise<void>;
  /** Whether to compute an additional digest of the prefix that can quickly be compared with the peer's. */
  proof: boolean;
  /**
   * Whether an interrupted transfer keeps every byte. Default: false, at most 63 bytes are sent again, so that the
   * prefix ends between two blocks of MD5.
   */
  exact?: boolean | undefined;
}

/**
 * Receives a body into a sink, and verifies its length and, if the sender gives one, the checksum of the whole file.
 *
 * @param runtime provides buffers and digests
 * @throws {FerryError} `checksum_mismatch`; the errors of the connection and of the sink. In that case the body may not
 * have ended: drain it, or close the connection.
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
  const { checksum, unattested = false } = body;
  if (unattested) return received;
  if (checksum === null || !sameChecksum(checksum, received.checksum)) {
    const came = `the ${body.algorithm} of the ${received.size} bytes that came is`;
    throw new FerryError(
      "checksum_mismatch",
      `${came} ${hexOf(received.checksum)}, the sender says ${checksum && hexOf(checksum)}`,
    );
  }
  return received;
}

/**
 * Receives a part of a file into a sink. Neither its length nor the checksum of the file is verified.
 *
 * @param digest the digest of the bytes before the part, which the sink already contains; it is fed with the part
 * @returns the number of bytes that came
 * @throws {FerryError} the errors of the body and of the sink
 */
export async function receivePart(
  runtime: Runtime,
  body: Pick<IncomingContent, "size" | "read">,
  sink: ByteSink,
  { digest, ...options }: Pick<ReceiveOptions, "resumable" | "onBytes"> & { digest: PrefixDigest },
): Promise<number> {
  const before = digest.size;
  await pour(runtime, body, sink, { ...options, digest, byThread: true });
  return digest.size - before;
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
  // This reads the closing header, if there is one.
  await body.read(bytes);
  return { checksum, size };
}

async function receiveLarge(
  runtime: Runtime,
  body: IncomingContent,
  sink: ByteSink,
  { behind, ...options }: ReceiveOptions,
): Promise<Verified> {
  const { algorithm } = body;
  const { resumable, byThread = false } = options;
  const { digests } = runtime;
  const digest = behind ??
    (resumable
      ? await PrefixDigest.create({ algorithm, proof: resumable.proof }, digests)
      : await createDigest(algorithm, byThread ? Number(body.size) : 0, digests));
  const size = await pour(runtime, body, sink, { ...options, digest });
  return { checksum: digest.checksum(), size };
}

/** Pours a body into a sink and a digest. Returns the number of bytes of which the digest is then. */
async function pour(
  runtime: Runtime,
  body: Pick<IncomingContent, "size" | "read">,
  sink: ByteSink,
  { digest, resumable, onBytes, byThread }: Omit<ReceiveOptions, "behind"> & { digest: Digest },
): Promise<number> {
  const keeping = digest instanceof PrefixDigest ? digest : undefined;
  const remember = async (saved?: SavedPrefix) => {
    if (saved && saved.size > 0) await resumable?.checkpoint(saved);
  };
  const expected = byThread ? Number(body.size) : 0;
  using pipeline = new ChunkPipeline(runtime, {
    most: CHUNK_BYTES,
    digest,
    expected,
    announced: true,
  });
  let writing: Promise<void> | undefined;
  let size = keeping?.size ?? 0;
  try {
    for (;;) {
      const memory = await pipeline.next();
      // A chunk ends where a checkpoint is due.
      const buffer = memory.subarray(0, CHECKPOINT_BYTES - size % CHECKPOINT_BYTES);
      let count = 0;
      const failure = await failureOf(fillFrom(body, buffer, (read) => {
        count += read;
        onBytes?.(read);
      }));
      await writing;
      if (failure && !(resumable?.exact && count > 0)) throw failure.error;
      if (count === 0) break;
      const chunk = buffer.subarray(0, count);
      size += count;
      const due = size % CHECKPOINT_BYTES === 0;
      // The write runs on another thread while the digest is computed.
      writing = sink.write(chunk);
      void pipeline.pass(chunk, { use: writing, remember: due ? remember : undefined });
      if (failure) throw failure.error;
    }
    await pipeline.end();
  } catch (error) {
    // Waits for the last write, since the caller must not dispose of the sink during it. Then saves the state:
    // everything written is worth keeping.
    const saved = () => resumable?.exact ? keeping?.saveExactly() : keeping?.save();
    await pipeline.end().then(() => remember(saved())).catch(() => {});
    throw error;
  }
  return size;
}

async function failureOf(work: Promise<unknown>): Promise<{ error: unknown } | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return { error };
  }
}

async function fillFrom(
  body: Pick<IncomingContent, "read">,
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

/** Reads a body and verifies it at its end: for bytes that are used before all of them have been verified. */
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
   * Creates a reader of a body that was not read from yet.
   *
   * @param what how the message of a `checksum_mismatch` names the body
   */
  static async open(body: IncomingBody, what: string = "it"): Promise<VerifyingReader> {
    return new VerifyingReader(body, await body.runtime.digests.create(body.algorithm), what);
  }

  /**
   * Reads at least one byte; returns 0 when the body has ended and was verified.
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
 * The bytes of a body in chunks. Each is overwritten when the next one is requested. Fails at the end if the checksum
 * does not match.
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
