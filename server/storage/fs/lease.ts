/**
 * Who has a directory: one process, which says so in a file and goes on saying it as long as it lives.
 *
 * Processes that reach the directory by the same mount have a lock for that, which ends with its holder. By
 * another mount or from another machine the same lock may be granted once more, and so who starts there watches
 * the file: its holder has ended when it has said nothing for as long as a lease lasts.
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

/** How often a holder says that it is there, in milliseconds. */
const BEAT_MS = 2000;

/** Whoever has said nothing for so many milliseconds has lost the directory. */
export const LEASE_MS: number = 10_000;

/** Who has not been able to say anything for so many milliseconds has to look first whether it has the directory still. */
const SURE_MS = LEASE_MS / 2;

/** The pause between two looks at another one's file, in milliseconds. */
const LOOK_MS = 100;

/** How long the file is: what is written at once into one page is read as a whole. */
const FILE_BYTES = 512;

/** What a holder says. */
interface Said {
  version: 1;
  /** What its file is to it; another mount may tell something else. */
  inode: string;
  /** When the system was started that it runs on. */
  boot: number | null;
  /** Another number each time. */
  beat: number;
}

/** Options of {@linkcode Lease.take}. */
export interface LeaseOptions {
  /** Told for how many milliseconds at most is waited, before that. */
  onWaiting?: ((ms: number) => void) | undefined;
  /**
   * That of the same process by an earlier mount, which it has left. Where another process may have come since then,
   * it is refused at once.
   */
  earlier?: Lease | undefined;
}

