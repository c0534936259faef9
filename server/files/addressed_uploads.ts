/**
 * Uploads that a client goes on with by an id, in as many requests as it likes, over any connection and to any server
 * over the same files.
 *
 * Their bytes are kept as partial uploads, the same kind that ferry's own protocol resumes, and become a file in the
 * same way: when all of them are there and verified. A record beside them keeps what the client has announced, and, for
 * as long as a partial upload would be kept, what has become of it.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import { algorithmOf, hexOf, sameChecksum } from "../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { parseFileName } from "../../lib/core/remote_name.ts";
import { PrefixDigest, type SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import { RESUMABLE_BYTES } from "../../lib/files/partial_file.ts";
import { receivePart } from "../../lib/transfer/receive.ts";
import type { Permit } from "../auth/permit.ts";
import type { Storage } from "../storage/storage.ts";
import {
  type AddressedUpload,
  type NewSum,
  type NewUpload,
  type NextBytes,
  UploadInUse,
  WrongOffset,
} from "./addressed_upload.ts";
import { LockedWrite } from "./locked_write.ts";
import type { StoredContent, UploadRecord } from "./upload_records.ts";
import {
  discardBytes,
  type KnownUpload,
  lockOf,
  UploadRegister,
  type UploadRegisterOptions,
} from "./upload_register.ts";
import { policyFor } from "./overwriting.ts";
import { UploadService, type UploadServiceOptions } from "./upload_service.ts";
import { type Part, putTogether } from "./putting_together.ts";
import { keepTouched, type UploadLock } from "./upload_locks.ts";

/** What the uploads of one client have in common. */
export type AddressedUploadsOptions =
  & UploadServiceOptions
  & Omit<UploadRegisterOptions, "confined">;

/** Bytes that end at once. */
const NOTHING = { size: 0, read: () => Promise.resolve(0) };

/** An upload that one request works on. */
interface Held extends KnownUpload {
  readonly lock: UploadLock;
}

/** An open write of an upload, and the digest of everything that it contains. */
interface OpenWrite {
  readonly write: LockedWrite;
  readonly digest: PrefixDigest;
}

/**
 * The uploads of one request, as its permit allows: otherwise every method fails with `auth_required` or `denied`. An
 * upload of another owner is `not_found`.
 */
export class AddressedUploads {
  readonly #permit: Permit;
  readonly #options: AddressedUploadsOptions;
  readonly #register: UploadRegister;
  /** The uploads of one request. */
  readonly #service: UploadService;
  /** The storage within the bounds of the permit. */
  readonly #storage: Storage;

  /** The uploads for a request that has this permit, to put the file that it is about. */
  constructor(permit: Permit, options: AddressedUploadsOptions) {
    this.#permit = permit;
    this.#options = options;
    this.#storage = permit.confine(options.storage);
    this.#service = new UploadService(permit, options);
    this.#register = new UploadRegister(permit, { ...options, confined: this.#storage });
  }

