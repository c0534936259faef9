/**
 * The staging areas of a storage: one in the state directory, and one on each other file system below the root that is
 * written to, since a rename cannot cross file systems. Other file systems are those that are mounted below the root,
 * btrfs subvolumes, and the branches of union file systems.
 *
 * An area of the second kind is a hidden directory at the top of its file system. It is created when something is
 * written there and removed when it is empty. A record in the state directory lists such areas for the next process.
 *
 * @module
 */

import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { Directory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import {
  type FileName,
  parentName,
  RESERVED_DIRECTORY,
  STAGING_DIRECTORY,
} from "../../../lib/core/remote_name.ts";
import { ForeignArea } from "./foreign_area.ts";
import { OtherAreas } from "./other_areas.ts";
import { canRename } from "./rename_trial.ts";
import type { Root } from "./root.ts";
import type { DescribedUpload, DiscardOptions, PartialUpload } from "../storage.ts";
import type { StateDirectory } from "./state_directory.ts";
import { readExactly, replaceExactly } from "../../../lib/files/partial_file.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { noPartialUpload, StagingArea, type StagingAreaOptions } from "./staging_area.ts";
import type { KeptTree } from "./area_trees.ts";
import { repairPublications } from "./tree_publication.ts";

/** The maximum size of the record in bytes. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** The file in the state directory that lists where areas are. */
const RECORD = "areas.json";

/** Options of {@linkcode StagingAreas.open}. */
export interface StagingAreasOptions {
  /** Provides buffers, digests and the clock. */
  runtime: Runtime;
  /** The root. */
  root: Root;
  /** The state directory of the root. */
  state: StateDirectory;
  /** Called with the size in bytes of partial uploads that were found; negative for those that were discarded. */
  onCounted(bytes: number): void;
}

/** The content of {@linkcode RECORD}. */
interface AreasRecord {
  /** An id that tells the areas of this root from those of other servers on the same file system. */
  id: string;
  /** The names of the parent directories of the areas. */
  areas: string[];
}

/** Where a partial upload is, and which file it belongs to. */
export interface Located {
  /** The area that contains it. */
  area: StagingArea;
  /** Its file name in the area. */
  file: string;
  /** The name that the complete file will get. */
  name: FileName;
  /** The size of the whole file in bytes; null if it is not known yet. */
  size: number | null;
}

/** All staging areas of a storage. */
export class StagingAreas implements Disposable {
  readonly #options: StagingAreasOptions;
  readonly #main: StagingArea;
  readonly #id: string;
  /** The areas on other file systems, by the names of their parent directories. */
  readonly #areas = new Map<FileName | "", ForeignArea>();
  /** The parent directories of areas that exist but cannot be reached now. */
  readonly #missing = new Set<FileName | "">();
  /** The directory that was last asked for, and its area: the next request is usually for the same one. */
  #last: { parent: FileName | ""; area: StagingArea } | undefined;

  private constructor(options: StagingAreasOptions, main: StagingArea, id: string) {
    this.#options = options;
    this.#main = main;
    this.#id = id;
  }

  /** Opens all areas, and removes everything from them that is neither a partial upload nor a staged tree. */
  static open(options: StagingAreasOptions): StagingAreas {
    const { state, onCounted } = options;
    const main = StagingArea.open({
      ...areaOptions(options),
      enter: () => state.staging.hold(),
      renew: () => state.renew(),
      others: state.isShared
        ? new OtherAreas({
          enter: () => state.areas.hold(),
          isOther: (name) => name !== state.id,
          runtime: options.runtime,
        })
        : undefined,
    });
    onCounted(main.kept.bytes);
    const { id, areas } = state.inTurn(() => recordIn(state));
    const opened = new StagingAreas(options, main, id);
    repairPublications(options.root, main);
    for (const name of areas as FileName[]) opened.#openAgain(name);
    return opened;
  }

  /**
   * The area in which a file of that name is staged.
   *
   * @throws {FerryError} why nothing can be staged on the file system that it would be on
   */
  for(name: FileName): StagingArea {
    // A record of the server itself is in the state directory, as the main area is.
    if (name.startsWith(`${RESERVED_DIRECTORY}/`)) return this.#main;
    const parent = parentName(name);
    if (this.#last?.parent === parent) return this.#last.area;
    using directory = this.#options.root.nearest(name);
    const area = this.beside(directory);
    // Only the main area is remembered. The others may be gone any time, so they are looked up again for each file.
    this.#last = area === this.#main ? { parent, area } : undefined;
    return area;
  }

  /**
   * The area from which files can be renamed into a directory.
   *
   * @throws {FerryError} as {@linkcode StagingAreas.for}
   */
  beside(directory: Directory): StagingArea {
    const { state, root } = this.#options;
    this.#last = undefined;
    if (canRename(state.staging, directory)) return this.#main;
    for (const area of [...this.#areas.values()]) {
      const takes = area.takes(directory);
      if (takes) return area.area;
      if (takes === undefined) this.#forget(area);
    }
    const way = root.pathOf(directory, "").split("/").filter(Boolean);
    for (let depth = 0; depth < way.length; depth++) {
      const name = way.slice(0, depth).join("/") as FileName | "";
      using top = root.enter(name);
      if (canRename(top, directory)) return this.#open(name, top).area;
    }
    return this.#open(way.join("/") as FileName | "", directory).area;
  }

  #open(name: FileName | "", top: Directory): ForeignArea {
    let area: ForeignArea;
    try {
      const { root, state } = this.#options;
      const open = () =>
        ForeignArea.open({
          name,
          top,
          id: this.#id,
          root,
          state,
          isLive: (name) => [...this.#areas.values()].some((area) => area.own === name),
          area: areaOptions(this.#options),
          onIdle: () => this.#closeIdle(area),
        });
      area = state.inTurn(open);
    } catch (reason) {
      const error = fileError(reason);
      const message = `nothing can be staged on the file system there: ${error.reason}`;
      throw new FerryError(error.code, message, { cause: error });
    }
    this.#options.onCounted(area.area.kept.bytes);
    this.#areas.set(name, area);
    this.#missing.delete(name);
    this.#record();
    repairPublications(this.#options.root, area.area);
    return area;
  }

  /** Opens an area that an earlier process left, if it contains anything. */
  #openAgain(name: FileName | ""): void {
    try {
      using top = this.#options.root.enter(name);
      if (ForeignArea.isLeftIn(top, this.#id)) this.#closeIdle(this.#open(name, top));
    } catch {
      // Its file system may not be mounted now, but later.
      this.#missing.add(name);
    }
  }

  #closeIdle(area: ForeignArea): void {
    const removed = !area.area.inUse && this.#options.state.inTurn(() => area.remove());
    if (removed) this.#forget(area);
  }

  #forget(area: ForeignArea): void {
    area[Symbol.dispose]();
    this.#options.onCounted(-area.area.kept.bytes);
    this.#areas.delete(area.name);
    this.#record();
  }

  #record(): void {
    const { state } = this.#options;
    const own = [...this.#areas.keys(), ...this.#missing];
    try {
      state.inTurn(() => {
        // Those that other processes have recorded stay, until one process alone owns the directory.
        const others = state.isShared ? readRecord(state.directory).areas : [];
        writeRecord(state.directory, { id: this.#id, areas: [...new Set([...own, ...others])] });
      });
    } catch {
      // An area that is missing from the record is found when its file system is written to again.
    }
  }

  /** Forgets the contents of the state directory, which was removed and created again. */
  renewed(): void {
    this.#main.forgetMissing();
    this.#record();
  }

  /** Ends all areas after the root was remounted: their contents are opened again through the new mount. */
  end(): void {
    for (const area of this.all) area.end();
    for (const area of this.#areas.values()) area[Symbol.dispose]();
    this.#areas.clear();
  }

  /** Whether an entry of a directory is an area in which a file is being written. */
  isInUse(directory: Directory, name: string): boolean {
    return name === STAGING_DIRECTORY && [...this.#areas.values()].some((area) => {
      return area.area.isWritten && area.name === this.#options.root.pathOf(directory, "");
    });
  }

  /** The partial uploads in all areas, of an owner or, by default, of all. */
  list(owner?: string): PartialUpload[] {
    return this.all.flatMap((area) => this.#listIn(area, owner));
  }

  /** See `PartialUploads.look`. */
  look(id: string, owner: string): DescribedUpload | undefined {
    const located = this.locate(id, owner);
    const found = located?.area.look(located.file, owner);
    return found && { id, owner, entry: found.entry, prefix: found.prefix };
  }

  /** The partial uploads of a file that are on the file system of its name, most recently written first. */
  find(name: FileName, size: number, owner: string): PartialUpload[] {
    return this.findIn(this.for(name), name, size, owner);
  }

  /** The same in one area. */
  findIn(area: StagingArea, name: FileName, size: number, owner: string): PartialUpload[] {
    return this.#listIn(area, owner)
      .filter(({ entry, size: whole }) => entry.filename === name && whole === size)
      .sort((a, b) => b.entry.mtime - a.entry.mtime);
  }

  #listIn(area: StagingArea, owner?: string): (PartialUpload & { size: number | null })[] {
    return area.list(owner)
      .map(({ file, ...known }) => ({ id: this.idOf(area, file), ...known }));
  }

  /**
   * The id of a partial upload: its file name; on another file system, preceded by the name of the area's parent
   * directory.
   */
  idOf(area: StagingArea, file: string): string {
    if (area === this.#main) return file;
    const foreign = [...this.#areas.values()].find((each) => each.area === area);
    return `${foreign?.name}/${file}`;
  }

  /** The area and the file name that an id is made of; the area is undefined if there is none. */
  #split(id: string): { area: StagingArea | undefined; file: string } {
    const at = id.lastIndexOf("/");
    const area = at < 0 ? this.#main : this.#areas.get(id.slice(0, at) as FileName | "")?.area;
    return { area, file: id.slice(at + 1) };
  }

  /** Finds a partial upload by its id; undefined if the owner has none with that id. */
  locate(id: string, owner: string): Located | undefined {
    const { area, file } = this.#split(id);
    const record = area?.recordOf(file, owner);
    return area && record &&
      { area, file, name: record.filename as FileName, size: record.size };
  }

  /** Finds a staged tree by its id: like that of a partial upload, it says in which area it is. */
  treeOf(id: string): { area: StagingArea; tree: KeptTree } | undefined {
    const { area, file } = this.#split(id);
    const tree = area?.trees.get(file);
    return area && tree && { area, tree };
  }

  /** See `PartialUploads.discard`. */
  discard(id: string, { owner = "", assertMay }: DiscardOptions): void {
    const located = this.locate(id, owner);
    if (!located) throw noPartialUpload();
    located.area.discard(located.file, assertMay);
  }

  /** See `PartialUploads.expire`. */
  expire(ttl: number): void {
    for (const area of this.all) area.expire(ttl);
  }

  /** All areas. */
  get all(): StagingArea[] {
    return [this.#main, ...Array.from(this.#areas.values(), ({ area }) => area)];
  }

  /** Removes the areas that are empty. */
  [Symbol.dispose](): void {
    for (const area of [...this.#areas.values()]) {
      this.#closeIdle(area);
      area[Symbol.dispose]();
    }
  }
}

function areaOptions(
  { runtime, state, onCounted }: StagingAreasOptions,
): Omit<StagingAreaOptions, "enter"> {
  return { runtime, assertHeld: () => state.assertHeld(), onDropped: (bytes) => onCounted(-bytes) };
}

/** The record, which is made if several processes need the same one. */
function recordIn({ directory, isShared }: StateDirectory): AreasRecord {
  const record = readRecord(directory);
  if (isShared && !isTaken(directory.at(RECORD))) writeRecord(directory, record);
  return record;
}

function writeRecord(own: Directory, record: AreasRecord): void {
  replaceExactly(own.at(RECORD), new TextEncoder().encode(JSON.stringify(record)));
}

function readRecord(own: Directory): AreasRecord {
  const none = { id: crypto.randomUUID(), areas: [] };
  try {
    const text = readExactly(own.at(RECORD), MAX_RECORD_BYTES);
    const { id, areas }: Partial<AreasRecord> = JSON.parse(text);
    const whole = typeof id === "string" && /^[0-9a-f-]{36}$/.test(id) && Array.isArray(areas) &&
      areas.every((name) => typeof name === "string");
    return whole ? { id, areas } : none;
  } catch {
    return none;
  }
}
