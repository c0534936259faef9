/**
 * Files in a directory of this machine. Uploads are staged in `.ferry/staging` inside the root, so that
 * giving them their name is one rename on one file system, and become visible with that rename.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import {
  type Algorithm,
  algorithmOf,
  type Checksum,
  type PrefixDigest,
  type SavedPrefix,
} from "./checksum.ts";
import { DigestIndex, type FileIdentity, identityOf } from "./digest_index.ts";
import { FerryError, toFerryError } from "./errors.ts";
import { tryLock } from "./file_lock.ts";
import { type FileName, joinName, RESERVED_DIRECTORY } from "./file_name.ts";
import type { Entry, PartEntry } from "./header.ts";
import { Jail } from "./jail.ts";
import { LocalFile } from "./local_file.ts";
import { type Claim, Parts } from "./parts.ts";
import { RESUMABLE_BYTES } from "./partial.ts";
import { dirname } from "./path.ts";
import { type Publication, Publisher } from "./publisher.ts";
import { Quota, type Reservation } from "./quota.ts";
import {
  type Durability,
  isTaken,
  makeDirectories,
  renameWithoutReplacing,
  sizeAt,
  syncDirectories,
} from "./staging.ts";
import type {
  CommitOptions,
  Committed,
  CreateOptions,
  PendingWrite,
  ResumeOptions,
  Storage,
  StoredFile,
} from "./storage.ts";
import { checksumOfSource } from "./transfer.ts";

/** How many entries of a directory are looked at together, before the first of them is told. */
const LOOK_AT_ONCE = 256;

/** Options of {@linkcode FsStorage.open}. */
export interface FsStorageOptions {
  /** Whether an acknowledged file survives a loss of power; `full` unless told otherwise. */
  durability?: Durability | undefined;
  /** How large a file may be in bytes; any size unless told otherwise. */
  maxFileSize?: number | undefined;
  /**
   * How many bytes all files, and the parts of those that were cut, may have together; any number unless told
   * otherwise. What other programs put into the directory or take out of it is noticed when it is opened.
   */
  quota?: number | undefined;
}

/** A {@linkcode Storage} in a directory. One process at a time may have it open. */
export class FsStorage implements Storage {
  readonly #jail: Jail;
  readonly #durable: boolean;
  readonly #index: DigestIndex;
  readonly #lock: Deno.FsFile | undefined;
  readonly #publisher: Publisher;
  readonly #parts: Parts | undefined;
  readonly #quota: Quota;

  private constructor(jail: Jail, lock: Deno.FsFile | undefined, options: FsStorageOptions) {
    const durable = options.durability !== "none";
    this.#jail = jail;
    this.#durable = durable;
    this.#lock = lock;
    this.#quota = new Quota(options);
    this.#parts = lock && new Parts(`${jail.reserved}/staging`);
    this.#index = new DigestIndex(lock && `${jail.reserved}/index.db`);
    this.#publisher = new Publisher({
      durable,
      roomMaker: () => jail.roomMaker(),
      onPublished: (files) => this.#remember(files),
      ...(this.#quota.isLimited ? { onReplaced: (size) => this.#quota.count(-size) } : {}),
      onTaken: (publication) => this.#keepIfSame(publication),
    });
    if (this.#quota.isLimited) {
      for (const { size } of this.#walk("", jail.root, true)) this.#quota.count(size);
      for (const { received } of this.parts()) this.#quota.count(received);
    }
  }

  /**
   * Opens a directory as a storage and clears away what an earlier process left in its staging area,
   * but for the parts that can be gone on from.
   * A directory that cannot be written to is served for reading.
   *
   * @throws {FerryError} `not_found`, `not_a_file` where it is no directory, `busy` where another
   * process serves it
   */
  static open(root: string, options: FsStorageOptions = {}): FsStorage {
    try {
      const jail = new Jail(Deno.realPathSync(root));
      if (!Deno.statSync(root).isDirectory) {
        throw new FerryError("not_a_file", "it is not a directory");
      }
      return new FsStorage(jail, takeOver(jail.reserved), options);
    } catch (error) {
      throw toFerryError(error).during(`serve ${JSON.stringify(root)}`);
    }
  }

