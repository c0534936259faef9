/**
 * The staging area of a storage: files that are being written, and the parts that were kept of those that
 * were cut.
 *
 * @module
 */

import { SHARED_RUNTIME } from "../../../lib/runtime/runtime.ts";
import { statfsSync } from "node:fs";
import type { PrefixDigest, SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import { type Directory, makeDirectory } from "./open_directory.ts";
import { PartWriter } from "../partial_writer.ts";
import { basename } from "../../../lib/core/paths.ts";
import {
  goOnWith,
  type PartRecord,
  readRecord,
  removeRecord,
  voidRecord,
  writeRecord,
} from "../../../lib/files/partial_file.ts";
import { type CreatedFile, removedMeanwhile, StagedFile } from "../../../lib/files/staged_file.ts";
import { modeOfNewFiles } from "../../../lib/files/permission_bits.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import type { PartEntry } from "../../../lib/core/entry.ts";
import { mountedAnew } from "./root_directory.ts";
import type { CreateOptions, ResumeOptions } from "../storage.ts";

interface Kept {
  record: PartRecord;
  /** When it was last written to. */
  mtime: number;
  /** Who had it last, and may have it still. */
  writer: PartWriter | undefined;
}

/** A file in the staging area that one writer has. */
export interface Claim extends AsyncDisposable {
  /** The file. */
  readonly staged: StagedFile;
  /** The digest of the bytes that it held when it was claimed. */
  readonly behind: PrefixDigest | undefined;
  /**
   * Tells that bytes are moving. MUST come before each write.
   *
   * @throws {FerryError} `busy` where another process has the staging area by now
   */
  touch(): void;
  /** Records how far it has come. */
  checkpoint(prefix: SavedPrefix): void;
  /** Makes disposal keep it, if it was ever recorded. */
  keep(): void;
  /**
   * Makes it a part no more. MUST come before the file gets another name, so that no process takes a file for a
   * part that others can see.
   *
   * @throws {FerryError} what keeps its record from being made void
   */
  unrecord(): void;
  /** How many bytes disposal leaves. */
  readonly left: number;
}

/** A directory in the staging area that one writer has. */
export interface Tree extends AsyncDisposable {
  /** The directory. */
  readonly directory: Directory;
}

/** What {@linkcode Parts} work with. */
export interface PartsOptions {
  /**
   * Opens the directory, which is the caller's to dispose of. Between two calls nothing holds it: one that is open
   * keeps its file system from being unmounted.
   *
   * @throws {FerryError} where it is not there any more
   */
  enter(): Directory;
  /** Fails where another process has the directory by now. */
  assertHeld(): void;
  /** Makes the directory again where somebody has removed it; whether that was so. */
  renew?(): boolean;
  /** Told how many bytes of a part were recorded that is thrown away while nobody has it. */
  onDropped?(bytes: number): void;
  /** Told when somebody has let go of a file in it. */
  onReleased?(): void;
}

/** A directory of files that nobody sees. */
export class Parts {
  /** By their names in the directory. */
  readonly #kept = new Map<string, Kept>();
  readonly #options: PartsOptions;
  #mode: number | undefined;
  #writers = 0;
  #ended = false;

  /**
   * The staging area in a directory; what no earlier process recorded there is removed.
   *
   * @throws what `enter` throws
   */
  constructor(options: PartsOptions) {
    this.#options = options;
    using directory = options.enter();
    for (const { name } of [...Deno.readDirSync(directory.path)]) {
      const path = directory.at(name);
      const record = name.endsWith(".part") ? readRecord(path) : undefined;
      if (record) {
        const mtime = Deno.lstatSync(path).mtime?.getTime() ?? 0;
        this.#kept.set(name, { record, mtime, writer: undefined });
      } else if (!name.endsWith(".json") || !readRecord(path.replace(/\.json$/, ".part"))) {
        Deno.removeSync(path, { recursive: true });
      }
    }
  }

  /** Ends it where it was mounted anew: who writes in it fails, and what is there is another one's. */
  end(): void {
    this.#ended = true;
  }

  /**
   * Fails where another process has it by now, or another one of this process.
   *
   * @throws {FerryError} `busy`
   */
  #assertHeld(): void {
    this.#options.assertHeld();
    if (this.#ended) throw mountedAnew();
  }

  /** A new file. */
  create(filename: string, options: CreateOptions): Claim {
    this.#assertHeld();
    const [staged, directory] = this.#unlessGone(() => {
      using entered = new DisposableStack();
      const directory = entered.use(this.#options.enter());
      // The file comes last: whoever fails behind it would have to remove it.
      const mode = this.#newMode(directory);
      const staged = StagedFile.of(createIn(directory), SHARED_RUNTIME, { mode });
      entered.move();
      return [staged, directory] as const;
    });
    return this.#claim(staged, directory, { ...options, filename });
  }

  /** Does something in the directory, and once more where that was gone and could be made again. */
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

  /** Forgets the parts whose files are gone, with the directory that they were in. */
  forgetMissing(): void {
    using directory = this.#options.enter();
    for (const [name, kept] of this.#kept) {
      if (!isTaken(directory.at(name))) this.#drop(name, kept, directory);
    }
  }

  /**
   * A new directory in it, for what gets its name by being renamed. Its disposal removes it with what is left in it.
   *
   * @throws {FerryError} `no_space`, `denied`, …
   */
  makeDirectory(): Tree {
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
   * Takes in a file that cannot be removed as long as a program has it open, and keeps it out of sight; the next
   * process removes it.
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

  /** The owner's part of a file that was written last, for one writer. */
  async resume(filename: string, options: ResumeOptions): Promise<Claim | undefined> {
    for (const [name, kept] of this.#candidates(filename, options)) {
      if (kept.writer?.active && !await kept.writer.givesUp()) continue;
      // Another one may have been quicker meanwhile, or the writer found it worthless.
      if (kept.writer?.active || this.#kept.get(name) !== kept) continue;
      const claim = await this.#goOn(name, kept, options);
      if (claim) return claim;
    }
    return undefined;
  }

  /** Takes up a part that nobody has; undefined where it is worth nothing, or another process has it. */
  async #goOn(
    name: string,
    kept: Kept,
    options: ResumeOptions,
  ): Promise<Claim | undefined> {
    this.#assertHeld();
    // Until it is known what the part is worth, nobody else can have it.
    using _opening = kept.writer = new PartWriter();
    await using taken = new AsyncDisposableStack();
    const directory = taken.use(this.#options.enter());
    const path = directory.at(name);
    const staged = StagedFile.claim(path, SHARED_RUNTIME, {
      create: false,
      mode: this.#newMode(directory),
    });
    if (!staged) {
      // One that is there is somebody's: a command that is just being started holds the lock of its last
      // writer for a moment.
      if (!isTaken(path)) this.#drop(name, kept, directory);
      return undefined;
    }
    taken.use(staged);
    let behind: PrefixDigest | undefined;
    try {
      // Whoever goes on has to show quickly that it has the same bytes.
      behind = await goOnWith(staged, kept.record, { algorithm: options.algorithm, proof: true });
    } catch (error) {
      // That it could not be read now says nothing against it.
      staged.keep();
      throw error;
    }
    if (!behind) {
      this.#drop(name, kept, directory);
      return undefined;
    }
    taken.move();
    const { filename } = kept.record;
    return this.#claim(staged, directory, { ...options, filename }, { kept, behind });
  }

  #candidates(filename: string, { size, owner = "" }: ResumeOptions): [string, Kept][] {
    return [...this.#kept]
      .filter(([, { record }]) => record.filename === filename && record.size === size)
      .filter(([, { record }]) => ownerOf(record) === owner)
      .sort(([, a], [, b]) => b.mtime - a.mtime);
  }

  #claim(
    staged: StagedFile,
    directory: Directory,
    { filename, size, owner = "", onTakenOver }: CreateOptions & { filename: string },
    { kept, behind }: { kept?: Kept; behind?: PrefixDigest } = {},
  ): Claim {
    const { path } = staged;
    const name = basename(path);
    const writer = new PartWriter(onTakenOver);
    if (kept) kept.writer = writer;
    this.#writers++;
    let keeping = false;
    let ended = false;
    return {
      staged,
      behind,
      touch: () => {
        this.#assertHeld();
        writer.touch();
      },
      checkpoint: (prefix) => {
        this.#assertHeld();
        if (!isTaken(path)) throw removedMeanwhile();
        const facts = { filename, size: size ?? 0, checksum: null, prefix, owner };
        let record: PartRecord;
        try {
          record = writeRecord(path, facts, { exactly: true });
        } catch (error) {
          // The runtime may have any error for a path that leads to nowhere.
          if (!directory.isCutOff) throw error;
          const reason = "the file system that it is staged on is not mounted any more";
          throw new FerryError("io", reason, { cause: error });
        }
        kept ??= { record, mtime: 0, writer };
        kept.record = record;
        kept.mtime = Date.now();
        this.#kept.set(name, kept);
      },
      keep: () => void (keeping = true),
      unrecord: () => {
        this.#assertHeld();
        if (!kept) return;
        voidRecord(path);
        this.#kept.delete(name);
      },
      get left() {
        return keeping && kept ? kept.record.prefix.size : 0;
      },
      [Symbol.asyncDispose]: async () => {
        using _released = writer;
        if (ended) return;
        ended = true;
        this.#writers--;
        using _directory = directory;
        if (keeping && kept || this.#ended) staged.keep();
        else if (kept) this.#forget(name, directory);
        await staged[Symbol.asyncDispose]();
        this.#released();
      },
    };
  }

  /** Forgets a part that nobody has. */
  #drop(name: string, { record }: Kept, directory: Directory): void {
    this.#forget(name, directory);
    this.#options.onDropped?.(record.prefix.size);
    this.#released();
  }

  #released(): void {
    if (!this.#ended) this.#options.onReleased?.();
  }

  #forget(name: string, directory: Directory): void {
    this.#kept.delete(name);
    try {
      removeRecord(directory.at(name));
    } catch {
      // The file goes next, and a record without one says nothing.
    }
  }

  /**
   * Fails where so many bytes more cannot fit any more, before they come in vain.
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

  /** Whether there is a part in it, or something is being written. */
  get inUse(): boolean {
    return this.isWritten || this.#kept.size > 0;
  }

  /** How many bytes the parts of all owners are. */
  get bytes(): number {
    return [...this.#kept.values()].reduce((sum, { record }) => sum + record.prefix.size, 0);
  }

  /** The parts of an owner, those that are being written among them. */
  list(owner: string): PartEntry[] {
    const own = [...this.#kept.values()].filter(({ record }) => ownerOf(record) === owner);
    return own.map((
      { record: { filename, size, prefix }, mtime, writer },
    ) => ({
      filename,
      size,
      received: prefix.size,
      mtime,
      active: writer?.active ?? false,
    }));
  }

  /** Removes those that nobody has written to for `ttl` milliseconds. */
  expire(ttl: number): void {
    for (const [name, kept] of this.#kept) {
      if (kept.writer?.active || kept.mtime > Date.now() - ttl) continue;
      try {
        this.#remove(name, kept);
      } catch {
        // Nobody goes on with it, and the next process clears it away.
      }
    }
  }

  /** See `Storage.discardParts`. */
  discard(filename: string, owner: string): void {
    this.#assertHeld();
    const own = [...this.#kept]
      .filter(([, { record }]) => record.filename === filename && ownerOf(record) === owner);
    if (own.length === 0) {
      throw new FerryError("not_found", "no partial upload of that name is kept");
    }
    const idle = own.filter(([, { writer }]) => !writer?.active);
    for (const [name, kept] of idle) this.#remove(name, kept);
    if (idle.length < own.length) {
      throw new FerryError("busy", "it is being uploaded at the moment: end that first");
    }
  }

  /** Removes a part that nobody has. */
  #remove(name: string, kept: Kept): void {
    using directory = this.#options.enter();
    this.#drop(name, kept, directory);
    try {
      Deno.removeSync(directory.at(name));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw fileError(error);
    }
  }
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
