/**
 * Examines a directory that is to be served, and what its file system can promise, by trials.
 *
 * @module
 */

import { FerryError, fileError, quote } from "../../lib/core/errors.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import { MAX_PART_BYTES, RESERVED_DIRECTORY } from "../../lib/core/remote_name.ts";
import { type Room, roomAt, shortcomingsOf } from "../../lib/file_system/file_system.ts";
import { syncDirectoryNow } from "../../lib/files/directory_flush.ts";
import { TRIES_LOCKS, tryLock } from "../../lib/files/file_lock.ts";
import { isDirectory, isTaken } from "../../lib/files/path_lookup.ts";
import type { ServeValues } from "../cli/serve_spec.ts";
import { tryFileSystem } from "../storage/fs/file_system_trial.ts";
import { Directory } from "../storage/fs/open_directory.ts";
import { type Finding, ok, problem, warning } from "./findings.ts";

/** Less free space than this, in bytes or as a part of all, is a warning. */
const LITTLE = { bytes: 1024 ** 3, part: 0.05 };

/** How often a flush is timed. The median counts. */
const FLUSHES = 5;

/** A flush that takes less than this, in milliseconds, has not waited for a disk. */
const TOO_FAST_MS = 0.02;

/** Where a file with a hole continues, in bytes. */
const HOLE_BYTES = 1024 * 1024;

/** Permission bits by which anybody can write into a directory. */
const WRITABLE_BY_ANYBODY = 0o002;

/** Whether a `ferryd` serves a directory now, which is found out by its lock. */
export function isServed(root: string): boolean {
  const path = `${root}/${RESERVED_DIRECTORY}/lock`;
  if (!TRIES_LOCKS) return false;
  try {
    using file = Deno.openSync(path, { read: true, write: true });
    return !tryLock(file);
  } catch {
    return false;
  }
}

/**
 * Examines a directory. All that is made for it is in a directory of its own in `.ferry`, and is removed.
 *
 * @param options.served whether a `ferryd` serves the directory now
 */
export function* examineDirectory(
  { root, durability }: ServeValues,
  { served }: { served: boolean },
): Generator<Finding, void, void> {
  // That there is no such directory is among the problems of the configuration.
  if (!isDirectory(root)) return;
  const path = PLATFORM.slashed(Deno.realPathSync(root));
  const { mode } = Deno.statSync(path);
  const open = PLATFORM.permissionBits && (mode! & WRITABLE_BY_ANYBODY) !== 0;
  yield open
    ? warning("root", `${quote(path)}: every user can write into it past ferryd: chmod o-w it`)
    : ok("root", quote(path));
  yield ok("served", served ? "a ferryd serves it now" : "no ferryd serves it now");
  yield* examineRoom(path);
  let place: Place;
  try {
    place = new Place(path);
  } catch (error) {
    const { code, reason } = fileError(error);
    const remedy = code === "no_space"
      ? "make room"
      : "give the directory to the user that runs ferryd";
    yield problem("writing", `nothing can be uploaded here: ${reason}; ${remedy}`);
    return;
  }
  using trial = place;
  const found = tryFileSystem(trial.directory);
  const durable = durability === "full";
  const missing = shortcomingsOf(found, { writable: true, durable });
  for (const sentence of missing) yield warning("promises", sentence);
  if (missing.length === 0) yield ok("promises", "all that ferryd promises holds here");
  yield examineFlushes(trial.directory, durable);
  yield found.hardLinks
    ? ok("hard links", "a file can have several names")
    : ok("hard links", "a file has one name only; ferryd needs no more");
  yield ok("times", found.timeStep === 1 ? "kept to the millisecond" : "kept less exactly");
  yield ok("modes", found.modes ? "permission bits are kept" : "permission bits are not kept");
  yield examineNames(trial.directory, found.caseSensitive);
  yield ok(
    "holes",
    makesHoles(trial.directory)
      ? "runs of zeros take no space with --sparse"
      : "runs of zeros take space, also with --sparse",
  );
  if (TRIES_LOCKS && !locks(trial.directory)) {
    yield problem("locks", "a lock does not exclude others: two ferryds could serve it at once");
  } else yield ok("locks", "a second ferryd is refused");
}

