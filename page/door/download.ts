/**
 * The addresses of downloads: files, directories as archives, several entries as one archive.
 *
 * @module
 */

import type { Entry } from "./door.ts";
import { directoryOf, directoryPath, filePath, lastOf, nameIn, type Place } from "./place.ts";

/** Browsers cancel the download of a file with a longer name, in bytes of UTF-8: such a file comes in an archive. */
const LONGEST_NAME = 240;

/** The longest address that servers take for sure. */
const LONGEST_ADDRESS = 8000;

/** The address of an archive of a directory, or of some of its entries. */
export function archivePath({ prefix, directory }: Place, names: readonly string[] = []): string {
  const query = names.map((name) => `&name=${encodeURIComponent(name)}`).join("");
  return `${directoryPath(prefix, directory)}?archive=zip${query}`;
}

/** The address that downloads one entry of a directory. */
export function downloadPath(place: Place, { name, type }: Entry): string {
  const full = nameIn(place.directory, name);
  if (type === "directory") return archivePath({ ...place, directory: full });
  const last = lastOf(full);
  const isLong = new TextEncoder().encode(last).length > LONGEST_NAME;
  if (!isLong) return `${filePath(place.prefix, full)}?download`;
  return archivePath({ ...place, directory: directoryOf(full) }, [last]);
}

/**
 * The address that downloads some entries of a directory; undefined if they are too many to be named, or not all in it.
 *
 * @param all the number of entries that the directory has
 */
export function downloadOf(
  place: Place,
  chosen: readonly Entry[],
  all: number,
): string | undefined {
  if (chosen.length === 1) return downloadPath(place, chosen[0]!);
  if (chosen.length === all) return archivePath(place);
  const names = chosen.map(({ name }) => name);
  if (names.some((name) => name.includes("/"))) return undefined;
  const path = archivePath(place, names);
  return path.length > LONGEST_ADDRESS ? undefined : path;
}
