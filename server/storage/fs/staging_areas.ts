/**
 * The staging areas of a storage: one in ferry's own directory, and one more on each other file system below the
 * root that is written to, since a file can be given a name on its own file system only. That is so of what is
 * mounted there, of the subvolumes of btrfs, and of the branches of file systems that join others.
 *
 * An area of the second kind is a hidden directory at the top of its file system. It is made when something is
 * written there and removed when nothing is in it any more; a record in ferry's own directory tells the next process
 * where there are some.
 *
 * @module
 */

import { type Directory, makeDirectory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { fileSystemAt } from "../../../lib/file_system/file_system.ts";
import {
  type FileName,
  joinName,
  parentName,
  STAGING_DIRECTORY,
} from "../../../lib/core/remote_name.ts";
import type { PartEntry } from "../../../lib/core/entry.ts";
import type { Jail } from "./root.ts";
import { adopt, type OwnDirectory } from "./state_directory.ts";
import { writeExactly } from "../../../lib/files/partial_file.ts";
import { Parts, type PartsOptions } from "./partial_uploads.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import { isCrossDevice } from "../../../lib/files/file_errors.ts";

/** An area that nothing has been in for so many milliseconds is removed. */
const IDLE_MS = 1000;

/** No record is longer. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** The file in ferry's own directory that says where there are areas. */
const RECORD = "areas.json";

/** What {@linkcode StagingAreas} work with. */
export interface StagingAreasOptions {
  /** The root. */
  jail: Jail;
  /** Ferry's own directory in it. */
  own: OwnDirectory;
  /** Told how many bytes of parts were found, or were thrown away where the number is negative. */
  onCounted(bytes: number): void;
}

/** What is recorded of them. */
interface AreasRecord {
  /** What tells the areas of this root from those that other servers have on the same file system. */
  id: string;
  /** The directories that they stand in. */
  areas: string[];
}

/** All staging areas of a storage. */
export class StagingAreas implements Disposable {
  readonly #options: StagingAreasOptions;
  readonly #main: Parts;
  readonly #id: string;
  /** By the name of the directory that each stands in. */
  readonly #areas = new Map<FileName | "", Area>();
  /** Where areas were left that are out of reach now. */
  readonly #missing = new Set<FileName | "">();
  /** The directory that was asked for last, and the area of its file system: most ask for the same again. */
  #last: { parent: FileName | ""; parts: Parts } | undefined;

  /** The areas that there are; what earlier processes recorded no parts of is removed from them. */
  constructor(options: StagingAreasOptions) {
    const { own, onCounted } = options;
    this.#options = options;
    this.#main = new Parts({
      ...this.#partsOptions(),
      enter: () => own.staging.hold(),
      renew: () => own.renew(),
    });
    onCounted(this.#main.bytes);
    const { id, areas } = readRecord(own.directory);
    this.#id = id;
    for (const name of areas as FileName[]) this.#openAgain(name);
  }

  #partsOptions(): Omit<PartsOptions, "enter"> {
    const { own, onCounted } = this.#options;
    return { assertHeld: () => own.assertHeld(), onDropped: (bytes) => onCounted(-bytes) };
  }

  /**
   * The area for a file of that name.
   *
   * @throws {FerryError} why nothing can be staged on the file system that it would be on
   */
  for(name: FileName): Parts {
    const parent = parentName(name);
    if (this.#last?.parent === parent) return this.#last.parts;
    using directory = this.#options.jail.nearest(name);
    const parts = this.beside(directory);
    // Of others it is asked each time whether they are still there.
    this.#last = parts === this.#main ? { parent, parts } : undefined;
    return parts;
  }

  /**
   * The area whose files can be renamed into a directory.
   *
   * @throws {FerryError} as {@linkcode StagingAreas.for}
   */
  beside(directory: Directory): Parts {
    const { own, jail } = this.#options;
    this.#last = undefined;
    if (canRename(own.staging, directory)) return this.#main;
    for (const area of [...this.#areas.values()]) {
      const takes = area.takes(directory);
      if (takes) return area.parts;
      if (takes === undefined) this.#forget(area);
    }
    const way = jail.pathOf(directory, "").split("/").filter(Boolean);
    for (let depth = 0; depth < way.length; depth++) {
      const name = way.slice(0, depth).join("/") as FileName | "";
      using top = jail.enter(name);
      if (canRename(top, directory)) return this.#open(name, top).parts;
    }
    return this.#open(way.join("/") as FileName | "", directory).parts;
  }

  #open(name: FileName | "", top: Directory): Area {
    let area: Area;
    try {
      area = new Area({
        name,
        top,
        id: this.#id,
        jail: this.#options.jail,
        live: (name) => [...this.#areas.values()].some((area) => area.own === name),
        parts: this.#partsOptions(),
        onIdle: () => this.#closeIdle(area),
      });
    } catch (reason) {
      const error = fileError(reason);
      const message = `nothing can be staged on the file system there: ${error.reason}`;
      throw new FerryError(error.code, message, { cause: error });
    }
    this.#options.onCounted(area.parts.bytes);
    this.#areas.set(name, area);
    this.#missing.delete(name);
    this.#record();
    return area;
  }

  /** Opens an area that an earlier process left, if there is anything in it. */
  #openAgain(name: FileName | ""): void {
    try {
      using top = this.#options.jail.enter(name);
      if (Area.isLeftIn(top, this.#id)) this.#closeIdle(this.#open(name, top));
    } catch {
      // The file system is not mounted now, for one: it may be later.
      this.#missing.add(name);
    }
  }

  #closeIdle(area: Area): void {
    if (!area.parts.inUse && area.remove()) this.#forget(area);
  }

  #forget(area: Area): void {
    area[Symbol.dispose]();
    this.#options.onCounted(-area.parts.bytes);
    this.#areas.delete(area.name);
    this.#record();
  }

  #record(): void {
    const { own: { directory } } = this.#options;
    const areas = [...this.#areas.keys(), ...this.#missing];
    const text = JSON.stringify({ id: this.#id, areas } satisfies AreasRecord);
    try {
      Deno.renameSync(
        writeExactly(directory.path, new TextEncoder().encode(text)),
        directory.at(RECORD),
      );
    } catch {
      // What is not recorded is found when the same file system is written to again.
    }
  }

  /** Goes on where ferry's own directory was removed, and made again. */
  renewed(): void {
    this.#main.forgetMissing();
    this.#record();
  }

  /** Ends all of them where the root was mounted anew: others take up what is in them. */
  end(): void {
    for (const parts of this.#all) parts.end();
    for (const area of this.#areas.values()) area[Symbol.dispose]();
    this.#areas.clear();
  }

  /** Whether an entry of a directory is an area in which something is being written. */
  isInUse(directory: Directory, name: string): boolean {
    return name === STAGING_DIRECTORY && [...this.#areas.values()].some((area) => {
      return area.parts.isWritten && area.name === this.#options.jail.pathOf(directory, "");
    });
  }

  /** See {@linkcode Parts.list}. */
  list(owner: string): PartEntry[] {
    return this.#all.flatMap((parts) => parts.list(owner));
  }

  /** See {@linkcode Parts.discard}. */
  discard(filename: string, owner: string): void {
    const kept = this.#all.filter((parts) => {
      return parts.list(owner).some((part) => part.filename === filename);
    });
    for (const parts of kept.length > 0 ? kept : [this.#main]) parts.discard(filename, owner);
  }

  /** See {@linkcode Parts.expire}. */
  expire(ttl: number): void {
    for (const parts of this.#all) parts.expire(ttl);
  }

  get #all(): Parts[] {
    return [this.#main, ...Array.from(this.#areas.values(), ({ parts }) => parts)];
  }

  /** Removes the areas that nothing is in. */
  [Symbol.dispose](): void {
    for (const area of [...this.#areas.values()]) {
      this.#closeIdle(area);
      area[Symbol.dispose]();
    }
  }
}

/** What an {@linkcode Area} is made of. */
interface AreaOptions {
  /** The directory that it stands in. */
  name: FileName | "";
  /** That directory. */
  top: Directory;
  id: string;
  jail: Jail;
  /** Whether a directory in it is one that this process writes to: a file system may be mounted twice. */
  live(name: string): boolean;
  parts: Omit<PartsOptions, "enter">;
  /** Told when nothing has been in it for {@linkcode IDLE_MS}. */
  onIdle(): void;
}

/** A staging area on another file system than that of the root. */
class Area implements Disposable {
  readonly name: FileName | "";
  /** The name of this process's own directory in it. */
  readonly own: string;
  readonly parts: Parts;
  readonly #jail: Jail;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ name, top, id, jail, live, parts, onIdle }: AreaOptions) {
    this.name = name;
    this.#jail = jail;
    this.own = `${id}-${crypto.randomUUID()}`;
    using all = makeDirectory(top, STAGING_DIRECTORY);
    using staging = makeDirectory(all, this.own);
    const isOthers = (name: string) => !name.startsWith(id) || name === this.own || live(name);
    adopt(all, staging, isOthers);
    this.parts = new Parts({
      ...parts,
      enter: () => this.#enter(),
      onReleased: () => this.#wait(onIdle),
    });
    this.#wait(onIdle);
  }

  /** Whether processes that served the same root have left something in a directory. */
  static isLeftIn(top: Directory, id: string): boolean {
    try {
      using all = enter(top, STAGING_DIRECTORY);
      return [...Deno.readDirSync(all.path)].some(({ name }) => name.startsWith(id));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  #enter(): Directory {
    const known = this.#jail.directory.known(
      joinName(joinName(this.name, STAGING_DIRECTORY), this.own),
    );
    if (known) return known;
    try {
      using top = this.#jail.enter(this.name);
      using all = enter(top, STAGING_DIRECTORY);
      return enter(all, this.own);
    } catch (reason) {
      const error = fileError(reason);
      if (error.code !== "not_found") throw error;
      throw new FerryError("io", "what was staged on the file system there is gone", {
        cause: reason,
      });
    }
  }

  /** Whether its files can be renamed into a directory; undefined where it is not there any more. */
  takes(directory: Directory): boolean | undefined {
    try {
      using staging = this.#enter();
      return canRename(staging, directory);
    } catch {
      return undefined;
    }
  }

  #wait(onIdle: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onIdle, IDLE_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Removes it; whether it is gone. */
  remove(): boolean {
    try {
      using top = this.#jail.enter(this.name);
      using all = enter(top, STAGING_DIRECTORY);
      Deno.removeSync(all.at(this.own));
      // Other servers may have theirs beside it.
      if ([...Deno.readDirSync(all.path)].length === 0) {
        Deno.removeSync(top.at(STAGING_DIRECTORY));
      }
      return true;
    } catch (error) {
      // The file system is gone, or something is in it still.
      return fileError(error).code === "not_found";
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/**
 * Whether a file can be renamed from one directory into another. Numbers do not tell: the same file system may be
 * mounted twice, and some show several others as one.
 */
export function canRename(from: Directory, to: Directory): boolean {
  if (from.device !== to.device) return false;
  const name = `${STAGING_DIRECTORY}-${crypto.randomUUID()}`;
  // Between two mounts the system refuses before it looks for the file. A file system that is made of others has to
  // be tried with one that is there.
  const trial = fileSystemAt(from.path).numbersFiles ? undefined : from.createFile(name);
  trial?.file.close();
  try {
    Deno.renameSync(trial?.path ?? from.at(name), to.at(name));
    Deno.removeSync(to.at(name));
    return true;
  } catch (error) {
    if (trial) Deno.removeSync(trial.path);
    return !isCrossDevice(error);
  }
}

/** Opens a directory in another one. */
function enter(directory: Directory, name: string): Directory {
  const entered = directory.enter(name, Deno.lstatSync(directory.at(name)));
  if (entered) return entered;
  throw new Deno.errors.NotFound();
}

function readRecord(own: Directory): AreasRecord {
  const none = { id: crypto.randomUUID(), areas: [] };
  try {
    using file = openExactly(own.at(RECORD), { read: true });
    const bytes = new Uint8Array(Math.min(file.statSync().size, MAX_RECORD_BYTES));
    const text = new TextDecoder().decode(bytes.subarray(0, file.readSync(bytes) ?? 0));
    const { id, areas }: Partial<AreasRecord> = JSON.parse(text);
    const whole = typeof id === "string" && /^[0-9a-f-]{36}$/.test(id) && Array.isArray(areas) &&
      areas.every((name) => typeof name === "string");
    return whole ? { id, areas } : none;
  } catch {
    return none;
  }
}
