/**
 * Finds out by trial which file attributes and operations a file system supports.
 *
 * @module
 */

import { closeSync, fsyncSync, openSync, statfsSync } from "node:fs";
import type { Directory } from "./open_directory.ts";
import { type ErrorCode, FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { type FileSystem, fileSystemAt } from "../../../lib/file_system/file_system.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { isUnsupported } from "../../../lib/files/file_errors.ts";

/** A time with an odd second and 123 milliseconds. File systems with coarser timestamps do not store it exactly. */
const ODD_TIME = Date.UTC(2001, 1, 3, 4, 5, 7, 123);

/** The coarsest timestamp resolution that counts as storing times, in milliseconds. FAT has two seconds. */
const COARSEST_STEP = 2000;

/** A file system that reports this size in bytes or more has none: it shows a store without a limit. */
const ENDLESS_BYTES = 2 ** 50;

/** Errors that say nothing about what a file system can do. */
const PASSING: readonly ErrorCode[] = ["no_space", "quota", "busy"];

/** The name of the directory of the trials. One that a killed process left behind is removed first. */
const NAME = "trial";

/**
 * Tries out what a file system supports, and removes the files made for that.
 *
 * @param directory a directory that no other program uses
 * @throws {FerryError} `io` if files can be created but not be written to later, as resuming an upload requires;
 * `denied` on a mount of an object store
 * @throws the runtime's error if nothing can be created in it
 */
export function tryFileSystem(directory: Directory): FileSystem {
  const path = directory.at(NAME);
  const remove = () => Deno.removeSync(path, { recursive: true });
  if (isTaken(path)) remove();
  Deno.mkdirSync(path);
  using made = new DisposableStack();
  made.defer(remove);
  return triedIn(enter(directory, NAME, made), fileSystemAt(directory.path));
}

function triedIn(place: Directory, known: FileSystem): FileSystem {
  const file = Deno.makeTempFileSync({ dir: place.path, suffix: "a" });
  const found = {
    ...known,
    durableNames: known.durableNames && (known.honestWrites || flushes(place)),
    heldDirectories: known.heldDirectories && succeeds(() => holds(place)),
    modes: PLATFORM.permissionBits && [0o640, 0o604].every((mode) => keepsMode(file, mode)),
    timeStep: timeStepOf(file),
    hardLinks: succeeds(() => (Deno.linkSync(file, place.at("link")), true)),
    caseSensitive: !isTaken(file.replace(/a$/, "A")),
  };
  assertNoObjectStore(place.path, found);
  assertWritesInPlace(file);
  return found;
}

/**
 * Fails on a mount of an object store, such as those of rclone and s3fs. They acknowledge files that are not stored, and
 * their locks end at the mount: two servers would not notice each other. They have no hard links, and either no
 * permission bits or no size.
 *
 * @throws {FerryError} `denied`
 */
function assertNoObjectStore(path: string, found: FileSystem): void {
  const { honestWrites, hardLinks, modes, caseSensitive } = found;
  if (honestWrites || hardLinks || !caseSensitive || modes && !isEndless(path)) return;
  throw new FerryError(
    "denied",
    "it is a mount of an object store, where acknowledged files may be lost and two machines may " +
      "write at once: serve the store without it (--root s3://BUCKET)",
  );
}

function isEndless(path: string): boolean {
  return succeeds(() => {
    const { bsize, blocks } = statfsSync(path);
    return bsize * blocks >= ENDLESS_BYTES;
  });
}

/** Opens a directory that was just created, until `entered` is disposed of. */
function enter(directory: Directory, name: string, entered: DisposableStack): Directory {
  const held = directory.enter(name, Deno.lstatSync(directory.at(name)));
  if (!held) throw new FerryError("busy", "another program replaced what was just made");
  entered.defer(() => held.end());
  return held;
}

/** Whether an operation succeeds without an error and has the expected effect. */
function succeeds(run: () => boolean): boolean {
  try {
    return run();
  } catch {
    return false;
  }
}

/** Whether the file system accepts a flush (fsync) of a directory. */
function flushes(place: Directory): boolean {
  if (!PLATFORM.flushesDirectories) return true;
  const descriptor = openSync(place.path, "r");
  try {
    fsyncSync(descriptor);
    return true;
  } catch (error) {
    if (isUnsupported(error)) return false;
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

function keepsMode(file: string, mode: number): boolean {
  return succeeds(() => {
    Deno.chmodSync(file, mode);
    return (Deno.statSync(file).mode! & 0o777) === mode;
  });
}

/** The resolution of timestamps, in milliseconds; undefined if times are not stored. */
function timeStepOf(file: string): number | undefined {
  try {
    const time = new Date(ODD_TIME);
    Deno.utimeSync(file, time, time);
    const off = ODD_TIME - (Deno.statSync(file).mtime?.getTime() ?? NaN);
    if (off === 0) return 1;
    if (!(Math.abs(off) < COARSEST_STEP)) return undefined;
    return Math.abs(off) < 1000 ? 1000 : COARSEST_STEP;
  } catch {
    return undefined;
  }
}

/**
 * Fails if an existing file cannot be opened again to change bytes of it and append others.
 *
 * @throws {FerryError} `io`
 * @throws the runtime's error if only the space is missing
 */
function assertWritesInPlace(file: string): void {
  const changes: readonly [number, number[]][] = [[0, [1, 2, 3]], [1, [9]], [3, [4, 5]]];
  let cause: unknown;
  try {
    for (const [at, bytes] of changes) {
      using opened = Deno.openSync(file, { write: true });
      opened.seekSync(at, Deno.SeekMode.Start);
      opened.writeSync(new Uint8Array(bytes));
    }
    if (`${Deno.readFileSync(file)}` === "1,9,3,4,5") return;
  } catch (error) {
    if (PASSING.includes(toFerryError(error).code)) throw error;
    cause = error;
  }
  throw new FerryError(
    "io",
    "its file system lets no file be written to that is there already",
    { cause },
  );
}

/**
 * Whether a directory that is held open stays the same directory when its name, or its parent's, is given to another
 * directory.
 */
function holds(place: Directory): boolean {
  if (!place.pinned) return false;
  const staysThrough = (name: string, giveAway: (path: string) => void, to?: string) => {
    Deno.mkdirSync(place.at(`${name}/below`), { recursive: true });
    using entered = new DisposableStack();
    const held = enter(enter(place, name, entered), "below", entered);
    giveAway(place.at(name));
    Deno.mkdirSync(place.at(`${name}/below/other`), { recursive: true });
    const isEmpty = [...Deno.readDirSync(held.path)].length === 0;
    return isEmpty && (to === undefined || held.place === `${place.place}/${to}`);
  };
  return staysThrough("removed", (path) => Deno.removeSync(`${path}/below`)) &&
    staysThrough("renamed", (path) => Deno.renameSync(`${path}/below`, place.at("a")), "a") &&
    staysThrough("moved", (path) => Deno.renameSync(path, place.at("b")), "b/below");
}