  /**
   * Begins an upload, and appends its first bytes if they follow. If the file is there already and stays, they are not
   * read, and the upload is complete at once; so is that of an empty file.
   *
   * @param onBegun called with the id before the first bytes are read
   * @throws {FerryError} `exists`, `not_a_file`, `too_large`, `quota`, `no_space`; as {@linkcode AddressedUploads.append}
   */
  async create(
    upload: NewUpload,
    first?: Omit<NextBytes, "offset">,
    onBegun: (id: string) => void = () => {},
  ): Promise<AddressedUpload> {
    const { filename, size, mtime, algorithm, checksum, note, isPart = false } = upload;
    const overwrite = policyFor(this.#permit, upload);
    const id = crypto.randomUUID();
    if (isPart) await this.#service.admit({ ...upload, checksum: checksum ?? null });
    const stored = isPart ? undefined : await this.#alreadyThere(upload);
    const record: UploadRecord = {
      version: 1,
      kind: isPart ? "part" : "whole",
      filename: parseFileName(filename),
      owner: this.#permit.owner,
      size,
      overwrite,
      mtime,
      algorithm,
      checksum,
      note,
      touched: 0,
      stored,
    };
    this.#permit.assert();
    const bytes = stored ? undefined : first ?? (size === 0 ? NOTHING : undefined);
    // Nobody can go on with an upload whose creation was not answered: one of which all bytes follow is recorded later.
    if (bytes?.size !== size || size === null) await this.#register.write({ id, record }, {});
    if (!bytes) return await this.#register.described({ id, record });
    onBegun(id);
    const { locks, onTakenOver } = this.#options;
    using lock = (await locks.take(lockOf(id), onTakenOver))!;
    return await this.#append({ id, record, lock }, { ...bytes, offset: 0 });
  }

  /** The file that makes the upload unnecessary. Fails if it would be refused anyway. */
  async #alreadyThere(
    upload: NewUpload,
    options?: { admitted: boolean },
  ): Promise<StoredContent | undefined> {
    const { checksum = null, ...announced } = upload;
    const offer = { ...announced, checksum, restart: true };
    const answer = await this.#service.offer(offer, options);
    if (answer.decision !== "have") return undefined;
    return { checksum: answer.checksum, size: answer.size };
  }

  /**
   * How far an upload has come. If another request writes to it, that is what is known to be stored; a request that has
   * written nothing for two seconds is ended before.
   *
   * @throws {FerryError} `not_found`; if all bytes are there but could not become a file yet, why they still cannot
   */
  async look(id: string): Promise<AddressedUpload> {
    const lock = await this.#options.locks.take(lockOf(id));
    if (!lock) return await this.#register.described(await this.#register.own(id));
    using _lock = lock;
    const held = { ...await this.#register.own(id), lock };
    await this.#register.settle(held);
    const upload = await this.#register.described(held);
    const isUnpublished = !upload.stored && upload.offset === upload.size;
    return isUnpublished ? await this.#append(held, { ...NOTHING, offset: upload.offset }) : upload;
  }

  /**
   * Appends bytes to an upload. With the last ones the file is published, if everything is as announced.
   *
   * @throws {WrongOffset}
   * @throws {UploadInUse}
   * @throws {FerryError} `not_found`; `too_large` for more bytes than announced; `checksum_mismatch` if the file is not
   * what was announced, and the upload is discarded then; the errors of reading the bytes and of publishing the file,
   * after which the upload goes on where it is
   */
  async append(id: string, bytes: NextBytes): Promise<AddressedUpload> {
    const { locks, onTakenOver } = this.#options;
    using lock = await locks.take(lockOf(id), onTakenOver);
    if (!lock) throw new UploadInUse();
    return await this.#append({ ...await this.#register.own(id), lock }, bytes);
  }

  async #append(held: Held, bytes: NextBytes): Promise<AddressedUpload> {
    await this.#register.settle(held);
    const { stored, kind, size } = held.record;
    if (stored || kind === "sum") {
      const end = size ?? stored?.size ?? 0;
      if (bytes.offset !== end || bytes.size !== 0) throw new WrongOffset(end);
      return await this.#register.described(held);
    }
    const { algorithm } = held.record;
    if (bytes.checksum !== undefined && algorithmOf(bytes.checksum) !== algorithm) {
      throw new FerryError("usage", `the checksum of this upload is one by ${algorithm}`);
    }
    const opened = await this.#open(held, bytes);
    await using write = opened.write;
    try {
      await this.#declare(held, bytes);
      await this.#receive(held, opened, bytes);
      if (opened.digest.size !== held.record.size) {
        await this.#checkpoint(held, write, opened.digest.saveExactly());
        write.keep();
        return await this.#register.described(held);
      }
    } catch (error) {
      write.keep();
      throw error;
    }
    await this.#finish(held, opened, bytes);
    return await this.#register.described(held);
  }

