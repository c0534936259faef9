/**
 * Looks at names in a bucket: what stands under them, and whether something can be created there.
 *
 * Where other programs have stored both `a` and `a/x`, the file wins: `a` is a file.
 *
 * @module
 */

import { FerryError } from "../../../lib/core/errors.ts";
import { type FileName, parentName } from "../../../lib/core/remote_name.ts";
import type { Clock } from "../../../lib/core/clock.ts";
import { absentNames } from "./absent_names.ts";
import type {
  Bucket,
  ListedObject,
  ListPageOptions,
  ObjectHead,
  RequestOptions,
} from "./bucket.ts";
import { isClaim } from "./claim.ts";
import { inParallel, settled } from "../in_parallel.ts";
import { fits, MAX_KEY_BYTES, prefixOf } from "./object_names.ts";

/** For how long it is taken for granted that a name is still no file, or no directory, in milliseconds. */
const KNOWN_MS = 15_000;

/** Of how many names each of that is known at most. */
const MOST_KNOWN = 10_000;

/** How many names are looked at at the same time. */
const AT_ONCE = 16;

/** What stands under a name: a file or a directory. */
export type Found = ObjectHead | "directory";

/** Options of {@linkcode NameLookup}. */
export interface NameLookupOptions {
  /** The length of the prefix in the bucket, with the slash at its end, in bytes of UTF-8. */
  prefixBytes: number;
  /** The clock. */
  clock: Clock;
}

/** Looks at names in a bucket. */
export class NameLookup {
  readonly #bucket: Bucket;
  /** How many bytes of UTF-8 a name may have. */
  readonly maxNameBytes: number;
  /** Names that were seen not to be files. */
  readonly #noFiles: RecentNames;
  /** Names that were seen not to be directories. */
  readonly #noDirectories: RecentNames;

  /** Looks at names in that bucket. */
  constructor(bucket: Bucket, { prefixBytes, clock }: NameLookupOptions) {
    this.#bucket = bucket;
    this.#noFiles = new RecentNames(clock);
    this.#noDirectories = new RecentNames(clock);
    // A directory has a slash at the end of its key.
    this.maxNameBytes = MAX_KEY_BYTES - prefixBytes - 1;
  }

  /** Whether the store can hold a file or directory of a name. */
  fits(name: string): boolean {
    return fits(name, this.maxNameBytes);
  }

  /**
   * Fails if the store cannot hold a file or directory of a name.
   *
   * @throws {FerryError} `bad_name`
   */
  assertFits(name: string): void {
    if (this.fits(name)) return;
    const reason =
      `the name is longer than the ${this.maxNameBytes} bytes that the store has for it`;
    throw new FerryError("bad_name", reason);
  }

  /**
   * The file with a name; undefined if there is none.
   *
   * @throws {FerryError} as `Bucket.head`
   */
  async head(name: FileName, options?: RequestOptions): Promise<ObjectHead | undefined> {
    if (!this.fits(name)) return undefined;
    const head = await this.#bucket.head(name, options);
    return head && !isClaim(head) ? head : undefined;
  }

  /**
   * Whether there is a marker of a directory, or anything below it. The root always exists.
   *
   * @throws {FerryError} as {@linkcode NameLookup.head}
   */
  async isDirectory(name: FileName | "", options?: RequestOptions): Promise<boolean> {
    if (name === "") return true;
    if (!this.fits(name)) return false;
    for await (
      const objects of pagesOf(this.#bucket, { prefix: prefixOf(name), max: 2, ...options })
    ) {
      if (objects.some((object) => !isClaim(object))) return true;
    }
    return false;
  }

  /**
   * What stands under a name; undefined if nothing does.
   *
   * @throws {FerryError} as {@linkcode NameLookup.head}
   */
  async look(name: FileName, options?: RequestOptions): Promise<Found | undefined> {
    const head = await this.head(name, options);
    return head ?? (await this.isDirectory(name, options) ? "directory" : undefined);
  }

  /**
   * Fails if nothing can exist under a name. A directory that was seen to be no file a few seconds ago is not looked at
   * again.
   *
   * @throws {FerryError} `not_a_file` if one of the parent directories is a file; `bad_name`, `io`
   */
  async assertParents(name: FileName, options?: RequestOptions): Promise<void> {
    this.assertFits(name);
    // Whoever asks may make them directories right after.
    for (const parent of parentsOf(name)) this.#noDirectories.delete(parent);
    const unknown = parentsOf(name).filter((parent) => !this.#noFiles.has(parent));
    await inParallel(AT_ONCE, unknown, async (parent, failed) => {
      const signal = AbortSignal.any([failed, ...(options?.signal ? [options.signal] : [])]);
      if (await this.head(parent, { signal })) {
        throw new FerryError("not_a_file", "a part of the name is not a directory");
      }
      this.#noFiles.add(parent);
    });
  }

  /**
   * Those of many names that stand for nothing, found by few requests; not necessarily all of them. For some seconds it
   * is taken for granted that they are no directories.
   */
  async absentAmong(names: readonly FileName[], options?: RequestOptions): Promise<Set<FileName>> {
    const absent = await absentNames(
      this.#bucket,
      names.filter((name) => this.fits(name)),
      options,
    );
    for (const name of absent) this.#noDirectories.add(name);
    return absent;
  }

  /**
   * Fails if no file can be created under a name.
   *
   * @throws {FerryError} `not_a_file` if it is a directory, or one of its parent directories is a file; `bad_name`,
   * `io`
   */
  async assertPlaceable(name: FileName, options?: RequestOptions): Promise<void> {
    const [, isDirectory] = await settled([
      this.assertParents(name, options),
      this.#noDirectories.has(name) ? Promise.resolve(false) : this.isDirectory(name, options),
    ]);
    if (isDirectory) throw new FerryError("not_a_file", "it is a directory");
  }

  /** Says that a name has become that of a file. */
  published(name: FileName): void {
    this.#noFiles.delete(name);
    for (const parent of parentsOf(name)) this.#noDirectories.delete(parent);
  }

  /** Says that a name has become that of a directory. */
  madeDirectory(name: FileName): void {
    for (const made of [name, ...parentsOf(name)]) this.#noDirectories.delete(made);
  }
}

/** Names of which something was seen a few seconds ago. */
class RecentNames {
  readonly #clock: Clock;
  /** The monotonic time until which each counts, the oldest first. */
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(name: string): boolean {
    return (this.#until.get(name) ?? -Infinity) >= this.#clock.monotonic();
  }

  add(name: string): void {
    this.#until.delete(name);
    this.#until.set(name, this.#clock.monotonic() + KNOWN_MS);
    if (this.#until.size <= MOST_KNOWN) return;
    const [oldest] = this.#until.keys();
    this.#until.delete(oldest!);
  }

  delete(name: string): void {
    this.#until.delete(name);
  }
}

/** The objects of a list, page by page. */
export async function* pagesOf(
  bucket: Bucket,
  options: ListPageOptions & RequestOptions,
): AsyncGenerator<readonly ListedObject[], void, void> {
  for (let next: string | undefined;;) {
    const page = await bucket.list({ ...options, next });
    yield page.objects;
    if ((next = page.next) === undefined) return;
  }
}

/** The names of all directories above a name, without the root. */
function parentsOf(name: FileName): FileName[] {
  const parents: FileName[] = [];
  for (let parent = parentName(name); parent !== ""; parent = parentName(parent)) {
    parents.push(parent);
  }
  return parents;
}
