/**
 * How a file goes up: whole where it is small; asked for first where it is large, and from where the last
 * try was cut.
 *
 * @module
 */

import { OPERATIONS } from "../../lib/wire/operations/operations.ts";
import type { OfferReply, PutReply } from "../../lib/wire/operations/put.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import { SHARED_RUNTIME } from "../../lib/runtime/runtime.ts";
import { type Algorithm, type Checksum, sameChecksum } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { checksumKeys } from "../../lib/wire/checksum_keys.ts";
import { unkeptKey } from "../../lib/core/entry.ts";
import { LocalFile } from "../../lib/files/source_file.ts";
import { checksumOfSource, digestPrefix } from "../../lib/digest/source_digest.ts";
import { MAX_DRAIN_BYTES } from "../../lib/wire/wire.ts";
import { assertHas } from "../net/reply_check.ts";
import type { Connection } from "../net/connection.ts";
import { nothingMoved } from "./dry_run.ts";
import type { PutOptions, Transferred } from "./options.ts";
import { localFailure } from "./local_failure.ts";
import type { WaitFor } from "../net/connection_pool.ts";
import { type Given, MemorySource, Pieces, type SizedSource } from "./source.ts";

/** A file up to this size is read once, into memory, so that its checksum stands in front of it. */
const WHOLE_BYTES = 8 * 1024 * 1024;

/** Options of {@linkcode upload}. */
export interface UploadOptions extends PutOptions {
  /** The name on the server. */
  filename: string;
  /** Whether the modification time is kept in any case. */
  keepTime?: boolean | undefined;
  /** Waits for each piece of a source that gives them one by one. */
  waitFor?: WaitFor | undefined;
}

/** Uploads what was given for it. */
export async function upload(
  connection: Connection,
  given: Given,
  options: UploadOptions,
): Promise<Transferred> {
  connection.assertOffers(options.algorithm ?? "md5");
  if (given.kind === "pieces") {
    return await uploadPieces(connection, given.pieces, putKeys(options), options);
  }
  if (given.kind === "sized") return await uploadFrom(connection, given.source, options);
  try {
    await using file = LocalFile.open(given.path, SHARED_RUNTIME);
    const unsized = await file.unsized();
    if (!unsized) return await uploadFrom(connection, file, options);
    const pieces = new Pieces(unsized[Symbol.asyncIterator](), options.size);
    const keys = { ...putKeys(options), ...kept(file, options) };
    return await uploadPieces(connection, pieces, keys, options);
  } catch (error) {
    throw localFailure(error, given.path);
  }
}

async function uploadFrom(
  connection: Connection,
  source: SizedSource,
  options: UploadOptions,
): Promise<Transferred> {
  const { size } = source;
  if (size !== (options.size ?? size)) {
    throw new FerryError(
      "io",
      `the source has ${size} bytes, and its size was to be ${options.size}`,
    );
  }
  const keys = { ...putKeys(options), ...kept(source, options) };
  if (options.dryRun) {
    const hash = () => checksumOfWhole(source, options.algorithm ?? "md5");
    return await foresee(connection, size, keys, { ...options, hash });
  }
  return size <= WHOLE_BYTES
    ? await putBytes(connection, await source.readWhole(), keys, options)
    : await putSized(connection, source, keys, options);
}

type Keys = Readonly<Record<string, unknown>>;

function putKeys({ filename, overwrite }: UploadOptions): Keys {
  return { op: "put", filename, overwrite };
}

/** What of a source's time and bits is sent along. */
function kept({ mtime, mode }: SizedSource, options: UploadOptions): Keys {
  const { preserve, overwrite, keepTime } = options;
  if (preserve) return { mtime, mode };
  // Which one is newer can be told the next time only if the time is kept this time.
  return keepTime || overwrite === "newer" ? { mtime } : {};
}