/** A directory for trials, in `.ferry`. */
class Place implements Disposable {
  readonly #stack = new DisposableStack();
  readonly directory: Directory;

  constructor(root: string) {
    using stack = new DisposableStack();
    const own = `${root}/${RESERVED_DIRECTORY}`;
    if (!isTaken(own)) {
      Deno.mkdirSync(own, { mode: 0o700 });
      // It stays if a ferryd has begun to use it.
      stack.defer(() => removeIfEmpty(own));
    }
    const path = Deno.makeTempDirSync({ dir: own, prefix: "doctor-" });
    stack.defer(() => Deno.removeSync(path, { recursive: true }));
    this.directory = stack.use(Directory.open(path));
    this.#stack = stack.move();
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }
}

function removeIfEmpty(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // Something is in it.
  }
}

function* examineRoom(path: string): Generator<Finding, void, void> {
  let room: Room;
  try {
    room = roomAt(path);
  } catch (error) {
    yield warning("space", `it is not known: ${fileError(error).reason}`);
    return;
  }
  const { name, isVolatile, bytes, freeBytes, inodes, freeInodes } = room;
  yield isVolatile
    ? warning("file system", `${name} is in memory: no file survives a restart of the machine`)
    : ok("file system", name);
  const space = `${formatSize(freeBytes)} of ${formatSize(bytes)} are free`;
  const isLittle = bytes > 0 && (freeBytes < LITTLE.bytes || freeBytes < bytes * LITTLE.part);
  yield isLittle
    ? warning("space", `${space}: uploads end with no_space when it is used up; see --quota`)
    : ok("space", bytes > 0 ? space : "the file system does not say how much there is");
  if (inodes === 0) return;
  const files = `${freeInodes} of ${inodes} inodes are free, one for each file`;
  yield freeInodes < inodes * LITTLE.part ? warning("inodes", files) : ok("inodes", files);
}

/** Times flushes of a small file, and of its directory. */
function examineFlushes(directory: Directory, durable: boolean): Finding {
  using file = Deno.openSync(directory.at("flushed"), { write: true, create: true });
  const times = Array.from({ length: FLUSHES }, () => {
    file.writeSync(new Uint8Array(4096));
    const started = performance.now();
    file.syncSync();
    syncDirectoryNow(directory.path);
    return performance.now() - started;
  });
  const median = times.sort((a, b) => a - b)[Math.floor(FLUSHES / 2)]!;
  const took = `a flush takes ${median.toFixed(2)} ms`;
  if (!durable) return warning("fsync", `${took}, and --durability none leaves it out`);
  return median < TOO_FAST_MS
    ? warning("fsync", `${took}: that is no disk, or one that does not do what it is told`)
    : ok("fsync", took);
}

function examineNames(directory: Directory, caseSensitive: boolean): Finding {
  const longest = "n".repeat(MAX_PART_BYTES);
  const cases = caseSensitive ? "a and A are two names" : "a and A are one name";
  try {
    Deno.writeFileSync(directory.at(longest), new Uint8Array());
    return ok("names", `of ${MAX_PART_BYTES} bytes; ${cases}`);
  } catch (error) {
    const { reason } = fileError(error);
    return warning("names", `none of ${MAX_PART_BYTES} bytes: ${reason}; ${cases}`);
  }
}

/** Whether a part of a file that was never written takes no space. */
function makesHoles(directory: Directory): boolean {
  using file = Deno.openSync(directory.at("holes"), { write: true, create: true });
  file.seekSync(HOLE_BYTES, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(1));
  file.syncSync();
  const { blocks } = file.statSync();
  return blocks !== null && blocks * 512 < HOLE_BYTES;
}

/** Whether a lock on a file keeps another opening of it from having one. */
function locks(directory: Directory): boolean {
  const path = directory.at("lock");
  using one = Deno.openSync(path, { read: true, write: true, create: true });
  using other = Deno.openSync(path, { read: true, write: true });
  if (!tryLock(one)) throw new FerryError("busy", "another program locks what was just made");
  return !tryLock(other);
}
