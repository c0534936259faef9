/**
 * A lease on a directory. One process holds it, and renews it in a file for as long as it runs.
 *
 * Processes that reach the directory through the same mount exclude each other by a lock on the file, which the system
 * releases when its holder ends. Through another mount or from another machine the same lock may be granted again. A
 * process that starts there watches the file instead: if the lease is not renewed for its whole duration, its holder
 * has ended.
 *
 * Other machines do not see every write at once: s3fs stores it when the file is closed or flushed, and ceph-fuse goes
 * on to show old bytes of a file that another machine holds open, with its new modification time. So on file systems
 * that may be shared the file is flushed and closed after each renewal, and whoever watches it compares bytes and time.
 *
 * Processes that serve the directory together each have a lease of their own, and leave those of each other alone.
 *
 * @module
 */

import type { Directory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { tryLock } from "../../../lib/files/file_lock.ts";
import { isRemovedName } from "../../../lib/core/remote_name.ts";
import { inodeOf } from "../../../lib/core/file_identity.ts";
import { bootTime, sameBoot } from "../../../lib/files/partial_file.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";

/** How often a holder renews its lease, in milliseconds. */
const BEAT_MS = 2000;

/** The duration of a lease in milliseconds: one that was not renewed for this long is lost. */
export const LEASE_MS: number = 10_000;

/** A holder that could not renew its lease for this long, in milliseconds, checks whether it still holds it. */
const SURE_MS = LEASE_MS / 2;

/** The interval at which the file of another holder is checked, in milliseconds. */
const LOOK_MS = 100;

/** The size of the file in bytes. It fits into one page, so that readers see each write as a whole. */
const FILE_BYTES = 512;

/** The content of a lease file. */
interface Said {
  version: 1;
  /** Device and inode of the file as the holder sees them; they may differ through another mount. */
  inode: string;
  /** When the holder's machine was booted, in milliseconds since 1970; null if unknown. */
  boot: number | null;
  /** Counts the renewals. */
  beat: number;
  /** Whether others may hold a lease at the same time that say so, too. Absent: no. */
  together?: boolean | undefined;
}

/** Options of {@linkcode Lease.take}. */
export interface LeaseOptions {
  /** Called before a wait with the maximum duration of it, in milliseconds. */
  onWaiting?: ((ms: number) => void) | undefined;
  /** Whether other machines may use the same file system. Default: true. */
  shared?: boolean | undefined;
  /** Whether other processes that say so, too, may hold a lease on the directory at the same time. Default: false. */
  together?: boolean | undefined;
  /**
   * The lease that this process held through an earlier mount, and has left. If another process may have taken the
   * directory since then, this one is refused immediately.
   */
  earlier?: Lease | undefined;
}

/** The lease of this process on a directory, until it is disposed of or lost. */
export class Lease implements Disposable {
  /** Unique among all leases. */
  readonly id: string;
  readonly #leases: Directory;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #shared: boolean;
  #said: Said;
  /** The files of earlier holders. */
  #former: readonly string[] = [];
  /** Whether the lease was left: its file stays, and is no longer renewed. */
  #left = false;
  #sure = Date.now();
  #lost = false;
  #closed = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(
    id: string,
    { leases, file, shared, together }: {
      leases: Directory;
      file: Deno.FsFile;
      shared: boolean;
      together: boolean;
    },
  ) {
    this.id = id;
    this.#leases = leases;
    this.#path = leases.at(id);
    this.#file = file;
    this.#shared = shared;
    const inode = inodeOf(file.statSync());
    this.#said = { version: 1, inode, boot: bootTime(), beat: 0, together: together || undefined };
  }

  /**
   * Takes the lease on the directory that keeps its lease files in `leases`, and removes the files of holders that have
   * ended. It writes its own file before it looks at others, so that two processes that start at the same time notice
   * each other.
   *
   * @throws {FerryError} `busy` if another process holds it; `io` if the directory cannot be listed; the error if the
   * file cannot be written
   */
  static take(
    leases: Directory,
    { onWaiting = () => {}, shared = true, together = false, earlier }: LeaseOptions = {},
  ): Lease {
    using taken = new DisposableStack();
    const lease = taken.use(Lease.#begin(leases, { shared, together }));
    const names = lease.#others().filter((name) => name !== earlier?.id);
    const found = names.map((name) => Other.read(leases.at(name)));
    const others = found.filter((other) => !(together && other.sharesWithUs));
    for (const other of others) if (other.isAlive === true) throw servedElsewhere();
    let unknown = others.filter(({ isAlive }) => isAlive === undefined);
    if (unknown.length > 0 && earlier) throw servedElsewhere();
    if (unknown.length > 0) onWaiting(LEASE_MS);
    for (const until = Date.now() + LEASE_MS; unknown.length > 0 && Date.now() < until;) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
      if (unknown.some((other) => other.hasSpoken())) throw servedElsewhere();
      unknown = unknown.filter((other) => !other.isGone);
      // Renew the lease while waiting: other processes may be watching it.
      if (Date.now() - lease.#sure >= BEAT_MS) lease.#beat();
    }
    lease.assertHeld();
    lease.#former = names;
    for (const other of others) remove(other.path);
    if (earlier) remove(leases.at(earlier.id));
    lease.#timer = setInterval(() => lease.#beat(), BEAT_MS);
    Deno.unrefTimer(lease.#timer);
    taken.move();
    return lease;
  }

  static #begin(
    leases: Directory,
    options: { shared: boolean; together: boolean },
  ): Lease {
    using made = new DisposableStack();
    const created = leases.createFile(NEW);
    made.defer(() => remove(created.path));
    created.file.close();
    const file = made.use(openExactly(created.path, { read: true, write: true }));
    tryLock(file);
    const lease = new Lease(crypto.randomUUID(), { leases, file, ...options });
    lease.#say(created.path);
    Deno.renameSync(created.path, lease.#path);
    made.move();
    return lease;
  }

  /**
   * The names of the files of other processes.
   *
   * @throws {FerryError} `io` if the directory cannot be listed: the runtime reports that as a directory that ends early
   */
  #others(): string[] {
    const names = Array.from(Deno.readDirSync(this.#leases.path), ({ name }) => name);
    if (!names.includes(this.id)) {
      throw new FerryError("io", "its file system does not list a file that was just made");
    }
    return names.filter((name) => name !== this.id && !isRemovedName(name));
  }

  /**
   * Fails if another process has taken the directory, because this one was suspended or could not renew its lease for
   * too long.
   *
   * @throws {FerryError} `busy`
   */
  assertHeld(): void {
    if (!this.#lost && Math.abs(Date.now() - this.#sure) > SURE_MS) this.#beat();
    if (this.#lost) {
      throw new FerryError(
        "busy",
        "another ferryd has taken the directory over: start this one anew",
      );
    }
    if (Math.abs(Date.now() - this.#sure) > SURE_MS) {
      throw new FerryError("busy", "the lease on the directory cannot be renewed");
    }
  }

  /**
   * Whether `leases`, reached through another mount, contains the file of this lease as it was last written. The last
   * writes through a mount may be lost if its FUSE program was killed.
   */
  isIn(leases: Directory): boolean {
    const speaks = !this.#left && this.#speaks();
    if (this.#lost) return false;
    const seen = parseSaid(read(leases.at(this.id)));
    if (seen?.inode !== this.#said.inode || seen.boot !== this.#said.boot) return false;
    const missing = this.#said.beat - (seen.beat ?? NaN);
    return missing >= 0 && missing <= (speaks ? 0 : LEASE_MS / BEAT_MS);
  }

  /** Renews the lease now. Returns whether other processes can read the renewal. */
  #speaks(): boolean {
    const { beat } = this.#said;
    this.#beat();
    try {
      this.#file.syncDataSync();
    } catch {
      // Its mount is dead.
      return false;
    }
    return this.#said.beat > beat;
  }

  /** Ends the lease, and leaves its file in place. */
  leave(): void {
    this.#left = true;
    this[Symbol.dispose]();
  }

  /** Renews the lease, unless it is lost. Never fails. */
  #beat(): void {
    if (this.#lost) return;
    try {
      const isThere = inodeOf(Deno.lstatSync(this.#path)) === inodeOf(this.#file.statSync());
      if (!isThere || this.#hasSuccessor()) this.#lost = true;
      else this.#say();
    } catch (error) {
      // Any other failure may be temporary. Writes are refused once the lease is too old.
      if (error instanceof Deno.errors.NotFound) this.#lost = true;
    }
  }

  /**
   * Whether another process may have watched the file for so long that it took the directory. Its removal of this
   * lease's file may not be visible here, since some clients keep the attributes of files for minutes.
   */
  #hasSuccessor(): boolean {
    if (!this.#shared || Math.abs(Date.now() - this.#sure) < LEASE_MS) return false;
    const successors = this.#others()
      .filter((name) => !name.endsWith(NEW) && !this.#former.includes(name));
    return this.#said.together
      ? successors.some((name) => !Other.read(this.#leases.at(name)).sharesWithUs)
      : successors.length > 0;
  }

  /** The ids of the leases of the processes that serve the directory together with this one. */
  get companions(): string[] {
    if (!this.#said.together) return [];
    return this.#others().filter((name) => Other.read(this.#leases.at(name)).sharesWithUs);
  }

  #say(path = this.#path): void {
    const said = { ...this.#said, beat: this.#said.beat + 1 };
    const page = new Uint8Array(FILE_BYTES).fill(0x20);
    page.set(new TextEncoder().encode(JSON.stringify(said)));
    using opened = this.#shared ? openExactly(path, { write: true }) : undefined;
    const file = opened ?? this.#file;
    file.seekSync(0, Deno.SeekMode.Start);
    if (file.writeSync(page) < page.length) throw new Deno.errors.WriteZero();
    // Flushed, too: an error that the file system reports when a file is closed does not get through the runtime.
    opened?.syncDataSync();
    this.#said = said;
    this.#sure = Date.now();
  }

  /** Releases the lease. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#closed) return;
    this.#closed = true;
    // Closed first: some file systems keep an open file under another name when it is removed.
    this.#file.close();
    if (!this.#lost && !this.#left) remove(this.#path);
  }
}

/** The suffix of a lease file that is not completely written yet. */
const NEW = ".new";

/** The lease of another process. */
class Other {
  readonly path: string;
  /** Whether its holder is running; undefined if it has to be watched to find out. */
  readonly isAlive: boolean | undefined;
  readonly #first: Seen | undefined;
  #gone: boolean;

  private constructor(path: string, first: Seen | undefined, isAlive: boolean | undefined) {
    this.path = path;
    this.#first = first;
    this.#gone = first === undefined;
    this.isAlive = isAlive;
  }

  /** Reads the file of a lease. */
  static read(path: string): Other {
    const first = look(path);
    const isOver = path.endsWith(NEW) || first === undefined;
    return new Other(path, first, isOver ? false : isHolderAlive(path, first.text));
  }

  /** Whether its holder runs, on this machine, and lets others hold a lease at the same time. */
  get sharesWithUs(): boolean {
    return this.isAlive === true && parseSaid(this.#first?.text)?.together === true;
  }

  /** Whether its holder has released the directory. */
  get isGone(): boolean {
    return this.#gone;
  }

  /** Whether it was renewed since it was first read. */
  hasSpoken(): boolean {
    const now = look(this.path);
    this.#gone ||= now === undefined;
    return now !== undefined &&
      (now.text !== this.#first?.text || now.mtime !== this.#first?.mtime);
  }
}

/** A lease file as it was seen. */
interface Seen {
  text: string;
  /** When it was written, in milliseconds since 1970. */
  mtime: number | undefined;
}

/** What is seen of a lease file; undefined if it does not exist. */
function look(path: string): Seen | undefined {
  const mtime = infoAt(path)?.mtime?.getTime();
  const text = read(path);
  return text === undefined ? undefined : { text, mtime };
}

/** Whether the holder of a lease is running, judged by its lock; undefined if the lock does not show it. */
function isHolderAlive(path: string, content: string | undefined): boolean | undefined {
  const said = parseSaid(content);
  if (!said) return undefined;
  try {
    using file = openExactly(path, { read: true, write: true });
    const { inode, boot = null } = said;
    if (inode !== inodeOf(file.statSync()) || !sameBoot(boot)) return undefined;
    // Both processes see the same file, so a lock on it is the holder's.
    // Shared, so that several processes that look at the same time do not take each other for it.
    return !tryLock(file, { shared: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw fileError(error);
  }
}

/** The content of a lease file; undefined if it does not exist. */
function read(path: string): string | undefined {
  try {
    using file = openExactly(path, { read: true });
    const bytes = new Uint8Array(FILE_BYTES);
    return new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw fileError(error);
    return undefined;
  }
}

/** The parsed content of a lease file; undefined if it cannot be parsed. */
function parseSaid(text = ""): Partial<Said> | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

function servedElsewhere(): FerryError {
  return new FerryError("busy", "another ferryd serves it by another path, or on another machine");
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It is gone already; or it stays, and is no longer renewed.
  }
}