async function uploadPieces(
  connection: Connection,
  pieces: Pieces,
  keys: Keys,
  options: UploadOptions,
): Promise<Transferred> {
  if (options.dryRun) return await foreseePieces(connection, pieces, keys, options);
  const { filename, algorithm = "md5", onProgress, waitFor } = options;
  const { size: total = null } = pieces;
  if (total !== null && total > MAX_DRAIN_BYTES) {
    // What will be refused for its size is refused before it is sent.
    const asked = { ...keys, ...checksumKeys(algorithm, null), size: total, restart: true };
    const offered = await offer(connection, asked);
    if (offered.decision === "have") return stays(filename, offered, { size: total });
  }
  let bytes = 0;
  const onBytes = (count: number) => onProgress?.({ filename, bytes: bytes += count, total });
  const taken = pieces.taken(waitFor);
  const reply = await connection.uploadStream(keys, taken, { algorithm, onBytes });
  return done(options, reply, { transferred: bytes, resumedFrom: 0 });
}

async function putBytes(
  connection: Connection,
  bytes: Uint8Array,
  keys: Keys,
  options: UploadOptions,
): Promise<Transferred> {
  const { algorithm = "md5" } = options;
  const checksum = await SHARED_RUNTIME.digests.checksumOf(algorithm, bytes);
  const size = bytes.length;
  // What is small is sent without asking: refusing it costs no more than the question.
  if (size > MAX_DRAIN_BYTES) {
    const asked = { ...keys, ...checksumKeys(algorithm, checksum), size };
    const offered = await offer(connection, asked);
    if (offered.decision === "have") return stays(options.filename, offered, { size, checksum });
  }
  const onBytes = counter(options, 0, size);
  const reply = await connection.upload({
    header: { ...keys, size },
    source: new MemorySource(bytes),
    size,
    algorithm,
    checksum,
    onBytes,
  });
  return done(options, reply, { transferred: size, resumedFrom: 0 });
}

async function putSized(
  connection: Connection,
  source: SizedSource,
  keys: Keys,
  options: UploadOptions,
): Promise<Transferred> {
  const { size } = source;
  const { algorithm = "md5", hashFirst, resume } = options;
  const hash = () => checksumOfWhole(source, algorithm);
  const negotiation = new Negotiation(connection, { ...keys, size }, { algorithm, hash });
  if (hashFirst) await negotiation.hash();
  let offered = await negotiation.ask({ restart: resume === false });
  let digest: Digest | undefined;
  if (offered.offset > 0) {
    digest = await digestBehind(source, offered, algorithm);
    // What the server has is a part of another file: this one changed since, or never was that one.
    if (!digest) offered = await negotiation.ask({ restart: true });
  }
  if (offered.decision === "have") return stays(options.filename, offered, { size });
  const offset = digest ? offered.offset : 0;
  source.seek(offset);
  const reply = await connection.upload({
    header: { ...keys, ...(offset > 0 ? { offset } : {}), size },
    source,
    size: size - offset,
    algorithm,
    checksum: negotiation.checksum,
    digest,
    onBytes: counter(options, offset, size),
  });
  return done(options, reply, { transferred: size - offset, resumedFrom: offset });
}

async function checksumOfWhole(source: SizedSource, algorithm: Algorithm): Promise<Checksum> {
  source.seek(0);
  return await checksumOfSource(SHARED_RUNTIME, source, { algorithm });
}

async function offer(connection: Connection, keys: Keys): Promise<OfferReply> {
  const asked = { ...keys, total_size: 0, offer: true };
  const offered = await connection.ask(OPERATIONS.put.offer, asked);
  assertHas(asked, offered);
  return offered;
}

/** Asks a server whether a file should be sent, with its checksum only where it depends on that. */
class Negotiation {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #algorithm: Algorithm;
  readonly #hash: () => Promise<Checksum>;
  /** The checksum of the file, where it was needed. */
  checksum: Checksum | null = null;

  constructor(
    connection: Connection,
    keys: Keys,
    { algorithm, hash }: { algorithm: Algorithm; hash: () => Promise<Checksum> },
  ) {
    this.#connection = connection;
    this.#keys = keys;
    this.#algorithm = algorithm;
    this.#hash = hash;
  }

