/**
 * The staging area of a storage: files that are being written, and the parts that were kept of those that
 * were cut.
 *
 * @module
 */

import type { PrefixDigest, SavedPrefix } from "./checksum.ts";
import type { Directory } from "./directory.ts";
import { basename } from "./path.ts";
import { goOnWith, type PartRecord, readRecord, removeRecord, writeRecord } from "./partial.ts";
import { type CreatedFile, isTaken, StagedFile } from "./staging.ts";
import { toFerryError } from "./errors.ts";
import type { PartEntry } from "./header.ts";
import type { CreateOptions, ResumeOptions } from "./storage.ts";

/** A writer that has moved no byte for so long may be taken over from, in milliseconds. */
const STALLED_MS = 2000;

/** How often a writer is looked at while another one waits for its part, in milliseconds. */
const LOOK_MS = 100;

interface Kept {
  record: PartRecord;
  /** When it was last written to. */
  mtime: number;
  writer: Writer | undefined;
}

/** Who is writing to a part. */
interface Writer {
  touched: number;
  takeOver: () => void;
  released: Promise<void>;
}

/** A file in the staging area that one writer has. */
export interface Claim extends AsyncDisposable {
  /** The file. */
  readonly staged: StagedFile;
  /** The digest of the bytes that it held when it was claimed. */
  readonly behind: PrefixDigest | undefined;
  /** Tells that bytes are moving. */
  touch(): void;
  /** Records how far it has come. */
  checkpoint(prefix: SavedPrefix): void;
  /** Makes disposal keep it, if it was ever recorded. */
  keep(): void;
  /** How many bytes disposal leaves. */
  readonly left: number;
}

/** A directory of files that nobody sees. */
export class Parts {
  readonly #directory: Directory;
  /** By their names in the directory. */
  readonly #kept = new Map<string, Kept>();
  #mode: number | undefined;

  /** The staging area in a directory; what no earlier process recorded there is removed. */
  constructor(directory: Directory) {
    this.#directory = directory;
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
    const staged = StagedFile.of(this.#create(), this.#newMode());
    return this.#claim(staged, { ...options, filename });
  }

  #create(): CreatedFile {
    try {
      return this.#directory.createFile(".part");
    } catch (error) {
      throw toFerryError(error);
    }
  }

  /** The permission bits of a new file: what the system gives to a new directory, without those to search it. */
  #newMode(): number {
    if (this.#mode === undefined) {
      const path = this.#directory.at(crypto.randomUUID());
      try {
        Deno.mkdirSync(path);
        this.#mode = (Deno.lstatSync(path).mode ?? 0o644) & 0o666;
        Deno.removeSync(path);
      } catch (error) {
        throw toFerryError(error);
      }
    }
    return this.#mode;
  }

  /** The owner's part of a file that was written last, for one writer. */
  async resume(filename: string, options: ResumeOptions): Promise<Claim | undefined> {
    const { algorithm } = options;
    for (const [name, kept] of this.#candidates(filename, options)) {
      if (kept.writer && !await stalled(kept.writer)) continue;
      kept.writer?.takeOver();
      await kept.writer?.released;
      // Another one may have been quicker meanwhile, or the writer found it worthless.
      if (kept.writer || this.#kept.get(name) !== kept) continue;
      const opened = Promise.withResolvers<void>();
      kept.writer = { touched: Date.now(), takeOver: () => {}, released: opened.promise };
      const staged = StagedFile.claim(this.#directory.at(name), {
        create: false,
        mode: this.#newMode(),
      });
      // Whoever goes on has to show quickly that it has the same bytes.
      const behind = staged && await goOnWith(staged, kept.record, { algorithm, proof: true });
      opened.resolve();
      kept.writer = undefined;
      if (behind) return this.#claim(staged, { ...options, filename }, { kept, behind });
      await staged?.[Symbol.asyncDispose]();
      // One that is there and could not be had is somebody's: a command that is just being started holds the
      // lock of its last writer for a moment.
      if (staged || !isTaken(this.#directory.at(name))) this.#forget(name);
    }
    return undefined;
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
    const released = Promise.withResolvers<void>();
    const writer: Writer = {
      touched: Date.now(),
      takeOver: () => onTakenOver?.(),
      released: released.promise,
    };
    if (kept) kept.writer = writer;
    let keeping = false;
    return {
      staged,
      behind,
      touch: () => void (writer.touched = Date.now()),
      checkpoint: (prefix) => {
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
      get left() {
        return keeping && kept ? kept.record.prefix.size : 0;
      },
      [Symbol.asyncDispose]: async () => {
        if (keeping && kept) staged.keep();
        else this.#forget(name);
        await staged[Symbol.asyncDispose]();
        if (kept) kept.writer = undefined;
        released.resolve();
      },
    };
  }

  #forget(name: string): void {
    if (this.#kept.delete(name)) removeRecord(this.#directory.at(name));
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
      active: writer !== undefined,
    }));
  }

  /** Removes those that nobody has written to for `ttl` milliseconds, and tells how many bytes they were. */
  expire(ttl: number): number {
    let bytes = 0;
    for (const [name, { mtime, writer, record }] of this.#kept) {
      if (writer || mtime > Date.now() - ttl) continue;
      this.#forget(name);
      bytes += record.prefix.size;
      try {
        Deno.removeSync(this.#directory.at(name));
      } catch {
        // Somebody else has removed it.
      }
    }
    return bytes;
  }
}

function ownerOf({ owner = "" }: PartRecord): string {
  return owner;
}

/** Looks at a writer for a while: whether no byte has moved for {@linkcode STALLED_MS}. */
async function stalled(writer: Writer): Promise<boolean> {
  const { touched } = writer;
  let released = false;
  void writer.released.then(() => released = true);
  while (!released && writer.touched === touched && Date.now() - touched < STALLED_MS) {
    const look = Promise.withResolvers<void>();
    const timer = setTimeout(look.resolve, LOOK_MS);
    await Promise.race([writer.released, look.promise]);
    clearTimeout(timer);
  }
  return released || writer.touched === touched;
}
