/**
 * The staging area of a storage: files that are being written, and the parts that were kept of those that
 * were cut.
 *
 * @module
 */

import type { PrefixDigest, SavedPrefix } from "./checksum.ts";
import type { Directory } from "./directory.ts";
import { PartWriter } from "./part_writer.ts";
import { basename } from "./path.ts";
import {
  goOnWith,
  type PartRecord,
  readRecord,
  removeRecord,
  voidRecord,
  writeRecord,
} from "./partial.ts";
import { type CreatedFile, isTaken, modeOfNewFiles, StagedFile } from "./staging.ts";
import { FerryError, fileError } from "./errors.ts";
import type { PartEntry } from "./header.ts";
import type { CreateOptions, ResumeOptions } from "./storage.ts";

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

/** What {@linkcode Parts} work with. */
export interface PartsOptions {
  /** Fails where another process has the directory by now. */
  assertHeld(): void;
  /** Told how many bytes of a part were recorded that is thrown away while nobody has it. */
  onDropped?(bytes: number): void;
}

/** A directory of files that nobody sees. */
export class Parts {
  readonly #directory: Directory;
  /** By their names in the directory. */
  readonly #kept = new Map<string, Kept>();
  readonly #options: PartsOptions;
  #mode: number | undefined;

  /**
   * The staging area in a directory; what no earlier process recorded there is removed.
   */
  constructor(directory: Directory, options: PartsOptions) {
    this.#directory = directory;
    this.#options = options;
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

  /** A new file. */
  create(filename: string, options: CreateOptions): Claim {
    this.#options.assertHeld();
    // The file comes last: whoever fails behind it would have to remove it.
    const mode = this.#newMode();
    return this.#claim(StagedFile.of(this.#create(), mode), { ...options, filename });
  }

  #create(): CreatedFile {
    try {
      return this.#directory.createFile(".part");
    } catch (error) {
      throw fileError(error);
    }
  }

  #newMode(): number {
    return this.#mode ??= modeOfNewFiles(this.#directory.path);
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
    this.#options.assertHeld();
    const path = this.#directory.at(name);
    // Until it is known what the part is worth, nobody else can have it.
    using _opening = kept.writer = new PartWriter();
    await using taken = new AsyncDisposableStack();
    const staged = StagedFile.claim(path, { create: false, mode: this.#newMode() });
    if (!staged) {
      // One that is there is somebody's: a command that is just being started holds the lock of its last
      // writer for a moment.
      if (!isTaken(path)) this.#drop(name, kept);
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
      this.#drop(name, kept);
      return undefined;
    }
    taken.move();
    return this.#claim(staged, { ...options, filename: kept.record.filename }, { kept, behind });
  }

  #candidates(filename: string, { size, owner = "" }: ResumeOptions): [string, Kept][] {
    return [...this.#kept]
      .filter(([, { record }]) => record.filename === filename && record.size === size)
      .filter(([, { record }]) => ownerOf(record) === owner)
      .sort(([, a], [, b]) => b.mtime - a.mtime);
  }

  #claim(
    staged: StagedFile,
    { filename, size, owner = "", onTakenOver }: CreateOptions & { filename: string },
    { kept, behind }: { kept?: Kept; behind?: PrefixDigest } = {},
  ): Claim {
    const { path } = staged;
    const name = basename(path);
    const writer = new PartWriter(onTakenOver);
    if (kept) kept.writer = writer;
    let keeping = false;
    return {
      staged,
      behind,
      touch: () => {
        this.#options.assertHeld();
        writer.touch();
      },
      checkpoint: (prefix) => {
        this.#options.assertHeld();
        const record = writeRecord(
          path,
          { filename, size: size ?? 0, checksum: null, prefix, owner },
          { exactly: true },
        );
        kept ??= { record, mtime: 0, writer };
        kept.record = record;
        kept.mtime = Date.now();
        this.#kept.set(name, kept);
      },
      keep: () => void (keeping = true),
      unrecord: () => {
        this.#options.assertHeld();
        if (!kept) return;
        voidRecord(path);
        this.#kept.delete(name);
      },
      get left() {
        return keeping && kept ? kept.record.prefix.size : 0;
      },
      [Symbol.asyncDispose]: async () => {
        using _released = writer;
        if (keeping && kept) staged.keep();
        else if (kept) this.#forget(name);
        await staged[Symbol.asyncDispose]();
      },
    };
  }

  /** Forgets a part that nobody has. */
  #drop(name: string, { record }: Kept): void {
    this.#forget(name);
    this.#options.onDropped?.(record.prefix.size);
  }

  #forget(name: string): void {
    this.#kept.delete(name);
    try {
      removeRecord(this.#directory.at(name));
    } catch {
      // The file goes next, and a record without one says nothing.
    }
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
    this.#options.assertHeld();
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
    this.#drop(name, kept);
    try {
      Deno.removeSync(this.#directory.at(name));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw fileError(error);
    }
  }
}

function ownerOf({ owner = "" }: PartRecord): string {
  return owner;
}
