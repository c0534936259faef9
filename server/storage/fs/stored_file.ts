/**
 * Files of a root that are open for reading, and the entries that describe them.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { Algorithm, Checksum } from "../../../lib/core/checksum.ts";
import type { ChecksumCache, FileIdentity } from "./checksum_cache.ts";
import { contentVersion } from "./content_version.ts";
import { checksumOfSource } from "../../../lib/digest/source_digest.ts";
import { FerryError, fileError, systemCodeOf } from "../../../lib/core/errors.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import type { FileFacts, LocalFile } from "../../../lib/files/local_file.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { MIN_REMEMBERED_BYTES } from "../kept_hashes.ts";
import type { MountPoints } from "./mount_points.ts";
import type { Root } from "./root.ts";
import type { ServedRoot } from "./served_root.ts";
import type { BlockHashes, StoredFile } from "../storage.ts";

/** For how long a file that another machine has replaced is opened again, in milliseconds, and after which pauses. */
const STALE_MS = 3000;
const STALE_PAUSE_MS = 100;

/** What opening a file takes from a {@linkcode ServedRoot}. */
type Opening = Pick<ServedRoot, "cache" | "hashes" | "secret" | "runtime" | "fileSystem">;

/**
 * The entry that describes a file or a directory.
 *
 * @param cache where its checksum is looked up; undefined if none is known
 * @throws {FerryError} `not_a_file` for anything else
 */
export function entryOf(
  cache: ChecksumCache | undefined,
  filename: FileName | "",
  info: FileFacts,
  algorithm: Algorithm = "md5",
): Entry {
  const { isFile, isDirectory, size, mtime, mode } = info;
  if (!isFile && !isDirectory) {
    throw new FerryError("not_a_file", "it is neither a file nor a directory");
  }
  return {
    filename,
    type: isFile ? "file" : "directory",
    size: isFile ? size : 0,
    mtime: mtime?.getTime() ?? 0,
    mode: (mode ?? (isFile ? 0o644 : 0o755)) & 0o777,
    // A getter: the look-up costs more than everything else here, and most callers do not need it.
    get checksum() {
      return isFile && cache ? cache.lookup(cache.identify(info, filename), algorithm) : null;
    },
  };
}

/** A file that is open for reading. */
export class FsStoredFile implements StoredFile {
  readonly entry: Entry;
  readonly #file: LocalFile;
  readonly #served: Opening;
  readonly #mounts: MountPoints | undefined;
  #closed = false;

  private constructor(
    served: Opening,
    file: LocalFile,
    entry: Entry,
    mounts: MountPoints | undefined,
  ) {
    this.#file = file;
    this.entry = entry;
    this.#served = served;
    this.#mounts = mounts;
    mounts?.opened(file.info.dev);
  }

  /**
   * Opens a file. One that another machine has just replaced is opened again until the new file is found.
   *
   * @throws {FerryError} as `Storage.open`
   */
  static async open(
    served: Opening,
    root: Root,
    name: FileName,
    algorithm: Algorithm,
  ): Promise<FsStoredFile> {
    const { clock } = served.runtime;
    for (const until = clock.now() + STALE_MS;;) {
      try {
        return await FsStoredFile.#open(served, root, name, algorithm);
      } catch (error) {
        const isStale = systemCodeOf((error as FerryError).cause) === "ESTALE";
        if (!isStale || clock.now() >= until) throw error;
      }
      await delay(STALE_PAUSE_MS);
    }
  }

  static async #open(
    served: Opening,
    root: Root,
    name: FileName,
    algorithm: Algorithm,
  ): Promise<FsStoredFile> {
    const { cache, runtime, fileSystem } = served;
    let file: LocalFile;
    try {
      file = root.open(name, runtime);
    } catch (error) {
      throw fileError(error);
    }
    try {
      if (!fileSystem.honestWrites) await file.assertReadable();
      await file.assertSized();
      const entry = entryOf(cache, name, file.info, algorithm);
      return new FsStoredFile(served, file, entry, root.directory.mounts);
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw fileError(error);
    }
  }

  /** The identity that has to stay the same for its checksum to be valid. */
  get identity(): FileIdentity {
    return this.#served.cache.identify(this.#file.info, this.entry.filename);
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#file.read(into);
  }

  seek(offset: number): void {
    this.#file.seek(offset);
  }

  known(algorithm: Algorithm): Checksum | null {
    return this.#served.cache.lookup(this.identity, algorithm);
  }

  find(algorithm: Algorithm): Promise<Checksum | null> {
    return Promise.resolve(this.known(algorithm));
  }

  expected(): Promise<Checksum | null> {
    return Promise.resolve(this.#served.cache.expected(this.identity));
  }

  assertUnchanged(whole?: Checksum): Promise<void> {
    return this.#file.assertUnchanged(whole);
  }

  remember(checksum: Checksum): Promise<void> {
    const { filename: name, size } = this.entry;
    this.#served.cache.names.add({ name, size, checksum });
    if (this.#isCertain) this.#served.cache.record([{ identity: this.identity, checksum }]);
    return Promise.resolve();
  }

  /**
   * Whether the file has certainly not changed since it was opened. One that was changed just before may have been
   * changed again without a visible difference in its times.
   */
  get #isCertain(): boolean {
    const now = this.#served.cache.identify(this.#file.now(), this.entry.filename);
    return this.#file.settled && now.version === this.identity.version;
  }

  get version(): string {
    return contentVersion(this.#served.secret, this.identity, this.entry.filename);
  }

  findHashes(): Promise<BlockHashes | undefined> {
    // Of smaller files nothing is remembered, and looking would take as long as reading them.
    if (this.entry.size < MIN_REMEMBERED_BYTES) return Promise.resolve(undefined);
    return Promise.resolve(this.#served.hashes.lookup(this.identity));
  }

  rememberHashes(blocks: BlockHashes): Promise<void> {
    if (this.#isCertain) this.#served.hashes.record(this.identity, blocks);
    return Promise.resolve();
  }

  forgetHashes(): Promise<void> {
    this.#served.hashes.forget(this.identity);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#mounts?.closed(this.#file.info.dev);
    this.#closed = true;
    return this.#file[Symbol.asyncDispose]();
  }
}

/**
 * The checksum of a file, from the cache, or by reading it.
 *
 * @throws {FerryError} as `Storage.checksum`
 */
export async function checksumOf(
  served: Opening,
  root: Root,
  name: FileName,
  algorithm: Algorithm,
): Promise<Checksum> {
  await using file = await FsStoredFile.open(served, root, name, algorithm);
  if (file.entry.checksum !== null) return file.entry.checksum;
  return await served.cache.computeOnce(file.identity, algorithm, async (close) => {
    const checksum = await checksumOfSource(served.runtime, file, { algorithm, onRead: close });
    await file.remember(checksum);
    return checksum;
  });
}