/** That this process has a directory, until it is disposed of or lost. */
export class Lease implements Disposable {
  /** What tells it from other leases. */
  readonly id: string;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #said: Said;
  /** Whether its file stays, and nothing more is said. */
  #left = false;
  #sure = Date.now();
  #lost = false;
  #closed = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(id: string, path: string, file: Deno.FsFile) {
    this.id = id;
    this.#path = path;
    this.#file = file;
    const inode = inodeOf(file.statSync());
    this.#said = { version: 1, inode, boot: bootTime(), beat: 0 };
  }

  /**
   * Takes a directory whose leases are files in `leases`, and removes those of holders that have ended.
   *
   * It says that it is there first, and looks at others then: of two that come at the same time, none overlooks
   * the other.
   *
   * @throws {FerryError} `busy` where another process has it; what keeps the file from being written
   */
  static take(leases: Directory, { onWaiting = () => {}, earlier }: LeaseOptions = {}): Lease {
    using taken = new DisposableStack();
    const lease = taken.use(Lease.#begin(leases));
    const others = [...Deno.readDirSync(leases.path)].map(({ name }) => name)
      .filter((name) => name !== lease.id && name !== earlier?.id && !isRemovedName(name))
      .map((name) => new Other(leases.at(name)));
    for (const other of others) if (other.isAlive === true) throw servedElsewhere();
    let unknown = others.filter(({ isAlive }) => isAlive === undefined);
    if (unknown.length > 0 && earlier) throw servedElsewhere();
    if (unknown.length > 0) onWaiting(LEASE_MS);
    for (const until = Date.now() + LEASE_MS; unknown.length > 0 && Date.now() < until;) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
      if (unknown.some((other) => other.hasSpoken())) throw servedElsewhere();
      unknown = unknown.filter((other) => !other.isGone);
      // Others may be watching this one.
      if (Date.now() - lease.#sure >= BEAT_MS) lease.#beat();
    }
    lease.assertHeld();
    for (const other of others) remove(other.path);
    if (earlier) remove(leases.at(earlier.id));
    lease.#timer = setInterval(() => lease.#beat(), BEAT_MS);
    Deno.unrefTimer(lease.#timer);
    taken.move();
    return lease;
  }

  static #begin(leases: Directory): Lease {
    using made = new DisposableStack();
    const created = leases.createFile(NEW);
    made.defer(() => remove(created.path));
    created.file.close();
    const file = made.use(openExactly(created.path, { read: true, write: true }));
    tryLock(file);
    const id = crypto.randomUUID();
    const lease = new Lease(id, leases.at(id), file);
    lease.#say();
    Deno.renameSync(created.path, lease.#path);
    made.move();
    return lease;
  }

  /**
   * Fails where another process has the directory by now: this one was stopped, or could not say anything, for
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
      throw new FerryError("busy", "nothing can be said to others that may serve the directory");
    }
  }

  /**
   * Whether a directory, by another mount, holds the file of this lease as it was written last. What was written in the
   * last moments of a mount whose program was killed may be lost with it.
   */
  isIn(leases: Directory): boolean {
    const speaks = !this.#left && this.#speaks();
    if (this.#lost) return false;
    const seen = parseSaid(read(leases.at(this.id)));
    if (seen?.inode !== this.#said.inode || seen.boot !== this.#said.boot) return false;
    const missing = this.#said.beat - (seen.beat ?? NaN);
    return missing >= 0 && missing <= (speaks ? 0 : LEASE_MS / BEAT_MS);
  }

  /** Says something at once; whether that has arrived where others read it. */
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

  /** Ends it without a word: its file stays where it is. */
  leave(): void {
    this.#left = true;
    this[Symbol.dispose]();
  }

  /** Says that it is there, where it still has the directory. Never fails. */
  #beat(): void {
    if (this.#lost) return;
    try {
      if (inodeOf(Deno.lstatSync(this.#path)) !== inodeOf(this.#file.statSync())) this.#lost = true;
      else this.#say();
    } catch (error) {
      // What else it may be passes; whoever writes meanwhile is told by the time.
      if (error instanceof Deno.errors.NotFound) this.#lost = true;
    }
  }

  #say(): void {
    const said = { ...this.#said, beat: this.#said.beat + 1 };
    const page = new Uint8Array(FILE_BYTES).fill(0x20);
    page.set(new TextEncoder().encode(JSON.stringify(said)));
    this.#file.seekSync(0, Deno.SeekMode.Start);
    if (this.#file.writeSync(page) < page.length) throw new Deno.errors.WriteZero();
    this.#said = said;
    this.#sure = Date.now();
  }

  /** Lets another process have it. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#closed) return;
    this.#closed = true;
    // What is open keeps its file under another name in some file systems.
    this.#file.close();
    if (!this.#lost && !this.#left) remove(this.#path);
  }
}

/** How the name of a file ends that says nothing yet. */
const NEW = ".new";

/** The file of another lease. */
class Other {
  readonly path: string;
  /** Whether its holder is alive; undefined where that has to be watched. */
  readonly isAlive: boolean | undefined;
  readonly #first: string | undefined;
  #gone = false;

  constructor(path: string) {
    this.path = path;
    this.#first = this.#read();
    this.isAlive = path.endsWith(NEW) || this.#gone ? false : this.#look();
  }

  /** Whether its holder has let go of the directory. */
  get isGone(): boolean {
    return this.#gone;
  }

  /** Whether it says something else than at first. */
  hasSpoken(): boolean {
    const now = this.#read();
    return now !== undefined && now !== this.#first;
  }

  #look(): boolean | undefined {
    const said = parseSaid(this.#first);
    if (!said) return undefined;
    try {
      using file = openExactly(this.path, { read: true, write: true });
      if (said.inode !== inodeOf(file.statSync()) || !sameBoot(said.boot ?? null)) return undefined;
      // It is seen as its holder sees it: its lock is the holder's.
      return !tryLock(file);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw fileError(error);
    }
  }

  #read(): string | undefined {
    const text = read(this.path);
    this.#gone ||= text === undefined;
    return text;
  }
}

/** What is in the file of a lease; undefined where it is gone. */
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

/** What a holder says; undefined where it cannot be understood. */
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
    // Gone already; or it stays, and says nothing any more.
  }
}
