/**
 * What an archive of a directory holds: all that is below the directory, in the order of a list, and at the end a text
 * about what had to be left out.
 *
 * @module
 */

import type { Entry, Listed, Omitted } from "../../lib/core/entry.ts";
import { type ErrorCode, escapeControls, FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { FileService } from "./file_service.ts";
import type { OpenedFile } from "./opened_file.ts";

/** The size in which files are read, in bytes. */
export const PIECE_BYTES: number = 64 * 1024;

/** The errors by which a single file cannot be read while others can. */
const LEFT_OUT: readonly ErrorCode[] = ["not_found", "not_a_file", "denied", "bad_name", "io"];

/** A file or a directory in an archive. */
export interface ArchivedEntry extends Omit<Entry, "filename" | "checksum"> {
  /** Its path in the archive, without a slash at the end. */
  readonly path: string;
  /**
   * The content of a file, `size` bytes in pieces that are not used again. It has to be read to its end before the next
   * entry is asked for. It fails if the file changes meanwhile.
   */
  content(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;
}

/** Options of {@linkcode archivedTree}. */
export interface ArchivedTreeOptions {
  /** The name of the directory; "" is the root. */
  readonly directory: string;
  /** Only these entries of the directory. Default: undefined, all. */
  readonly only?: readonly Entry[] | undefined;
  /** The directory of the archive that has everything in it. */
  readonly folder: string;
}

/**
 * Entries of a directory by their names, each of them once.
 *
 * @throws {FerryError} `not_found`, `not_a_file`, `bad_name`, `denied`
 */
export async function entriesIn(
  files: FileService,
  directory: string,
  names: readonly string[],
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const name of new Set(names)) {
    if (name === "" || name.includes("/")) {
      throw new FerryError("bad_name", "it is no entry of the directory");
    }
    const entry = await files.find(directory === "" ? name : `${directory}/${name}`, "md5");
    if (!entry) throw new FerryError("not_found", "no such file or directory");
    entries.push(entry);
  }
  return entries;
}

/**
 * The entries of an archive of a directory. Files are opened one after the other, as the archive is made.
 *
 * @throws {FerryError} `not_found`, `not_a_file`
 */
export async function* archivedTree(
  files: FileService,
  { directory, only, folder }: ArchivedTreeOptions,
): AsyncGenerator<ArchivedEntry, void, void> {
  const start = directory === "" ? 0 : directory.length + 1;
  const leftOut: string[] = [];
  const leave = (filename: string, why: Omitted) =>
    leftOut.push(`${escapeControls(filename.slice(start))}: ${reasonOf(why)}\n`);
  const noteNames = new NoteNames();
  for await (const listed of listedIn(files, directory, only)) {
    const { filename } = listed;
    if (listed.omitted !== undefined) leave(filename, listed.omitted);
    if (listed.type === undefined) continue;
    const name = filename.slice(start);
    noteNames.add(name);
    const path = `${folder}/${name}`;
    if (listed.type === "directory") {
      yield { ...attributesOf(listed), path, content: noContent };
      continue;
    }
    const file = await openOr(files, filename, (error) => leave(filename, error));
    if (!file) continue;
    try {
      yield { ...attributesOf(file.entry), path, content: () => contentOf(file) };
    } finally {
      await file[Symbol.asyncDispose]();
    }
  }
  if (leftOut.length > 0) yield note(`${folder}/${noteNames.free}`, leftOut.join(""));
}

/** What is below a directory, or only some entries of it and what is below those. */
async function* listedIn(
  files: FileService,
  directory: string,
  only: readonly Entry[] | undefined,
): AsyncGenerator<Listed, void, void> {
  const options = { recursive: true, omitted: true };
  if (only === undefined) return yield* await files.list(directory, options);
  for (const entry of only) {
    yield entry;
    if (entry.type === "directory") yield* await files.list(entry.filename, options);
  }
}

/** Opens a file; undefined if it cannot be read, though others may. */
async function openOr(
  files: FileService,
  filename: string,
  leave: (error: FerryError) => void,
): Promise<OpenedFile | undefined> {
  try {
    return await files.open(filename, { algorithm: "md5" });
  } catch (error) {
    const failure = toFerryError(error);
    if (!LEFT_OUT.includes(failure.code)) throw error;
    leave(failure);
    return undefined;
  }
}

function attributesOf({ type, size, mtime, mode }: Entry): Omit<ArchivedEntry, "path" | "content"> {
  return { type, size, mtime, mode };
}

async function* noContent(): AsyncGenerator<never, void, void> {}

async function* contentOf(file: OpenedFile): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { size } = file.entry;
  const source = file.part({ offset: 0, size });
  for (let left = size; left > 0;) {
    const piece = new Uint8Array(Math.min(left, PIECE_BYTES));
    const count = await source.read(piece);
    if (count === null) {
      throw new FerryError("io", `it shrank while it was sent: ${left} of ${size} bytes are left`);
    }
    left -= count;
    // Before the last bytes, since an archive of which nothing is missing is taken for whole.
    if (left === 0) await file.assertUnchanged();
    yield piece.subarray(0, count);
  }
}

/** The file of an archive that tells what is not in it. */
function note(path: string, text: string): ArchivedEntry {
  const bytes = new TextEncoder().encode(`Not in this archive:\n${text}`);
  return {
    path,
    type: "file",
    size: bytes.length,
    mtime: Date.now(),
    mode: 0o644,
    async *content() {
      yield bytes;
    },
  };
}

function reasonOf(why: Omitted): string {
  if (why instanceof FerryError) return why.reason;
  return why === "vanished" ? "it vanished meanwhile" : `it is a ${why}`;
}

/** Finds a name for the note that no entry has. */
class NoteNames {
  readonly #taken = new Set<string>();

  /** An entry has this name. */
  add(name: string): void {
    if (/^NOT IN THIS ARCHIVE/.test(name)) this.#taken.add(name);
  }

  /** A name that none has. */
  get free(): string {
    for (let at = 1;; at++) {
      const name = `NOT IN THIS ARCHIVE${at === 1 ? "" : ` (${at})`}.txt`;
      if (!this.#taken.has(name)) return name;
    }
  }
}
