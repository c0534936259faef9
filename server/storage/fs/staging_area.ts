/**
 * A staging area: a directory of files that nobody sees, those that are being written and the partial uploads that
 * are kept.
 *
 * @module
 */

import type { Runtime } from "../../../lib/runtime/runtime.ts";
import { statfsSync } from "node:fs";
import type { Algorithm } from "../../../lib/core/checksum.ts";
import type { PrefixDigest } from "../../../lib/digest/prefix_digest.ts";
import { type Directory, makeDirectory } from "./open_directory.ts";
import {
  type PartRecord,
  readRecord,
  removeRecord,
  resumePartial,
} from "../../../lib/files/partial_file.ts";
import { type CreatedFile, StagedFile } from "../../../lib/files/staged_file.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { modeOfNewFiles } from "../../../lib/files/permission_bits.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { PartEntry } from "../../../lib/core/entry.ts";
import { mountedAnew } from "./root_directory.ts";
import { type Partial, StagedUpload, type StagedUploadHost } from "./staged_upload.ts";
import type { DiscardOptions } from "../storage.ts";

/** A directory in a staging area, for what gets its name by being renamed. */
export interface StagedTree extends AsyncDisposable {
  /** The directory. */
  readonly directory: Directory;
}

/** What a {@linkcode StagingArea} works with. */
export interface StagingAreaOptions {
  /** What memory, digests and the time come from. */
  runtime: Runtime;
  /**
   * Opens the directory, which is the caller's to dispose of. Between two calls nothing holds it: a directory that is
   * open keeps its file system from being unmounted.
   *
   * @throws {FerryError} where it is not there any more
   */
  enter(): Directory;
  /** Fails where another process has the directory by now. */
  assertHeld(): void;
  /** Makes the directory again where somebody has removed it. Returns whether that was so. Default: it cannot. */
  renew?(): boolean;
  /** Told how many recorded bytes of a partial upload are thrown away while nobody writes to it. */
  onDropped?(bytes: number): void;
  /** Told when a file in it was closed. */
  onReleased?(): void;
}

/** A directory of files that nobody sees. */
export class StagingArea {
  /** The partial uploads by the names of their files. */
  readonly #partials = new Map<string, Partial>();
  readonly #options: StagingAreaOptions;
  readonly #host: StagedUploadHost;
  #mode: number | undefined;
  #writers = 0;
  #ended = false;

