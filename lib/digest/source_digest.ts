/**
 * Computes checksums of a source, to its end or of its first bytes.
 *
 * @module
 */

import type { ByteSource } from "../core/bytes.ts";
import type { Algorithm, Checksum } from "../core/checksum.ts";
import { turn } from "../core/time_slices.ts";
import { ChunkPipeline, type PipelineResources } from "./chunk_pipeline.ts";
import type { Digest } from "./digest.ts";
import { PrefixDigest, type PrefixDigestOptions } from "./prefix_digest.ts";

/**
 * The chunk size for reading and writing, in bytes: large enough that a system call and a switch of threads cost little
 * in comparison, and small enough that a transfer can have several chunks.
 */
export const CHUNK_BYTES: number = 1024 * 1024;

/** Options of {@linkcode checksumOfSource}. */
export interface SourceDigestOptions {
  /** The algorithm. */
  algorithm: Algorithm;
  /** Called when everything is read, before checking whether the source has changed meanwhile. */
  onRead?: (() => void) | undefined;
}

/**
 * Reads a source to its end for its checksum.
 *
 * @throws {FerryError} the errors of the source; `io` if it changes meanwhile
 */
export async function checksumOfSource(
  resources: PipelineResources,
  source: ByteSource,
  { algorithm, onRead }: SourceDigestOptions,
): Promise<Checksum> {
  const digest = await resources.digests.create(algorithm);
  await feed(resources, digest, source, Infinity);
  const checksum = digest.checksum();
  onRead?.();
  await source.assertUnchanged?.(checksum);
  return checksum;
}

/**
 * Digests the first bytes of a source, or all if there are fewer.
 *
 * @throws {FerryError} the source's errors
 */
export async function digestPrefix(
  resources: PipelineResources,
  source: ByteSource,
  { size, ...options }: PrefixDigestOptions & { size: number },
): Promise<PrefixDigest> {
  const digest = await PrefixDigest.create(options, resources.digests);
  await feed(resources, digest, source, size);
  return digest;
}

/**
 * After this many bytes a reader yields to the event loop: the next chunk may always be available already, and timers
 * would not run for a tenth of a second.
 */
export const YIELD_BYTES: number = 8 * CHUNK_BYTES;

/** Feeds a digest from a source, to its end or to a limit. While a chunk is digested, the next one is read. */
async function feed(
  resources: PipelineResources,
  digest: Digest,
  source: ByteSource,
  limit: number,
): Promise<void> {
  using chunks = new ChunkPipeline(resources, { most: CHUNK_BYTES, digest });
  const fillNext = async () => await fillChunk(source, await chunks.next(), limit - size);
  const readNext = () => {
    const reading = fillNext();
    // A failure is thrown by the next await; until then it must not count as unhandled.
    reading.catch(() => {});
    return reading;
  };
  let size = 0;
  let yielded = 0;
  let reading = readNext();
  for (;;) {
    const chunk = await reading;
    if (chunk.length === 0) break;
    size += chunk.length;
    reading = readNext();
    void chunks.pass(chunk);
    if (size - yielded < YIELD_BYTES) continue;
    yielded = size;
    await turn();
  }
  await chunks.end();
}

/** Reads until the chunk is full or nothing is left: short reads would only cause more system calls. */
export async function fillChunk(
  source: ByteSource,
  buffer: Uint8Array<ArrayBuffer>,
  left: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunk = buffer.length > left ? buffer.subarray(0, left) : buffer;
  let filled = 0;
  while (filled < chunk.length) {
    const count = await source.read(filled === 0 ? chunk : chunk.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return chunk.subarray(0, filled);
}
