/**
 * Makes and examines files and partial uploads in a storage through its interface.
 *
 * @module
 */

import { assert } from "@std/assert";
import { PrefixDigest, type SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import { compareNames } from "../../lib/core/name_order.ts";
import { parseDirectoryName, parseFileName } from "../../lib/core/remote_name.ts";
import type { PartEntry } from "../../lib/core/entry.ts";
import type {
  FindOptions,
  PendingWrite,
  ResumableWrite,
  ResumeOptions,
  Storage,
  StoredFile,
  StoreOptions,
} from "../../server/storage/storage.ts";
import type { Committed } from "../../lib/files/commit.ts";
import { md5 } from "./bytes.ts";

const name = parseFileName;

/** Bytes; a text as UTF-8. */
export function bytesOf(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

/** Pseudo-random bytes without repeating parts. */
export function noise(size: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let state = seed * 2654435761 + 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** Begins a write and writes its content, but does not commit it. */
export async function begin(
  storage: Storage,
  filename: string,
  content: Uint8Array | string,
): Promise<PendingWrite> {
  const bytes = bytesOf(content);
  const pending = await storage.create(name(filename), { size: bytes.length });
  await pending.write(bytes);
  return pending;
}

/** Stores a file. */
export async function put(
  storage: Storage,
  filename: string,
  content: Uint8Array | string,
  options: Partial<StoreOptions> = {},
): Promise<Committed> {
  await using pending = await begin(storage, filename, content);
  return await pending.commit({ checksum: md5(content), replace: false, ...options });
}

/** The rest of a file. */
export async function readAll(file: StoredFile, pieceSize = 100_000): Promise<Uint8Array> {
  const pieces: BlobPart[] = [];
  const into = new Uint8Array(pieceSize);
  for (;;) {
    const count = await file.read(into);
    if (count === null) return await new Blob(pieces).bytes();
    assert(count <= into.length, "more was read than there is room for");
    pieces.push(into.slice(0, count));
  }
}

/** The content of a file as text. */
export async function textOf(storage: Storage, filename: string): Promise<string> {
  await using file = await storage.open(name(filename), "md5");
  return new TextDecoder().decode(await readAll(file));
}

/** The names that a listing returns, in its order. */
export async function listed(
  storage: Storage,
  directory = "",
  { recursive = true } = {},
): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of storage.list(parseDirectoryName(directory), { recursive })) {
    names.push(entry.filename);
  }
  return names;
}

/** What a checkpoint records about bytes. */
export async function prefixOf(bytes: Uint8Array): Promise<SavedPrefix> {
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: true });
  digest.update(bytes);
  return digest.save()!;
}

/** Leaves a partial upload with the first `count` bytes of a file; `count` must be a multiple of 64. */
export async function keepPartial(
  storage: Storage,
  filename: string,
  bytes: Uint8Array,
  count: number,
  owner?: string,
): Promise<void> {
  const options = { size: bytes.length, owner };
  const pending = await storage.partialUploads!.create(name(filename), options);
  await pending.write(bytes.subarray(0, count));
  await pending.checkpoint(await prefixOf(bytes.subarray(0, count)));
  pending.keep();
  await pending[Symbol.asyncDispose]();
}

/** Opens the most recent partial upload of a file; undefined where none is available. */
export async function resume(
  storage: Storage,
  filename: string,
  { size, algorithm, owner }: FindOptions & ResumeOptions,
): Promise<ResumableWrite | undefined> {
  const { partialUploads } = storage;
  for (const { id } of await partialUploads!.find(name(filename), { size, owner })) {
    const resumed = await partialUploads!.resume(id, { algorithm, owner });
    if (resumed) return resumed;
  }
  return undefined;
}

/** The partial uploads of an owner, as the storage lists them. */
export async function partials(storage: Storage, owner?: string): Promise<PartEntry[]> {
  return (await storage.partialUploads!.list(owner)).map(({ entry }) => entry);
}

/** Compares two names as `Storage.list` demands: component by component, a directory before its contents. */
export function compareByParts(a: string, b: string): number {
  const [x, y] = [a.split("/"), b.split("/")];
  for (let at = 0; at < Math.min(x.length, y.length); at++) {
    const difference = compareNames(x[at]!, y[at]!);
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}