  /** Whether nothing can be written, since the file system does not allow it. */
  get readOnly(): boolean {
    return this.#lock === undefined;
  }

  /** See {@linkcode Storage.stat}. */
  stat(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry> {
    return attempt(() => this.#look(name, this.#jail.find(name), algorithm));
  }

  /** See {@linkcode Storage.find}. */
  async find(name: FileName | "", algorithm?: Algorithm): Promise<Entry | undefined> {
    if (!this.#jail.isThere(name)) return undefined;
    try {
      return await this.stat(name, algorithm);
    } catch (error) {
      if (toFerryError(error).code === "not_found") return undefined;
      throw error;
    }
  }

  /** See {@linkcode Storage.findAll}. */
  findAll(
    names: readonly FileName[],
    algorithm: Algorithm = "md5",
  ): Promise<(Entry | FerryError | undefined)[]> {
    return attempt(() => this.#lookAtAll(names, algorithm));
  }

  #lookAtAll(
    names: readonly FileName[],
    algorithm: Algorithm = "md5",
  ): (Entry | FerryError | undefined)[] {
    const place = this.#jail.placer();
    return names.map((name) => {
      try {
        const info = Deno.lstatSync(place(name));
        // What is no link stands where its directory does: in the root.
        if (!info.isSymlink) return this.#entryOf(name, info, algorithm);
        return this.#look(name, this.#jail.find(name), algorithm);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        const failure = toFerryError(error);
        return failure.code === "not_found" ? undefined : failure;
      }
    });
  }

  /** See {@linkcode Storage.list}. */
  async *list(name: FileName | "", { recursive }: { recursive: boolean }): AsyncGenerator<Entry> {
    const path = this.#jail.find(name);
    const { type } = await this.stat(name);
    if (type !== "directory") throw new FerryError("not_a_file", "it is not a directory");
    yield* this.#walk(name, path, recursive);
  }

  *#walk(name: FileName | "", path: string, recursive: boolean): Generator<Entry> {
    const children = childrenOf(path)
      .filter((child) => name !== "" || child.name.toLowerCase() !== RESERVED_DIRECTORY);
    for (let from = 0; from < children.length; from += LOOK_AT_ONCE) {
      const some = children.slice(from, from + LOOK_AT_ONCE);
      const entries = this.#lookAtAll(some.map((child) => joinName(name, child.name)));
      for (const [turn, child] of some.entries()) {
        const entry = entries[turn];
        // Gone meanwhile, a link to nowhere or out of the root, a pipe: not for listing.
        if (entry === undefined || entry instanceof FerryError) continue;
        yield entry;
        // A link to a directory is shown and not descended into: it may lead back up.
        if (recursive && child.isDirectory) {
          yield* this.#walk(entry.filename as FileName, `${path}/${child.name}`, recursive);
        }
      }
    }
  }

  #lookOrSkip(name: FileName): Entry | undefined {
    try {
      return this.#look(name, this.#jail.find(name));
    } catch {
      // Gone meanwhile, a link to nowhere or out of the root, a pipe: not for listing.
      return undefined;
    }
  }

  /** See {@linkcode Storage.open}. */
  open(name: FileName, algorithm: Algorithm): Promise<StoredFile> {
    return attempt(() => {
      const path = this.#jail.find(name);
      const file = LocalFile.open(path);
      return new FsStoredFile({
        file,
        path,
        entry: this.#entryOf(name, file.info, algorithm),
        identity: identityOf(file.info),
        index: this.#index,
      });
    });
  }

  /** See {@linkcode Storage.assertFits}. */
  assertFits(name: FileName, size: number | null): Promise<void> {
    return attempt(() => {
      this.#writable();
      this.#jail.assertPlaceable(name);
      this.#reserve(size).settle(0);
    });
  }

  /** Takes the room that a new file needs. */
  #reserve(size: number | null): Reservation {
    const reserved = this.#quota.reserve(size);
    try {
      if (size !== null && size > RESUMABLE_BYTES) assertRoom(this.#jail.reserved, size);
    } catch (error) {
      reserved.settle(0);
      throw error;
    }
    return reserved;
  }

  /** See {@linkcode Storage.create}. */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite> {
    return attempt(() => {
      const parts = this.#writable();
      this.#jail.assertPlaceable(name);
      const reserved = this.#reserve(options.size);
      try {
        const claim = parts.create(name, options);
        return new FsPendingWrite({ name, claim, reserved, publisher: this.#publisher });
      } catch (error) {
        reserved.settle(0);
        throw error;
      }
    });
  }

  /** See {@linkcode Storage.resume}. */
  async resume(name: FileName, options: ResumeOptions): Promise<PendingWrite | undefined> {
    const parts = this.#writable();
    this.#jail.assertPlaceable(name);
    const claim = await parts.resume(name, options);
    if (!claim) return undefined;
    const held = claim.behind?.size ?? 0;
    try {
      const { size } = options;
      const reserved = this.#quota.reserve(size, held);
      if (size !== null) assertRoom(this.#jail.reserved, size - held);
      return new FsPendingWrite({ name, claim, reserved, publisher: this.#publisher });
    } catch (error) {
      claim.keep();
      await claim[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** See {@linkcode Storage.parts}. */
  parts(): PartEntry[] {
    return this.#parts?.list() ?? [];
  }

  /** See {@linkcode Storage.expireParts}. */
  expireParts(ttl: number): Promise<void> {
    return attempt(() => this.#quota.count(-(this.#parts?.expire(ttl) ?? 0)));
  }

  /** See {@linkcode Storage.remove}. */
  async remove(name: FileName, { recursive }: { recursive: boolean }): Promise<void> {
    const path = this.#jail.place(name);
    await attempt(() => {
      const stats = Deno.lstatSync(path);
      if (stats.isDirectory && !recursive) {
        throw new FerryError("not_a_file", "it is a directory; a recursive remove takes those");
      }
      let size = stats.isFile ? stats.size : 0;
      if (this.#quota.isLimited && stats.isDirectory) {
        for (const entry of this.#walk(name, path, true)) size += entry.size;
      }
      Deno.removeSync(path, { recursive });
      this.#quota.count(-size);
      this.#index.forget(identityOf(stats));
    });
    await this.#sync(dirname(path));
  }

  /** See {@linkcode Storage.move}. */
  async move(from: FileName, to: FileName, { replace }: { replace: boolean }): Promise<void> {
    this.#writable();
    const source = this.#jail.place(from);
    const before = await attempt(() => Deno.lstatSync(source));
    if (from === to) return;
    if (before.isDirectory && `${to}/`.startsWith(`${from}/`)) {
      throw intoItself();
    }
    const room = this.#jail.makeRoomFor(to);
    const known = this.#index.lookupAll(identityOf(before));
    await attempt(() => {
      if (before.isDirectory) {
        // rename() would replace an empty directory.
        if (isTaken(room.path)) throw new FerryError("exists", "it exists already");
        // By way of a link, which the names do not show.
        if (room.path.startsWith(`${source}/`)) throw intoItself();
        Deno.renameSync(source, room.path);
      } else if (replace) {
        const replaced = sizeAt(room.path) ?? 0;
        Deno.renameSync(source, room.path);
        this.#quota.count(-replaced);
      } else renameWithoutReplacing(source, room.path);
      // Renaming changes the inode's time, and so its identity.
      if (known.length > 0) {
        const identity = identityOf(Deno.lstatSync(room.path));
        this.#index.record(known.map((checksum) => ({ identity, checksum })));
      }
    });
    await this.#sync(dirname(room.path), dirname(source), ...room.changed);
  }

  /** See {@linkcode Storage.mkdir}. */
  async mkdir(name: FileName): Promise<void> {
    this.#writable();
    const changed = await attempt(() => {
      const room = this.#jail.makeRoomFor(name);
      if (!isTaken(room.path)) return [...room.changed, ...makeDirectories(room.path)];
      if (this.#lookOrSkip(name)?.type === "directory") return [];
      throw new FerryError("exists", "a file has that name");
    });
    await this.#sync(...changed);
  }

  /** Closes the index and lets another process have the directory. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#index[Symbol.dispose]();
    this.#lock?.close();
    return Promise.resolve();
  }

  #writable(): Parts {
    if (this.#parts) return this.#parts;
    throw new FerryError("denied", "the server's directory is read-only");
  }

  /** What stands at a path that the jail gave. */
  #look(name: FileName | "", path: string, algorithm: Algorithm = "md5"): Entry {
    return this.#entryOf(name, Deno.lstatSync(path), algorithm);
  }

  #entryOf(filename: FileName | "", info: Deno.FileInfo, algorithm: Algorithm): Entry {
    const { isFile, isDirectory, size, mtime, mode } = info;
    if (!isFile && !isDirectory) {
      throw new FerryError("not_a_file", "it is neither a file nor a directory");
    }
    const index = this.#index;
    return {
      filename,
      type: isFile ? "file" : "directory",
      size: isFile ? size : 0,
      mtime: mtime?.getTime() ?? 0,
      mode: (mode ?? (isFile ? 0o644 : 0o755)) & 0o777,
      // Looking it up costs more than all the rest, and most who ask for an entry do not ask for this.
      get checksum() {
        return isFile ? index.lookup(identityOf(info), algorithm) : null;
      },
    };
  }

  /** An identical file under the name is as good as the new one. */
  async #keepIfSame({ name, checksum, staged }: Publication): Promise<Committed> {
    const there = this.#lookOrSkip(name);
    if (there?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    const same = there?.size === staged.size &&
      await this.checksum(name, algorithmOf(checksum)!) === checksum;
    if (same) {
      return { checksum, size: there.size, unchanged: true };
    }
    throw new FerryError("exists", "another file has that name");
  }

  /** See {@linkcode Storage.checksum}. */
  async checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    await using file = await this.open(name, algorithm);
    if (file.entry.checksum !== null) return file.entry.checksum;
    const { checksum } = await checksumOfSource(file, algorithm);
    await file.assertUnchanged?.();
    await file.remember(checksum);
    return checksum;
  }

  #remember(files: readonly { path: string; checksum: Checksum }[]): void {
    this.#index.record(files.flatMap(({ path, checksum }) => {
      try {
        return [{ identity: identityOf(Deno.lstatSync(path)), checksum }];
      } catch {
        // Gone again already.
        return [];
      }
    }));
  }

  async #sync(...directories: string[]): Promise<void> {
    if (this.#durable) await syncDirectories(directories);
  }
}

/** How often a directory that another process has is asked for again, and after which pauses. */
const LOCK_TRIES = 10;
const LOCK_PAUSE_MS = 100;

/**
 * Makes ferry's own directory and claims it for this process.
 *
 * @returns what holds the claim until it is closed; undefined where nothing can be written
 */
function takeOver(reserved: string): Deno.FsFile | undefined {
  try {
    Deno.mkdirSync(reserved, { mode: 0o700 });
  } catch (error) {
    const { code } = toFerryError(error);
    if (code === "denied" && !(error instanceof Deno.errors.NotCapable)) return undefined;
    if (code !== "exists") throw error;
  }
  if (!Deno.lstatSync(reserved).isDirectory) {
    throw new FerryError("not_a_file", `${RESERVED_DIRECTORY} in it is not a directory`);
  }
  let lock: Deno.FsFile;
  try {
    lock = Deno.openSync(`${reserved}/lock`, { write: true, create: true });
  } catch (error) {
    if (toFerryError(error).code === "denied") return undefined;
    throw error;
  }
  try {
    // One that was killed a moment ago may still be on its way out.
    for (let tries = 0; !tryLock(lock); tries++) {
      if (tries === LOCK_TRIES) throw new FerryError("busy", "another ferryd serves it");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS);
    }
    makeDirectories(`${reserved}/staging`);
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

function intoItself(): FerryError {
  return new FerryError("bad_name", "a directory cannot be moved into itself");
}

/** The entries of a directory in a stable order; none where it is gone or may not be read. */
function childrenOf(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
  } catch {
    return [];
  }
}

/** Runs something on the file system and gives its errors their codes. */
// deno-lint-ignore require-await -- what it runs may throw at once
async function attempt<T>(run: () => T): Promise<T> {
  try {
    return run();
  } catch (error) {
    throw toFerryError(error);
  }
}

/** What {@linkcode FsStoredFile} is made of. */
interface FsStoredFileParts {
  file: LocalFile;
  path: string;
  entry: Entry;
  identity: FileIdentity;
  index: DigestIndex;
}

class FsStoredFile implements StoredFile {
  readonly #parts: FsStoredFileParts;

  constructor(parts: FsStoredFileParts) {
    this.#parts = parts;
  }

  get entry(): Entry {
    return this.#parts.entry;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#parts.file.read(into);
  }

  seek(offset: number): void {
    this.#parts.file.seek(offset);
  }

  assertUnchanged(): Promise<void> {
    return this.#parts.file.assertUnchanged();
  }

  remember(checksum: Checksum): Promise<void> {
    const { path, identity, index } = this.#parts;
    try {
      const now = identityOf(Deno.lstatSync(path));
      const same = now.key === identity.key && now.version === identity.version;
      if (same) index.record([{ identity: now, checksum }]);
    } catch {
      // It is gone, and nobody will ask for its checksum.
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.file[Symbol.asyncDispose]();
  }
}

/** What {@linkcode FsPendingWrite} is made of. */
interface FsPendingWriteParts {
  name: FileName;
  claim: Claim;
  reserved: Reservation;
  publisher: Publisher;
}

class FsPendingWrite implements PendingWrite {
  readonly #parts: FsPendingWriteParts;
  /** How much is written, what was there before among it. */
  #size: number;

  constructor(parts: FsPendingWriteParts) {
    this.#parts = parts;
    this.#size = parts.claim.behind?.size ?? 0;
  }

  get behind(): PrefixDigest | undefined {
    return this.#parts.claim.behind;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { claim, reserved } = this.#parts;
    claim.touch();
    this.#size += bytes.length;
    reserved.grow(this.#size);
    await claim.staged.write(bytes);
  }

  checkpoint(prefix: SavedPrefix): Promise<void> {
    return attempt(() => this.#parts.claim.checkpoint(prefix));
  }

  keep(): void {
    this.#parts.claim.keep();
  }

  async commit(options: CommitOptions): Promise<Committed> {
    const { name, claim: { staged }, reserved, publisher } = this.#parts;
    const committed = await publisher.publish({ name, staged, ...options });
    if (!committed.unchanged) reserved.settle(this.#size);
    return committed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { claim, reserved } = this.#parts;
    await claim[Symbol.asyncDispose]();
    reserved.settle(claim.left);
  }
}

/**
 * Fails where a large file cannot fit any more, before its bytes come in vain.
 *
 * @throws {FerryError} `no_space`
 */
function assertRoom(directory: string, size: number): void {
  let free: number;
  try {
    const { bavail, bsize } = statfsSync(directory);
    free = bavail * bsize;
  } catch {
    // Not every system tells.
    return;
  }
  if (size > free) throw new FerryError("no_space", "no space left on the device");
}