  /** Takes the size of the file down, if it is told now. */
  async #declare(held: Held, { whole, offset }: NextBytes): Promise<void> {
    const { record } = held;
    if (whole !== undefined && whole !== record.size) {
      if (record.size !== null) {
        throw new FerryError("usage", `the size of the file was said to be ${record.size} bytes`);
      }
      if (whole < offset) throw new FerryError("usage", "there are more bytes of the file already");
      const { storage, name } = await this.#register.place(held);
      await storage.assertFits(name, whole - offset);
      await this.#register.write(held, { size: whole });
    }
  }

  /** Opens the write of an upload at the offset at which bytes begin. */
  async #open(held: Held, { offset, whole }: NextBytes): Promise<OpenWrite> {
    const { locks, onTakenOver, runtime: { digests } } = this.#options;
    const { record: { owner, partial, size, overwrite, mtime, algorithm, checksum } } = held;
    const { storage, name } = await this.#register.place(held);
    if (partial !== undefined) {
      const arbitration = { algorithm, locks, onTakenOver };
      const write = await LockedWrite.resumeOne(storage, { id: partial, owner }, arbitration);
      if (write?.prefix) {
        if (write.prefix.size === offset) return { write, digest: write.prefix };
        await using kept = write;
        kept.keep();
        throw new WrongOffset(write.prefix.size);
      }
      if (await this.#register.partial(held)) throw new UploadInUse();
      // What there was has turned out to be of no use: the upload begins anew.
      held.record = { ...held.record, partial: undefined };
    }
    if (offset !== 0) throw new WrongOffset(0);
    const digest = await PrefixDigest.create({ algorithm, proof: true }, digests);
    const beginning = { replace: overwrite !== "never", announced: { mtime, checksum } };
    const target = { name, size: size ?? whole ?? null, owner };
    const arbitration = { ...beginning, locks, onTakenOver };
    return { write: await LockedWrite.create(storage, target, arbitration), digest };
  }

  async #receive(held: Held, { write, digest }: OpenWrite, bytes: NextBytes): Promise<void> {
    const end = held.record.size;
    let at = bytes.offset;
    if (end !== null && at + (bytes.size ?? 0) > end) throw tooLong(end);
    const read = async (into: Uint8Array) => {
      const count = await bytes.read(into);
      at += count;
      if (end !== null && at > end) throw tooLong(end);
      return count;
    };
    const checkpoint = (saved: SavedPrefix) => this.#checkpoint(held, write, saved);
    await receivePart(this.#options.runtime, { size: bytes.size, read }, write, {
      digest,
      onBytes: () => {
        this.#permit.assert();
        held.lock.touch();
      },
      resumable: bytes.allOrNone ? undefined : { checkpoint, proof: true, exact: true },
    });
  }

  /** Records what is stored. */
  async #checkpoint(held: Held, write: LockedWrite, saved: SavedPrefix): Promise<void> {
    if (saved.size === 0) return;
    await write.checkpoint(saved);
    if (held.record.partial !== write.id) await this.#register.write(held, { partial: write.id });
  }

  /** Publishes the file. If that fails, what was received is kept, unless it is wrong. */
  async #finish(held: Held, { write, digest }: OpenWrite, bytes: NextBytes): Promise<void> {
    const { id, record } = held;
    using _busy = keepTouched(held.lock, this.#options.runtime.clock);
    const saved = digest.saveExactly();
    const checksum = digest.checksum();
    for (const expected of [record.checksum, bytes.checksum]) {
      if (expected === undefined || sameChecksum(expected, checksum)) continue;
      await this.#register.remove(id);
      const came = `the ${record.algorithm} of the ${saved.size} bytes that came is`;
      const text = `${came} ${hexOf(checksum)}, the sender says ${hexOf(expected)}`;
      throw new FerryError("checksum_mismatch", text);
    }
    try {
      await this.#publish(held, write, { checksum, size: saved.size });
    } catch (error) {
      await this.#checkpoint(held, write, saved).catch(() => {});
      write.keep();
      throw error;
    }
  }

  async #publish(held: Held, write: LockedWrite, content: StoredContent): Promise<void> {
    const { kind, filename, overwrite, mtime } = held.record;
    const { checksum, size } = content;
    if (kind === "whole" && (overwrite === "newer" || overwrite === "different")) {
      // Since it was announced, another file may have got the name.
      const there = await this.#alreadyThere({ ...held.record, checksum }, { admitted: true });
      if (there) return await this.#register.write(held, { stored: there, partial: undefined });
    }
    if (size > RESUMABLE_BYTES) await this.#register.write(held, { publishing: content });
    const replace = overwrite !== "never" || kind === "part";
    const assertMay = () => this.#permit.assert();
    const { unchanged } = await write.commit({ checksum, replace, mtime, assertMay });
    await this.#register.write(held, {
      stored: content,
      partial: undefined,
      publishing: undefined,
    });
    if (kind === "part") return;
    const stored = { filename, ...content, unchanged, resumedFrom: 0, reused: 0 };
    await this.#options.onStored?.(stored);
  }

  /**
   * Removes an upload. A file that it has become stays.
   *
   * @throws {UploadInUse}
   * @throws {FerryError} `not_found`
   */
  async discard(id: string): Promise<void> {
    const { locks } = this.#options;
    using lock = await locks.take(lockOf(id));
    if (!lock) throw new UploadInUse();
    const held = await this.#register.own(id);
    try {
      await discardBytes(this.#options.storage, held, () => this.#permit.assert());
    } catch (error) {
      throw toFerryError(error).code === "busy" ? new UploadInUse() : error;
    }
    await this.#register.remove(id);
  }

  /**
   * Puts parts together. They are no longer needed then. The same parts are put together under the same name once only:
   * a client that did not get the answer may ask again.
   *
   * @throws {UploadInUse}
   * @throws {FerryError} `not_found` if one of the parts is not there, `usage` if one is not complete; the errors of
   * publishing the file, after which the parts are still there
   */
  async concatenate(sum: NewSum): Promise<AddressedUpload> {
    const { parts, filename, mtime, algorithm, checksum, note } = sum;
    const overwrite = policyFor(this.#permit, sum);
    const { locks, onTakenOver, runtime: { clock } } = this.#options;
    const { owner } = this.#permit;
    const id = await idOfSum(sum, owner);
    using lock = await locks.take(lockOf(id), onTakenOver);
    if (!lock) throw new UploadInUse();
    using _busy = keepTouched(lock, clock);
    const earlier = await this.#register.find(id);
    if (earlier) return await this.#register.described(earlier);
    const found: Part[] = [];
    for (const part of parts) found.push(await this.#part(part));
    const size = found.reduce((all, { size }) => all + size, 0);
    const stored = await this.#alreadyThere({ ...sum, size }) ?? await putTogether(found, {
      ...this.#options,
      storage: this.#storage,
      target: { name: parseFileName(filename), size, replace: overwrite !== "never" },
      attributes: { mtime, algorithm, checksum },
      assertMay: () => this.#permit.assert(),
    });
    const record = {
      ...{ version: 1, kind: "sum", filename, owner, size, overwrite, mtime } as const,
      ...{ algorithm, checksum },
      ...{ note, touched: 0, stored, parts: [...parts] },
    };
    const held = { id, record };
    await this.#register.write(held, {});
    for (const { storage, name } of found) {
      await storage.remove(name, { recursive: false }).catch(() => {});
    }
    return await this.#register.described(held);
  }

  /** A complete part. */
  async #part(id: string): Promise<Part> {
    const part = await this.#register.own(id);
    const { kind, stored } = part.record;
    if (kind !== "part" || !stored) {
      throw new FerryError("usage", `the upload ${id} is not a part that is complete`);
    }
    return { ...await this.#register.place(part), size: stored.size };
  }
}

/** The id of a sum: the same for the same parts and the same name. */
async function idOfSum({ parts, filename }: NewSum, owner: string): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify([owner, filename, parts]));
  return encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))).slice(0, 32);
}

function tooLong(size: number): FerryError {
  return new FerryError("too_large", `the file was said to have ${size} bytes, and more come`);
}
