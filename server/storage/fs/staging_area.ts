/**
 * A staging area: a hidden directory for files that are being written, and for partial uploads.
 *
 * @module
 */

import type { Runtime } from "../../../lib/runtime/runtime.ts";
import { spaceAt } from "../../../lib/file_system/space.ts";
import type { Algorithm } from "../../../lib/core/checksum.ts";
import type { PrefixDigest, SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import { type Directory, makeDirectory } from "./open_directory.ts";
import {
  type PartRecord,
  readRecord,
  removeRecord,
  resumePartial,
  storedBytes,
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
import { type Amount, sumOf } from "../usage.ts";
import { AreaTrees, isTreeName } from "./area_trees.ts";
import { KeptParts } from "./kept_parts.ts";
import type { OtherAreas } from "./other_areas.ts";

/** A temporary directory in a staging area, whose contents are published by a rename. */
export interface StagedDirectory extends AsyncDisposable {
  /** The directory. */
  readonly directory: Directory;
}

/** A partial upload in a staging area. */
export interface PartInArea {
  /** Its file name. */
  readonly file: string;
  /** Whose it is. */
  readonly owner: string;
  /** What clients see of it. */
  readonly entry: PartEntry;
  /** The size of the whole file in bytes; null if it is not known yet. */
  readonly size: number | null;
  /** What its record says of its bytes. */
  readonly prefix: SavedPrefix;
}

/** Options of {@linkcode StagingArea.open}. */
export interface StagingAreaOptions {
  /** Provides buffers, digests and the clock. */
  runtime: Runtime;
  /**
   * Opens the directory; the caller disposes of it. It is not held open between calls: an open directory keeps its file
   * system from being unmounted.
   *
   * @throws {FerryError} if it no longer exists
   */
  enter(): Directory;
  /** Fails if another process has taken the directory. */
  assertHeld(): void;
  /**
   * Creates the directory again if somebody has removed it. Returns whether it had been removed. Default: undefined, it
   * cannot be created again.
   */
  renew?(): boolean;
  /** The areas of other processes on the same file system. Default: undefined, no other process serves the root. */
  others?: OtherAreas | undefined;
  /** Called with the recorded size in bytes of a partial upload that is discarded while nobody writes to it. */
  onDropped?(bytes: number): void;
  /** Called when a file in the area was closed. */
  onReleased?(): void;
}

/** A hidden directory for files that are being written, and for partial uploads. */
export class StagingArea {
  readonly #partials: KeptParts;
  readonly #options: StagingAreaOptions;
  readonly #host: StagedUploadHost;
  /** The staged trees that clients put together in it. */
  readonly trees: AreaTrees;
  #mode: number | undefined;
  #writers = 0;
  #ended = false;

  private constructor(options: StagingAreaOptions) {
    this.#options = options;
    this.#partials = new KeptParts({
      enter: () => options.enter(),
      others: options.others,
      onGone: (record) => this.#dropped(record),
    });
    const isEnded = () => this.#ended;
    this.#host = {
      get ended() {
        return isEnded();
      },
      isSeen: options.others !== undefined,
      assertHeld: () => this.#assertHeld(),
      onRecorded: (file, partial) => void this.#partials.set(file, partial),
      onUnrecorded: (file) => void this.#partials.delete(file),
      forget: (file, directory) => this.#forget(file, directory),
      onClosed: () => {
        this.#writers--;
        this.#released();
      },
    };
    this.trees = new AreaTrees({
      enter: () => this.#unlessGone(() => options.enter()),
      unlessGone: (run) =>
        this.#unlessGone(() => {
          using directory = options.enter();
          return run(directory);
        }),
      assertHeld: () => this.#assertHeld(),
      onReleased: () => this.#released(),
      clock: options.runtime.clock,
    });
  }

  /**
   * Opens the staging area in a directory, and removes everything from it that is neither a partial upload nor a staged
   * tree.
   *
   * @throws what `enter` throws
   */
  static open(options: StagingAreaOptions): StagingArea {
    const area = new StagingArea(options);
    using directory = options.enter();
    for (const { name } of [...Deno.readDirSync(directory.path)]) {
      const path = directory.at(name);
      if (isTreeName(name) && area.trees.adopt(directory, name)) continue;
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

  /** Ends the area after its file system was remounted: its writers fail, and its files belong to the new mount. */
  end(): void {
    this.#ended = true;
  }

  /**
   * Fails if another process has taken the area, or the storage has reopened it through another mount.
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
   * @param owner the owner of the partial upload that may remain of it
   */
  create(filename: FileName, size: number | null, owner = ""): StagedUpload {
    this.#assertHeld();
    const [staged, directory] = this.#unlessGone(() => {
      using entered = new DisposableStack();
      const directory = entered.use(this.#options.enter());
      // The file is created last: it would have to be removed if anything failed afterwards.
      const mode = this.#newMode(directory);
      const staged = StagedFile.of(createIn(directory), this.#options.runtime, { mode });
      entered.move();
      return [staged, directory] as const;
    });
    this.#writers++;
    return new StagedUpload(this.#host, { staged, directory, filename, size, owner });
  }

  /** Runs an operation in the directory, and runs it again if the directory was gone and could be created again. */
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

  /** Forgets the partial uploads whose files were removed together with their directory. */
  forgetMissing(): void {
    using directory = this.#options.enter();
    for (const [file, { record }] of this.#partials.own) {
      if (!isTaken(directory.at(file))) this.#drop(file, record, directory);
    }
    this.trees.forgetMissing(directory);
  }

  /**
   * Creates a temporary directory, whose contents are published by a rename. Disposal removes it with what is left in
   * it.
   *
   * @throws {FerryError} `no_space`, `denied`, …
   */
  makeDirectory(): StagedDirectory {
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
   * Moves a file into the area that cannot be removed while a program has it open. The next process removes it.
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

  /** The record of a partial upload; undefined if the owner has none with that file name. */
  recordOf(file: string, owner: string): PartRecord | undefined {
    const record = this.#partials.find(file)?.record;
    return record && ownerOf(record) === owner ? record : undefined;
  }

  /**
   * Opens a partial upload, to write the rest of the file.
   *
   * @returns undefined if it does not exist, is of no use, or has another writer
   * @throws {FerryError} why it cannot be opened now
   */
  async resume(file: string, algorithm: Algorithm): Promise<StagedUpload | undefined> {
    try {
      return await this.#resume(file, algorithm);
    } catch (error) {
      throw fileError(error);
    }
  }

  async #resume(file: string, algorithm: Algorithm): Promise<StagedUpload | undefined> {
    await this.#partials.take(file);
    const partial = this.#partials.own.get(file);
    if (!partial || partial.open) return undefined;
    this.#assertHeld();
    const { record } = partial;
    await using taken = new AsyncDisposableStack();
    // Nobody else may open it while its bytes are verified.
    partial.open = true;
    taken.defer(() => void (partial.open = false));
    const directory = taken.use(this.#options.enter());
    const path = directory.at(file);
    const staged = await StagedFile.claimFreed(path, this.#options.runtime, {
      create: false,
      mode: this.#newMode(directory),
    });
    if (!staged) {
      // A file that exists is locked.
      if (!isTaken(path)) this.#drop(file, record, directory);
      return undefined;
    }
    taken.use(staged);
    let prefix: PrefixDigest | undefined;
    try {
      // The client has to prove quickly that it has the same bytes, so a digest for that is needed, too.
      prefix = await resumePartial(staged, record, { algorithm, proof: true });
    } catch (error) {
      // That it could not be read now does not mean that it is damaged.
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

  /** Forgets a partial upload that has no writer. */
  #drop(file: string, record: PartRecord, directory: Directory): void {
    this.#forget(file, directory);
    this.#dropped(record);
  }

  #dropped(record: PartRecord): void {
    this.#options.onDropped?.(storedBytes(record));
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
      // The file is removed next. A record without a file is ignored.
    }
  }

  /**
   * Fails if there is no space for that many more bytes.
   *
   * @throws {FerryError} `no_space`
   */
  assertRoom(size: number): void {
    using directory = this.#options.enter();
    const space = spaceAt(directory.path);
    if (space && size > space.free) throw new FerryError("no_space", "no space left on the device");
  }

  /** Whether a file or a tree in it is being written. */
  get isWritten(): boolean {
    return this.#writers > 0 || this.trees.inUse;
  }

  /** Whether it contains a partial upload, a staged tree or a file that is being written. */
  get inUse(): boolean {
    return this.isWritten || this.#partials.own.size > 0 || this.trees.any;
  }

  /** The partial uploads of all owners, without those of other processes. */
  get kept(): Amount {
    return sumOf(
      this.#partials.own.values().map(({ record }) => ({ count: 1, bytes: storedBytes(record) })),
    );
  }

  /** The partial uploads with their file names, of an owner or, by default, of all; those being written, too. */
  list(owner?: string): PartInArea[] {
    const all = [...this.#partials.all].map(([file, partial]) => described(file, partial));
    return owner === undefined ? all : all.filter((each) => each.owner === owner);
  }

  /** The partial upload with that file name; undefined if the owner has none. */
  look(file: string, owner: string): PartInArea | undefined {
    const partial = this.#partials.find(file);
    return partial && ownerOf(partial.record) === owner ? described(file, partial) : undefined;
  }

  /** Removes the partial uploads that were not written to for `ttl` milliseconds. */
  expire(ttl: number): void {
    const latest = this.#options.runtime.clock.now() - ttl;
    this.#partials.takeOlderThan(latest);
    for (const [file, { record, open, mtime }] of this.#partials.own) {
      if (open || mtime > latest) continue;
      try {
        this.#remove(file, record);
      } catch {
        // It is no longer offered to be resumed, and the next process removes it.
      }
    }
  }

  /** See `PartialUploads.discard`. */
  discard(file: string, assertMay: DiscardOptions["assertMay"]): void {
    this.#assertHeld();
    this.#partials.takeIdle(file);
    const partial = this.#partials.find(file);
    if (!partial) throw noPartialUpload();
    if (partial.open) {
      throw new FerryError("busy", "it is being uploaded at the moment: end that first");
    }
    assertMay?.();
    this.#remove(file, partial.record);
  }

  /** Removes a partial upload that has no writer. */
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

/** The error if an owner has no such partial upload. */
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

function described(file: string, { record, mtime, open }: Partial): PartInArea {
  const { filename, size, prefix } = record;
  const owner = ownerOf(record);
  const { size: received } = prefix;
  const entry = { filename, size: size ?? received, received, mtime, active: open };
  return { file, owner, entry, size, prefix };
}

function ownerOf({ owner = "" }: PartRecord): string {
  return owner;
}