  /** Computes the checksum. */
  async hash(): Promise<void> {
    this.checksum = await this.#hash();
  }

  /** The server's decision, which is never `hash`; with `restart` it holds no part of the file for this. */
  async ask({ restart }: { restart: boolean }): Promise<OfferReply> {
    const ask = () => {
      const checksum = checksumKeys(this.#algorithm, this.checksum);
      return offer(this.#connection, { ...this.#keys, ...checksum, restart });
    };
    const offered = await ask();
    if (offered.decision !== "hash") return offered;
    await this.hash();
    return await ask();
  }
}

/** What an upload comes to where the file that is there stays, which may be another: what is known of that one. */
function stays(
  filename: string,
  { size, checksum }: OfferReply,
  mine: { size: number; checksum?: Checksum },
): Transferred {
  const there = { size: size ?? mine.size, checksum: checksum ?? mine.checksum ?? null };
  return nothingMoved(filename, { ...there, skipped: true });
}

/** What an upload would come to. The server decides that, and changes nothing. */
async function foresee(
  connection: Connection,
  size: number,
  keys: Keys,
  { filename, algorithm = "md5", hash }: UploadOptions & { hash: () => Promise<Checksum> },
): Promise<Transferred> {
  const negotiation = new Negotiation(connection, { ...keys, size }, { algorithm, hash });
  // A part that is there stays with whoever is sending it.
  const offered = await negotiation.ask({ restart: true });
  return offered.decision === "have"
    ? stays(filename, offered, { size })
    : nothingMoved(filename, { size });
}

/** The same for a stream: only its last byte tells how long it is. */
async function foreseePieces(
  connection: Connection,
  pieces: Pieces,
  keys: Keys,
  options: UploadOptions,
): Promise<Transferred> {
  const digest = await SHARED_RUNTIME.digests.create(options.algorithm ?? "md5");
  let size = 0;
  for await (const piece of pieces.taken(options.waitFor)) {
    digest.update(piece);
    size += piece.length;
  }
  const checksum = digest.checksum();
  const hash = () => Promise.resolve(checksum);
  return await foresee(connection, size, keys, { ...options, hash });
}

/** The digest behind what the server has, if this file begins with the same bytes. */
async function digestBehind(
  file: SizedSource,
  { offset, prefix_md5, prefix_xxh128, prefix_state }: OfferReply,
  algorithm: Algorithm,
): Promise<Digest | undefined> {
  if (offset > file.size) return undefined;
  file.seek(0);
  // With md5's state there is no need to compute it again: the quick proof is enough to see that it is right.
  const told = algorithm === "md5" && prefix_xxh128 !== null && offset % 64 === 0 && prefix_state;
  const digest = await digestPrefix(SHARED_RUNTIME, file, {
    size: offset,
    algorithm: told ? "xxh128" : algorithm,
    proof: prefix_xxh128 !== null,
  });
  const { size, md5, xxh128 } = await digest.facts();
  const [here, there] = prefix_xxh128 !== null ? [xxh128, prefix_xxh128] : [md5, prefix_md5];
  if (size !== offset || !here || !there || !sameChecksum(here, there)) return undefined;
  return told ? SHARED_RUNTIME.digests.resumeMd5(told, offset) : digest;
}

/** Counts what has crossed, in front of which `offset` bytes were there already. */
function counter(
  { filename, onProgress }: UploadOptions,
  offset: number,
  total: number,
): (count: number) => void {
  let bytes = offset;
  const resumed = offset > 0 ? { resumedFrom: offset } : {};
  return (count) => onProgress?.({ filename, bytes: bytes += count, total, ...resumed });
}

function done(
  { filename }: UploadOptions,
  reply: PutReply,
  crossed: { transferred: number; resumedFrom: number },
): Transferred {
  const { checksum, size, unchanged, unkept } = reply;
  return { filename, checksum, size, skipped: unchanged, ...crossed, ...unkeptKey(unkept) };
}
