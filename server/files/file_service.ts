/**
 * What requests do with files: which names they may use, and which files they see, read, change and remove. It is
 * independent of the protocol: each protocol translates its requests into these calls.
 *
 * Uploads are in `upload_service.ts`.
 *
 * @module
 */

import { type Algorithm, algorithmOf, type Checksum } from "../../lib/core/checksum.ts";
import type { Entry, Listed } from "../../lib/core/entry.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import {
  type FileName,
  parentName,
  parseDirectoryName,
  parseFileName,
} from "../../lib/core/remote_name.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Permit } from "../auth/permit.ts";
import type { ListOptions, Storage, StoredFile } from "../storage/storage.ts";
import {
  type ComparedFile,
  compareFiles,
  type CompareOptions,
  type ComparisonResult,
} from "./comparison.ts";
import { assertVersion } from "./basis.ts";
import { existingDirectory } from "./existing_directory.ts";
import { FileRanges, type WantedRanges } from "./file_ranges.ts";
import { FileSignature, type WantedSignature } from "./file_signature.ts";
import { OpenedFile, type OpenFileOptions } from "./opened_file.ts";
import { decideOnLink, type WantedLink } from "./linking.ts";
import { policyFor } from "./overwriting.ts";
import { conditionOf, type Precondition } from "./precondition.ts";
import { type Reread, reread } from "./reread.ts";

/** Up to this size, in bytes, reading a file twice costs less than to share what was read. */
const UNSHARED_BYTES = 8 * 1024 * 1024;

/** What the file services of one client have in common. */
export interface FileServiceOptions {
  /** The storage that keeps the files. */
  storage: Storage;
  /** What computes digests. */
  runtime: Runtime;
}

/** A file that is stored, as a client knows it. */
export interface ConfirmedFile {
  /** Its name. */
  readonly filename: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its checksum. */
  readonly checksum: Checksum;
}

/** Whether files can be served. */
export interface Health {
  /** The error that prevents serving; undefined if there is none. */
  readonly problem?: FerryError | undefined;
  /** What the storage cannot guarantee, as English sentences. */
  readonly shortcomings: readonly string[];
}

/**
 * The files that one request may reach, as its permit allows: otherwise every method fails with `auth_required` or
 * `denied`. Names are as the client gave them; every method fails with `bad_name` for an invalid one.
 */
export class FileService {
  readonly #permit: Permit;
  readonly #options: FileServiceOptions;
  /** The storage within the bounds of the permit. */
  readonly #storage: Storage;
  readonly #assertMay: () => void;

  /** The files for a request that has this permit. */
  constructor(permit: Permit, options: FileServiceOptions) {
    this.#permit = permit;
    this.#options = options;
    this.#storage = permit.confine(options.storage);
    this.#assertMay = () => permit.assert();
  }

  /** Whether files can be served now. */
  async health(): Promise<Health> {
    const { storage } = this.#options;
    try {
      await storage.assertServing();
      return { shortcomings: storage.shortcomings ?? [] };
    } catch (error) {
      return { problem: toFerryError(error), shortcomings: [] };
    }
  }