  private constructor(options: StagingAreaOptions) {
    this.#options = options;
    const isEnded = () => this.#ended;
    this.#host = {
      get ended() {
        return isEnded();
      },
      assertHeld: () => this.#assertHeld(),
      onRecorded: (file, partial) => void this.#partials.set(file, partial),
      onUnrecorded: (file) => void this.#partials.delete(file),
      forget: (file, directory) => this.#forget(file, directory),
      onClosed: () => {
        this.#writers--;
        this.#released();
      },
    };
  }

  /**
   * Opens the staging area in a directory, and removes what is no partial upload.
   *
   * @throws what `enter` throws
   */
  static open(options: StagingAreaOptions): StagingArea {
    const area = new StagingArea(options);
    using directory = options.enter();
    for (const { name } of [...Deno.readDirSync(directory.path)]) {
      const path = directory.at(name);
      const record = name.endsWith(".part") ? readRecord(path) : undefined;
      if (record) {
        const mtime = Deno.lstatSync(path).mtime?.getTime() ?? 0;
        area.#partials.set(name, { record, mtime, open: false });
      } else if (!name.endsWith(".json") || !readRecord(path.replace(/\.json$/, ".part"))) {
        Deno.removeSync(path, { recursive: true });
      }
    }
    return area;
  }

  /** Ends it where its file system was mounted again: writers fail, and its files belong to the new mount. */
  end(): void {
    this.#ended = true;
  }

  /**
   * Fails where another process has it by now, or the storage has opened it by another mount.
   *
   * @throws {FerryError} `busy`
   */
  #assertHeld(): void {
    this.#options.assertHeld();
    if (this.#ended) throw mountedAnew();
  }

  /**
   * Creates a file.
   *
   * @param filename the name that it will get
   * @param size the announced size in bytes; null for a stream
   * @param owner whose the partial upload is that may remain of it
   */
  create(filename: FileName, size: number | null, owner = ""): StagedUpload {
    this.#assertHeld();
    const [staged, directory] = this.#unlessGone(() => {
      using entered = new DisposableStack();
      const directory = entered.use(this.#options.enter());
      // The file comes last: it would have to be removed if anything failed after it.
      const mode = this.#newMode(directory);
      const staged = StagedFile.of(createIn(directory), this.#options.runtime, { mode });
      entered.move();
      return [staged, directory] as const;
    });
    this.#writers++;
    return new StagedUpload(this.#host, { staged, directory, filename, size, owner });
  }

  /** Does something in the directory, and once more where it was gone and could be made again. */
  #unlessGone<T>(run: () => T): T {
    try {
      return run();
    } catch (reason) {
      const error = fileError(reason);
      if (error.code !== "not_found" || !this.#options.renew?.()) throw error;
      this.#assertHeld();
      return run();
    }
  }

  /** Forgets the partial uploads whose files are gone, with the directory that they were in. */
  forgetMissing(): void {
    using directory = this.#options.enter();
    for (const [file, { record }] of this.#partials) {
      if (!isTaken(directory.at(file))) this.#drop(file, record, directory);
    }
  }

  /**
   * Makes a directory, for what gets its name by being renamed. Disposal removes it with what is left in it.
   *
   * @throws {FerryError} `no_space`, `denied`, …
   */
  makeDirectory(): StagedTree {
    this.#assertHeld();
    const name = crypto.randomUUID();
    const [area, directory] = this.#unlessGone(() => {
      using made = new DisposableStack();
      const area = made.use(this.#options.enter());
      const directory = made.use(makeDirectory(area, name));
      made.move();
      return [area, directory] as const;
    });
    this.#writers++;
    return {
      directory,
      [Symbol.asyncDispose]: async () => {
        using _area = area;
        directory[Symbol.dispose]();
        this.#writers--;
        await Deno.remove(area.at(name), { recursive: true }).catch(() => {});
        this.#released();
      },
    };
  }

  /**
   * Moves a file into it that cannot be removed as long as a program has it open; the next process removes it.
   *
   * @throws what the runtime throws
   */
  setAside(path: string): void {
    using directory = this.#options.enter();
    Deno.renameSync(path, directory.at(`${crypto.randomUUID()}.removed`));
  }

  #newMode(directory: Directory): number {
    return this.#mode ??= modeOfNewFiles(directory.path);
  }

  /** What is known of a partial upload; undefined where an owner has none in that file. */
  recordOf(file: string, owner: string): PartRecord | undefined {
    const record = this.#partials.get(file)?.record;
    return record && ownerOf(record) === owner ? record : undefined;
  }

  /**
   * Opens a partial upload, to write the rest.
   *
   * @returns undefined where it is not there, worthless, or another writer has it
   * @throws {FerryError} what keeps it from being opened now
   */
  async resume(file: string, algorithm: Algorithm): Promise<StagedUpload | undefined> {
    try {
      return await this.#resume(file, algorithm);
    } catch (error) {
      throw fileError(error);
    }
  }

  async #resume(file: string, algorithm: Algorithm): Promise<StagedUpload | undefined> {
    const partial = this.#partials.get(file);
    if (!partial || partial.open) return undefined;
    this.#assertHeld();
    const { record } = partial;
    await using taken = new AsyncDisposableStack();
    // Until its bytes are known to be good, nobody else gets it.
    partial.open = true;
    taken.defer(() => void (partial.open = false));
    const directory = taken.use(this.#options.enter());
    const path = directory.at(file);
    const staged = StagedFile.claim(path, this.#options.runtime, {
      create: false,
      mode: this.#newMode(directory),
    });
    if (!staged) {
      // A file that is there is somebody's: a command that is just being started holds the lock of its last writer for
      // a moment.
      if (!isTaken(path)) this.#drop(file, record, directory);
      return undefined;
    }
    taken.use(staged);
    let prefix: PrefixDigest | undefined;
    try {
      // The client has to show quickly that it has the same bytes.
      prefix = await resumePartial(staged, record, { algorithm, proof: true });
    } catch (error) {
      // That it could not be read now says nothing against it.
      staged.keep();
      throw error;
    }
    if (!prefix) {
      this.#drop(file, record, directory);
      return undefined;
    }
    taken.move();
    const { filename, size } = record;
    this.#writers++;
    return new StagedUpload(this.#host, {
      ...{ staged, directory, filename, size, owner: ownerOf(record) },
      resumed: { partial, prefix },
    });
  }

  /** Forgets a partial upload that nobody writes to. */
  #drop(file: string, { prefix }: PartRecord, directory: Directory): void {
    this.#forget(file, directory);
    this.#options.onDropped?.(prefix.size);
    this.#released();
  }

  #released(): void {
    if (!this.#ended) this.#options.onReleased?.();
  }

  #forget(file: string, directory: Directory): void {
    this.#partials.delete(file);
    try {
      removeRecord(directory.at(file));
    } catch {
      // The file is removed next, and a record without a file is ignored.
    }
  }

  /**
   * Fails where that many more bytes cannot fit.
   *
   * @throws {FerryError} `no_space`
   */
  assertRoom(size: number): void {
    using directory = this.#options.enter();
    let free: number;
    try {
      const { bavail, bsize } = statfsSync(directory.path);
      free = bavail * bsize;
    } catch {
      // Not every system tells.
      return;
    }
    if (size > free) throw new FerryError("no_space", "no space left on the device");
  }

  /** Whether something in it is being written. */
  get isWritten(): boolean {
    return this.#writers > 0;
  }

  /** Whether there is a partial upload in it, or something is being written. */
  get inUse(): boolean {
    return this.isWritten || this.#partials.size > 0;
  }

  /** How many bytes the partial uploads of all owners have together. */
  get bytes(): number {
    return [...this.#partials.values()].reduce((sum, { record }) => sum + record.prefix.size, 0);
  }

  /** The partial uploads of an owner with the names of their files, those that are being written among them. */
  list(owner: string): { file: string; entry: PartEntry }[] {
    const own = [...this.#partials].filter(([, { record }]) => ownerOf(record) === owner);
    return own.map(([file, { record: { filename, size, prefix }, mtime, open }]) => ({
      file,
      entry: { filename, size, received: prefix.size, mtime, active: open },
    }));
  }

  /** Removes the partial uploads that nobody has written to for `ttl` milliseconds. */
  expire(ttl: number): void {
    const now = this.#options.runtime.clock.now();
    for (const [file, { record, open, mtime }] of this.#partials) {
      if (open || mtime > now - ttl) continue;
      try {
        this.#remove(file, record);
      } catch {
        // It is not resumed any more, and the next process removes it.
      }
    }
  }

  /** See `PartialUploads.discard`. */
  discard(file: string, assertMay: DiscardOptions["assertMay"]): void {
    this.#assertHeld();
    const partial = this.#partials.get(file);
    if (!partial) throw noPartialUpload();
    if (partial.open) {
      throw new FerryError("busy", "it is being uploaded at the moment: end that first");
    }
    assertMay?.();
    this.#remove(file, partial.record);
  }

  /** Removes a partial upload that nobody writes to. */
  #remove(file: string, record: PartRecord): void {
    using directory = this.#options.enter();
    this.#drop(file, record, directory);
    try {
      Deno.removeSync(directory.at(file));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw fileError(error);
    }
  }
}

/** The error where an owner has no such partial upload. */
export function noPartialUpload(): FerryError {
  return new FerryError("not_found", "no partial upload of that name is kept");
}

function createIn(directory: Directory): CreatedFile {
  try {
    return directory.createFile(".part");
  } catch (error) {
    throw fileError(error);
  }
}

function ownerOf({ owner = "" }: PartRecord): string {
  return owner;
}
