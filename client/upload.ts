/**
 * How a file goes up: whole where it is small; asked for first where it is large, and from where the last
 * try was cut.
 *
 * @module
 */

import {
  type Algorithm,
  type Checksum,
  checksumOfBytes,
  createDigest,
  type Digest,
  resumeMd5,
  sameChecksum,
} from "../lib/checksum.ts";
import { checksumKeys, type Replies, unkeptKey } from "../lib/header.ts";
import { LocalFile } from "../lib/local_file.ts";
import type { ByteSource } from "../lib/storage.ts";
import { checksumOfSource, digestPrefix } from "../lib/transfer.ts";
import { MAX_DRAIN_BYTES } from "../lib/wire.ts";
import { assertHas } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { nothingMoved } from "./dry_run.ts";
import type { PutOptions, Transferred } from "./options.ts";
import { here } from "./place.ts";

/** A file up to this size is read once, into memory, so that its checksum stands in front of it. */
const WHOLE_BYTES = 8 * 1024 * 1024;

/** Options of {@linkcode upload}. */
export interface UploadOptions extends PutOptions {
  /** The name on the server. */
  filename: string;
  /** Whether the modification time is kept in any case. */
  keepTime?: boolean | undefined;
}

/**
 * Uploads a file, bytes in memory, or a stream.
 *
 * @param source a path, the bytes, or what gives them piece by piece
 */
export async function upload(
  connection: Connection,
  source: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: UploadOptions,
): Promise<Transferred> {
  try {
    return await uploadFrom(connection, source, options);
  } catch (error) {
    throw typeof source === "string" ? here(error, source) : error;
  }
}

async function uploadFrom(
  connection: Connection,
  source: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: UploadOptions,
): Promise<Transferred> {
  connection.assertOffers(options.algorithm ?? "md5");
  if (options.dryRun) return await foresee(connection, source, options);
  if (typeof source === "object" && Symbol.asyncIterator in source) {
    return await putStream(connection, source, putKeys(options), options);
  }
  if (typeof source !== "string") {
    return await putBytes(connection, source, putKeys(options), options);
  }
  await using file = LocalFile.open(source);
  const keys = { ...putKeys(options), ...kept(file, options) };
  const unsized = await file.unsized();
  if (unsized) return await putStream(connection, unsized, keys, options);
  return file.size <= WHOLE_BYTES
    ? await putBytes(connection, await file.readWhole(), keys, options)
    : await putFile(connection, file, keys, options);
}

type Keys = Readonly<Record<string, unknown>>;

function putKeys({ filename, overwrite }: UploadOptions): Keys {
  return { op: "put", filename, overwrite };
}

/** What of a file's times and bits is sent along. */
function kept({ mtime, mode }: LocalFile, options: UploadOptions): Keys {
  const { preserve, overwrite, keepTime } = options;
  if (preserve) return { mtime, mode };
  // Which one is newer can be told the next time only if the time is kept this time.
  return keepTime || overwrite === "newer" ? { mtime } : {};
}

async function putStream(
  connection: Connection,
  pieces: AsyncIterable<Uint8Array>,
  keys: Keys,
  options: UploadOptions,
): Promise<Transferred> {
  const { filename, algorithm = "md5", onProgress } = options;
  let bytes = 0;
  const onBytes = (count: number) => onProgress?.({ filename, bytes: bytes += count, total: null });
  const reply = await connection.uploadStream(keys, pieces, { algorithm, onBytes });
  return done(options, reply, { transferred: bytes, resumedFrom: 0 });
}

async function putBytes(
  connection: Connection,
  bytes: Uint8Array,
  keys: Keys,
  options: UploadOptions,
): Promise<Transferred> {
  const { algorithm = "md5" } = options;
  const checksum = await checksumOfBytes(algorithm, bytes);
  const size = bytes.length;
  // What is small is sent without asking: refusing it costs no more than the question.
  if (size > MAX_DRAIN_BYTES) {
    const asked = { ...keys, ...checksumKeys(algorithm, checksum), size };
    const offered = await offer(connection, asked);
    if (offered.decision === "have") {
      const known = offered.checksum ?? checksum;
      return nothingMoved(options.filename, { size, checksum: known, skipped: true });
    }
  }
  const onBytes = counter(options, 0, size);
  const reply = await connection.upload({
    header: { ...keys, size },
    source: sourceOf(bytes),
    size,
    algorithm,
    checksum,
    onBytes,
  });
  return done(options, reply, { transferred: size, resumedFrom: 0 });
}

