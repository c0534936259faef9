/**
 * The content of an upload that is put together from a file that the server has, its basis, and from what is sent.
 *
 * @module
 */

import type { ByteSink, IncomingContent } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { parseFileName } from "../../lib/core/remote_name.ts";
import { AssembledContent } from "../../lib/delta/assembled_content.ts";
import { RecipeDecoder } from "../../lib/delta/recipe.ts";
import type { BlockHashes, PendingWrite, Storage, StoredFile } from "../storage/storage.ts";
import { BlockHasher, type KnownHashes, ObservedParts } from "./content_hashes.ts";
import type { Basis } from "./upload.ts";

/** What an upload from a basis consists of. */
export interface UploadFromBasisOptions {
  /** The storage, confined to what the client may read. */
  storage: Storage;
  /** The basis. */
  basis: Basis;
  /** The recipe, as it comes from the client. */
  recipe: IncomingContent;
  /** The size of the whole file in bytes. */
  size: number;
  /** The offset in the file of the first byte that the recipe describes. */
  offset: number;
}

/** The content that a recipe describes. It has the checksum that comes with the recipe. */
export class UploadFromBasis implements IncomingContent, AsyncDisposable {
  /** How many bytes the recipe describes. */
  readonly size: number;
  readonly #basis: StoredFile;
  readonly #recipe: IncomingContent;
  readonly #content: AssembledContent;
  readonly #parts: ObservedParts;

  private constructor(
    basis: StoredFile,
    { recipe, size, offset }: UploadFromBasisOptions,
    known: KnownHashes | undefined,
  ) {
    this.#basis = basis;
    this.#recipe = recipe;
    this.size = size - offset;
    const basisSize = basis.entry.size;
    this.#parts = new ObservedParts(new RecipeDecoder(recipe, this.size, basisSize), known);
    this.#content = new AssembledContent(this.#parts, {
      size: basisSize,
      seek: (at) => basis.seek(at),
      read: (into) => basis.read(into),
    });
  }

  /**
   * Opens the basis. It stays the same file even if another one gets its name.
   *
   * @throws {FerryError} `not_found`, `not_a_file`; `busy` if it has another version; `bad_version` if the storage does
   * not tell versions
   */
  static async open(options: UploadFromBasisOptions): Promise<UploadFromBasis> {
    const { storage, basis: { filename, version }, recipe } = options;
    const basis = await storage.open(parseFileName(filename), recipe.algorithm);
    try {
      assertVersion(basis, version);
      return new UploadFromBasis(basis, options, await knownOf(basis, options));
    } catch (error) {
      await basis[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** See {@linkcode IncomingContent.algorithm}. */
  get algorithm(): Algorithm {
    return this.#recipe.algorithm;
  }

  /** See {@linkcode IncomingContent.checksum}. */
  get checksum(): Checksum | null {
    return this.#recipe.checksum;
  }

  /**
   * See {@linkcode IncomingContent.read}.
   *
   * @throws {FerryError} `bad_header` if the recipe is not valid; `busy` if the basis cannot be read any more
   */
  async read(into: Uint8Array): Promise<number> {
    const count = await this.#content.read(into);
    this.#parts.add(into.subarray(0, count));
    return count;
  }

  /** A sink that writes the content, and tells the storage what of it is in the basis, if that is of any use. */
  sinkInto(write: PendingWrite): ByteSink {
    const { writeCopied } = write;
    if (!writeCopied) return write;
    let at = 0;
    return {
      write: (bytes) => {
        const offset = this.#content.originOf(at, bytes.length);
        at += bytes.length;
        if (offset === undefined) return write.write(bytes);
        return writeCopied.call(write, bytes, { file: this.#basis, offset });
      },
    };
  }

  /** How many bytes were taken from the basis. */
  get reused(): number {
    return this.#parts.copied;
  }

  /** The hashes of the blocks of the whole content after all of it was read, if they are known. */
  get blocks(): BlockHashes | undefined {
    return this.#parts.finish();
  }

  /** Forgets what was known of the basis: a client has come to a wrong result with it. */
  async doubt(): Promise<void> {
    await this.#basis.forgetHashes();
  }

  /** Closes the basis. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#basis[Symbol.asyncDispose]();
  }
}

/** What is known of the hashes of the basis. Of an upload that goes on, those of its beginning are not known. */
async function knownOf(
  file: StoredFile,
  { size, offset }: UploadFromBasisOptions,
): Promise<KnownHashes | undefined> {
  const basis = offset === 0 ? await file.findHashes() : undefined;
  const hasher = basis && await BlockHasher.create(basis.block, size);
  return hasher && { basis: basis!, hasher };
}

/**
 * Checks that a file has a version.
 *
 * @throws {FerryError} `busy` if it has another; `bad_version` if the storage does not tell versions
 */
export function assertVersion(file: StoredFile, version: string): void {
  if (versionOf(file) === version) return;
  throw new FerryError("busy", "the file was changed meanwhile");
}

/**
 * The version of a file.
 *
 * @throws {FerryError} `bad_version` if the storage does not tell versions
 */
export function versionOf({ version }: StoredFile): string {
  if (version !== undefined) return version;
  throw new FerryError("bad_version", "the server cannot tell whether its files change");
}
