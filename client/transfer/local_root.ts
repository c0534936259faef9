/**
 * The local directory that is uploaded, and whether it is still the one that the upload has begun with.
 *
 * @module
 */

import { FerryError, fileError } from "../../lib/core/errors.ts";

/** A directory at a path. */
export class LocalRoot {
  /** The path. */
  readonly path: string;
  readonly #identity: string;

  private constructor(path: string, identity: string) {
    this.path = path;
    this.#identity = identity;
  }

  /**
   * The directory to which a path leads now; links are followed.
   *
   * @throws {FerryError} where there is none
   */
  static at(path: string): LocalRoot {
    try {
      return new LocalRoot(path, identityAt(path));
    } catch (error) {
      throw fileError(error);
    }
  }

  /** Whether the path still leads to it. */
  get stands(): boolean {
    try {
      return identityAt(this.path) === this.#identity;
    } catch {
      return false;
    }
  }

  /**
   * Fails where the path leads to another directory now, or to none. What was not found there may have gone with the
   * directory, so that a mirror must not delete it and nothing without it may be published as a whole.
   *
   * @throws {FerryError} `not_found`, `io`
   */
  assertStanding(): void {
    if (this.stands) return;
    const place = { side: "here", path: this.path } as const;
    try {
      Deno.statSync(this.path);
    } catch (error) {
      const { code } = fileError(error);
      const reason = "the directory was moved away or removed while it was read";
      throw new FerryError(code, reason, { place, cause: error });
    }
    throw new FerryError("io", "another directory has got its name while it was read", { place });
  }
}

/** A key of the directory at a path. One that is made when another was removed may get the number of that. */
function identityAt(path: string): string {
  const info = Deno.statSync(path);
  return `${identityOf(path, info)} ${info.birthtime?.getTime()}`;
}

/** A key that is the same for two paths to one directory. */
export function identityOf(path: string, { dev, ino }: Deno.FileInfo): string {
  // Deno returns no inode number on Windows.
  return ino === null ? Deno.realPathSync(path) : `${dev}:${ino}`;
}