async function putFile(
  connection: Connection,
  file: LocalFile,
  keys: Keys,
  options: UploadOptions,
): Promise<Transferred> {
  const { size } = file;
  const { algorithm = "md5", hashFirst, resume } = options;
  const hash = () => checksumOfWhole(file, algorithm);
  const negotiation = new Negotiation(connection, { ...keys, size }, { algorithm, hash });
  if (hashFirst) await negotiation.hash();
  let offered = await negotiation.ask({ restart: resume === false });
  let digest: Digest | undefined;
  if (offered.offset > 0) {
    digest = await digestBehind(file, offered, algorithm);
    // What the server has is a part of another file: this one changed since, or never was that one.
    if (!digest) offered = await negotiation.ask({ restart: true });
  }
  if (offered.decision === "have") {
    const { checksum } = offered;
    return nothingMoved(options.filename, { size, checksum, skipped: true });
  }
  const offset = digest ? offered.offset : 0;
  file.seek(offset);
  const reply = await connection.upload({
    header: { ...keys, ...(offset > 0 ? { offset } : {}), size },
    source: file,
    size: size - offset,
    algorithm,
    checksum: negotiation.checksum,
    digest,
    onBytes: counter(options, offset, size),
  });
  return done(options, reply, { transferred: size - offset, resumedFrom: offset });
}

async function checksumOfWhole(file: LocalFile, algorithm: Algorithm): Promise<Checksum> {
  file.seek(0);
  return await checksumOfSource(file, algorithm);
}

async function offer(connection: Connection, keys: Keys): Promise<Replies["offer"]> {
  const asked = { ...keys, total_size: 0, offer: true };
  const offered = await connection.ask("offer", asked);
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
  async ask({ restart }: { restart: boolean }): Promise<Replies["offer"]> {
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

/** What an upload would come to. The server decides that, and changes nothing. */
async function foresee(
  connection: Connection,
  source: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: UploadOptions,
): Promise<Transferred> {
  const { filename, algorithm = "md5" } = options;
  const ask = async (size: number, keys: Keys, hash: () => Promise<Checksum>) => {
    const negotiation = new Negotiation(connection, { ...keys, size }, { algorithm, hash });
    // A part that is there stays with whoever is sending it.
    const { decision, checksum } = await negotiation.ask({ restart: true });
    return decision === "have"
      ? nothingMoved(filename, { size, checksum, skipped: true })
      : nothingMoved(filename, { size });
  };
  // Only its last byte tells how long a stream is.
  const read = async (pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, keys: Keys) => {
    const digest = await createDigest(algorithm);
    let size = 0;
    for await (const piece of pieces) {
      digest.update(piece);
      size += piece.length;
    }
    const checksum = digest.checksum();
    return await ask(size, keys, () => Promise.resolve(checksum));
  };
  if (typeof source !== "string") {
    return await read(Symbol.asyncIterator in source ? source : [source], putKeys(options));
  }
  await using file = LocalFile.open(source);
  const keys = { ...putKeys(options), ...kept(file, options) };
  const unsized = await file.unsized();
  if (unsized) return await read(unsized, keys);
  return await ask(file.size, keys, () => checksumOfWhole(file, algorithm));
}

/** The digest behind what the server has, if this file begins with the same bytes. */
async function digestBehind(
  file: LocalFile,
  { offset, prefix_md5, prefix_xxh128, prefix_state }: Replies["offer"],
  algorithm: Algorithm,
): Promise<Digest | undefined> {
  if (offset > file.size) return undefined;
  file.seek(0);
  // With md5's state there is no need to compute it again: the quick proof is enough to see that it is right.
  const told = algorithm === "md5" && prefix_xxh128 !== null && offset % 64 === 0 && prefix_state;
  const digest = await digestPrefix(file, offset, {
    algorithm: told ? "xxh128" : algorithm,
    proof: prefix_xxh128 !== null,
  });
  const { size, md5, xxh128 } = await digest.facts();
  const [here, there] = prefix_xxh128 !== null ? [xxh128, prefix_xxh128] : [md5, prefix_md5];
  if (size !== offset || !here || !there || !sameChecksum(here, there)) return undefined;
  return told ? resumeMd5(told, offset) : digest;
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
  reply: Replies["put"],
  crossed: { transferred: number; resumedFrom: number },
): Transferred {
  const { checksum, size, unchanged, unkept } = reply;
  return { filename, checksum, size, skipped: unchanged, ...crossed, ...unkeptKey(unkept) };
}

function sourceOf(bytes: Uint8Array): ByteSource {
  let given = 0;
  return {
    read(into) {
      const piece = bytes.subarray(given, given + into.length);
      into.set(piece);
      given += piece.length;
      return Promise.resolve(piece.length || null);
    },
  };
}