  /**
   * Opens a file, or a part of it, for reading.
   *
   * @throws {FerryError} `not_found`, `not_a_file`; as {@linkcode OpenedFile.of}
   */
  async open(filename: string, options: OpenFileOptions): Promise<OpenedFile> {
    const stored = await this.#openKnown(this.#shown(parseFileName(filename)), options);
    try {
      const opened = await OpenedFile.of(this.#options.runtime, stored, options);
      // Check again: reading the file to verify a prefix may have taken a while.
      this.#permit.assert();
      return opened;
    } catch (error) {
      await stored[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Opens a file. If it is large and would have to be read for its checksums, that is done first, by its name: requests
   * that ask at the same time share it, and the client need not wait any longer once its permit ends.
   */
  async #openKnown(
    name: FileName,
    { algorithm, checksums = [] }: OpenFileOptions,
  ): Promise<StoredFile> {
    const stored = await this.#storage.open(name, algorithm);
    if (checksums.length === 0 || stored.entry.size <= UNSHARED_BYTES) return stored;
    try {
      const unknown: Algorithm[] = [];
      for (const each of checksums) if (await stored.find(each) === null) unknown.push(each);
      if (unknown.length === 0) return stored;
      for (const each of unknown) await this.#permit.wait(this.#storage.checksum(name, each));
    } catch (error) {
      await stored[Symbol.asyncDispose]();
      throw error;
    }
    await stored[Symbol.asyncDispose]();
    return await this.#storage.open(name, algorithm);
  }

  /**
   * Opens a file for its signature.
   *
   * @throws {FerryError} `not_found`, `not_a_file`; as {@linkcode FileSignature.of}
   */
  async signature(filename: string, wanted: WantedSignature): Promise<FileSignature> {
    const stored = await this.#storage.open(this.#shown(parseFileName(filename)), "md5");
    try {
      return FileSignature.of(this.#options.runtime, stored, wanted);
    } catch (error) {
      await stored[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Opens ranges of a file for reading.
   *
   * @throws {FerryError} `not_found`, `not_a_file`; as {@linkcode FileRanges.of}
   */
  async openRanges(filename: string, wanted: WantedRanges): Promise<FileRanges> {
    const name = this.#shown(parseFileName(filename));
    const stored = await this.#storage.open(name, wanted.algorithm);
    try {
      const ranges = await FileRanges.of(this.#options.runtime, stored, wanted);
      this.#permit.assert();
      return ranges;
    } catch (error) {
      await stored[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * The entries below a directory; "" is the root. They are read as they are consumed.
   *
   * @throws {FerryError} `not_found`, `not_a_file`
   */
  async list(directory: string, options: ListOptions): Promise<AsyncIterable<Listed>> {
    const only = this.#permit.link?.only;
    if (only !== undefined && parseDirectoryName(directory) === parentName(only)) {
      return ofOne(await this.#storage.stat(only));
    }
    this.#shown(parseDirectoryName(directory));
    return this.#storage.list(await existingDirectory(this.#storage, directory), options);
  }

  /**
   * The entry of a name; "" is the root. The file is read for its checksum if that is not known.
   *
   * @param options.version the version that the file has to have. Default: any
   * @throws {FerryError} `not_found`, `not_a_file`; `busy` if it has another version
   */
  async stat(
    filename: string,
    algorithm: Algorithm,
    { version }: { version?: string | undefined } = {},
  ): Promise<Entry> {
    if (version !== undefined) {
      await using file = await this.open(filename, { algorithm, version, checksums: [algorithm] });
      return { ...file.entry, checksum: file.known(algorithm) };
    }
    const name = this.#shown(parseDirectoryName(filename));
    const entry = await this.#storage.stat(name, algorithm);
    if (name === "" || entry.type !== "file") return { ...entry, checksum: null };
    return { ...entry, checksum: await this.#permit.wait(this.#storage.checksum(name, algorithm)) };
  }

  /**
   * Reads a file again, whatever is known of it.
   *
   * @throws {FerryError} `not_found`, `not_a_file`; `io` if it cannot be read, or changes meanwhile
   */
  async verify(filename: string, algorithm: Algorithm): Promise<Reread & { entry: Entry }> {
    const name = this.#shown(parseFileName(filename));
    await using file = await this.#storage.open(name, algorithm);
    const pause = () => Promise.resolve(this.#permit.assert());
    const result = await reread(this.#options.runtime, file, { algorithm, pause });
    return { ...result, entry: file.entry };
  }

  /**
   * Makes sure that a file is stored as a client says. It is not read if its checksum was recorded with its upload.
   *
   * @param wanted.checksum null for any, which needs the scope `read`
   * @throws {FerryError} `exists` if it has another content, `not_found`, `not_a_file`; `busy` if it is replaced
   * meanwhile
   */
  async confirm(
    filename: string,
    { size, checksum, algorithm }: {
      size: number;
      checksum: Checksum | null;
      algorithm: Algorithm;
    },
  ): Promise<ConfirmedFile> {
    const name = this.#shown(parseFileName(filename));
    if (checksum === null) this.#permit.assert({ op: "stat", filename });
    await using file = await this.#storage.open(name, algorithm);
    const expected = await file.expected();
    const isKnown = expected !== null && algorithmOf(expected) === algorithm;
    const has = isKnown ? expected : await this.#checksumOf(name, file, algorithm);
    if (file.entry.size === size && (checksum ?? has) === has) {
      return { filename, size, checksum: has };
    }
    throw new FerryError("exists", "another content has that name now");
  }

  /** The checksum of a file that was opened by its name, and has to keep that. */
  async #checksumOf(name: FileName, file: StoredFile, algorithm: Algorithm): Promise<Checksum> {
    const checksum = await this.#permit.wait(this.#storage.checksum(name, algorithm));
    await using now = await this.#storage.open(name, algorithm);
    if (file.version !== undefined) assertVersion(now, file.version);
    return checksum;
  }

  /**
   * The entry of a name; undefined if nothing exists there. Its checksum is null if it is not known without reading the
   * file.
   *
   * @throws {FerryError} `not_a_file`
   */
  async find(filename: string, algorithm: Algorithm): Promise<Entry | undefined> {
    return await this.#storage.find(this.#shown(parseDirectoryName(filename)), algorithm);
  }

  /**
   * Finds out which of many files the client would have to send; see {@linkcode compareFiles}. If the client may not
   * ask about a file, only that file is refused.
   *
   * @param options `known` is true where the client also wants to know which contents it need not send. Default: false
   */
  compare(
    files: AsyncIterable<readonly ComparedFile[]>,
    { known = false, ...options }: {
      overwrite: Overwrite;
      algorithm: Algorithm;
      content: boolean;
      known?: boolean;
    },
  ): AsyncGenerator<ComparisonResult, void, void> {
    const assertMay = (filename: string) => this.#permit.assert({ op: "compare", filename });
    const findContents = known ? this.#readableContents() : undefined;
    return compareFiles(this.#storage, files, { ...options, assertMay, findContents });
  }

  /** Finds contents in what the client may read, and nowhere else; undefined if the storage cannot. */
  #readableContents(): CompareOptions["findContents"] {
    // The request itself has the bounds of what may be read and written.
    const readable = this.#permit.confine(this.#options.storage, { op: "get", filename: "" });
    if (!readable.findContents) return undefined;
    return (wanted) => readable.findContents!(wanted, this.#permit.readable);
  }

  /**
   * Makes a symbolic link.
   *
   * @returns whether nothing was changed: the same link is there, or something that is not older
   * @throws {FerryError} `exists`, `not_a_file`; `denied` for a target that leads out, or if no links are kept
   */
  async link(filename: string, wanted: WantedLink): Promise<{ unchanged: boolean }> {
    const { links } = this.#storage;
    const { target, mtime } = wanted;
    const name = parseFileName(filename);
    const overwrite = policyFor(this.#permit, wanted);
    const isThere = async () => {
      return await decideOnLink(links, name, { target, mtime, overwrite }) === "have";
    };
    if (await isThere()) return { unchanged: true };
    try {
      const replace = overwrite !== "never";
      await links!.create(name, target, { replace, mtime, assertMay: this.#assertMay });
      return { unchanged: false };
    } catch (error) {
      // Somebody else may have made the same link meanwhile.
      if (toFerryError(error).code !== "exists" || !await isThere()) throw error;
      return { unchanged: true };
    }
  }

  /**
   * Creates a directory and missing parent directories. A directory that exists is not an error.
   *
   * @throws {FerryError} `exists`, `not_a_file`
   */
  async mkdir(filename: string): Promise<void> {
    await this.#storage.mkdir(parseFileName(filename), { assertMay: this.#assertMay });
  }

  /**
   * Deletes a file, or with `recursive` a directory and its contents.
   *
   * @param options.within the directory that the name must not be led out of by a symbolic link below it. Default: any.
   * @throws {FerryError} `not_found`, `not_a_file`; `exists` if the precondition does not hold
   */
  async remove(
    filename: string,
    { recursive, precondition, within, onChanged }: {
      recursive: boolean;
      precondition?: Precondition | undefined;
      within?: string | undefined;
      onChanged?: (() => void) | undefined;
    },
  ): Promise<void> {
    using ending = this.#ending();
    const { signal } = ending;
    const name = parseFileName(filename);
    await this.#storage.remove(name, {
      recursive,
      signal,
      condition: precondition && conditionOf(precondition),
      within: directoryAround(name, within),
      onChanged,
    });
  }

  /**
   * Renames a file or a directory.
   *
   * @param replace whether an existing file of the new name is replaced
   * @param options.within as for {@linkcode FileService.remove}, of the present name
   * @param options.keep whether a file keeps its present name as well. Default: false.
   * @throws {FerryError} `not_found`, `exists`, `not_a_file`
   */
  async move(
    from: string,
    to: string,
    { replace, within, keep, onChanged }: {
      replace: boolean;
      within?: string | undefined;
      keep?: boolean | undefined;
      onChanged?: (() => void) | undefined;
    },
  ): Promise<void> {
    using ending = this.#ending();
    const name = parseFileName(from);
    await this.#storage.move(name, parseFileName(to), {
      replace,
      keep,
      within: directoryAround(name, within),
      onChanged,
      assertMay: this.#assertMay,
      signal: ending.signal,
    });
  }

  /**
   * A name, if the client may see what is there. By a link to one file it sees nothing else, whichever name the request
   * was allowed for: a request to list the directory of that file may go on to names in it.
   *
   * @throws {FerryError} `denied`
   */
  #shown<Name extends FileName | "">(filename: Name): Name {
    if (this.#permit.link?.only !== undefined) this.#permit.assert({ op: "get", filename });
    return filename;
  }

  /** A signal that is aborted when the permit ends, until it is disposed of. */
  #ending(): Disposable & { readonly signal: AbortSignal } {
    const ended = new AbortController();
    const watch = this.#permit.onEnd((error) => ended.abort(error));
    return { signal: ended.signal, [Symbol.dispose]: () => watch[Symbol.dispose]() };
  }
}

/**
 * The directory that a request says a name is in.
 *
 * @throws {FerryError} `bad_name` if it is not in it
 */
function directoryAround(name: FileName, within: string | undefined): FileName | "" | undefined {
  if (within === undefined) return undefined;
  const directory = parseDirectoryName(within);
  if (directory === "" || name.startsWith(`${directory}/`)) return directory;
  throw new FerryError("bad_name", `it is not in ${quote(directory)}`);
}

/** The entries of a directory of which a client sees one file. */
async function* ofOne(entry: Entry): AsyncGenerator<Listed, void, void> {
  yield await Promise.resolve(entry);
}
