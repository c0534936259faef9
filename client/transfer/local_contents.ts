/**
 * Local files as sources of contents that a download wants: such as those that were renamed or copied on the server.
 *
 * @module
 */

import { type Algorithm, algorithmOf, type Checksum } from "../../lib/core/checksum.ts";
import { basename } from "../../lib/core/paths.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import { readLocalFile } from "../../lib/files/local_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { checksumOfFile } from "./existing_file.ts";
import { type LocalEntry, walkLocal } from "./local_tree.ts";

/** Files of up to this size, in bytes, are read at once. */
const SMALL_BYTES = 64 * 1024;

/** How many files of the right size are read at most to find one content, as ferryd does. */
const MAX_TRIES = 8;

/** A content that is wanted. */
export interface WantedFile {
  /** The path that the file is to have. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its modification time in milliseconds since 1970. */
  readonly mtime: number;
}

/** The files below a directory, by their content. */
export class LocalContents {
  readonly #runtime: Runtime;
  readonly #bySize: ReadonlyMap<number, readonly LocalEntry[]>;
  /** The checksums that were computed, by path; null for a file that cannot be read. */
  readonly #checksums = new Map<string, Checksum | null>();

  private constructor(runtime: Runtime, bySize: ReadonlyMap<number, LocalEntry[]>) {
    this.#runtime = runtime;
    this.#bySize = bySize;
  }

  /** The files below a directory that have one of the sizes. What cannot be read is left out. */
  static async below(
    directory: string,
    sizes: ReadonlySet<number>,
    runtime: Runtime,
  ): Promise<LocalContents> {
    const bySize = new Map<number, LocalEntry[]>();
    const pace = new Pace();
    for await (const entry of walkLocal(directory)) {
      if (pace.isDue) await pace.rest();
      if (entry.type !== "file" || !sizes.has(entry.size)) continue;
      const there = bySize.get(entry.size);
      if (there) there.push(entry);
      else bySize.set(entry.size, [entry]);
    }
    return new LocalContents(runtime, bySize);
  }

  /**
   * The files that may have a content, the most likely ones first, up to {@linkcode MAX_TRIES}. Many small files have
   * the same size by chance, and are read only if the time or the last part of the name is the same as well.
   */
  candidates({ path, size, mtime }: WantedFile): LocalEntry[] {
    const name = basename(path);
    const likeness = (entry: LocalEntry) =>
      (entry.mtime === mtime ? 2 : 0) + (basename(entry.name) === name ? 1 : 0);
    return (this.#bySize.get(size) ?? [])
      .filter((entry) => entry.path !== path && (size > SMALL_BYTES || likeness(entry) > 0))
      .sort((a, b) => likeness(b) - likeness(a))
      .slice(0, MAX_TRIES);
  }

  /** The first of the candidates that has the content. */
  async find(
    candidates: readonly LocalEntry[],
    checksum: Checksum,
  ): Promise<LocalEntry | undefined> {
    const algorithm = algorithmOf(checksum)!;
    for (const entry of candidates) {
      if (await this.#checksumOf(entry, algorithm) === checksum) return entry;
    }
    return undefined;
  }

  async #checksumOf({ path, size }: LocalEntry, algorithm: Algorithm): Promise<Checksum | null> {
    const known = this.#checksums.get(path);
    if (known !== undefined) return known;
    let checksum: Checksum | null;
    try {
      checksum = size <= SMALL_BYTES
        ? await this.#runtime.digests.checksumOf(
          algorithm,
          (await readLocalFile(path, this.#runtime)).bytes,
        )
        : await checksumOfFile(path, algorithm, this.#runtime);
    } catch {
      // It vanished, is changing, or may not be read: then it is of no use here.
      checksum = null;
    }
    this.#checksums.set(path, checksum);
    return checksum;
  }
}
