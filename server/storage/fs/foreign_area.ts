/**
 * A staging area on a file system other than the root's: a hidden directory at the top of that file system.
 *
 * @module
 */

import { type Directory, makeDirectory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { type FileName, joinName, STAGING_DIRECTORY } from "../../../lib/core/remote_name.ts";
import { canRename } from "./rename_trial.ts";
import type { Root } from "./root.ts";
import { StagingArea, type StagingAreaOptions } from "./staging_area.ts";
import { OtherAreas } from "./other_areas.ts";
import { adopt, type StateDirectory } from "./state_directory.ts";

/** An area is removed after it has been empty for this long, in milliseconds. */
const IDLE_MS = 1000;

/** Options of {@linkcode ForeignArea.open}. */
export interface ForeignAreaOptions {
  /** The name of its parent directory, the top of the file system. */
  name: FileName | "";
  /** The parent directory itself. */
  top: Directory;
  /** An id that tells the areas of this root from those of other servers. */
  id: string;
  /** The root. */
  root: Root;
  /** The state directory of the root. */
  state: StateDirectory;
  /**
   * Whether this process writes to the directory of that name in the area. That happens if a file system is mounted
   * twice.
   */
  isLive(name: string): boolean;
  /** The options of its {@linkcode StagingArea}. */
  area: Omit<StagingAreaOptions, "enter">;
  /** Called when the area has been empty for {@linkcode IDLE_MS}. */
  onIdle(): void;
}

/** A staging area on a file system other than the root's. */
export class ForeignArea implements Disposable {
  /** The name of its parent directory, the top of the file system. */
  readonly name: FileName | "";
  /** The name of this process's own directory in it. */
  readonly own: string;
  readonly #root: Root;
  #area!: StagingArea;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor({ name, id, root, state }: ForeignAreaOptions) {
    this.name = name;
    this.#root = root;
    this.own = `${id}-${state.id}-${crypto.randomUUID()}`;
  }

  /**
   * Creates the area, or takes it over with the partial uploads that earlier processes left there.
   *
   * @throws the error that prevents its creation
   */
  static open(options: ForeignAreaOptions): ForeignArea {
    const { top, id, state, isLive, area, onIdle } = options;
    const foreign = new ForeignArea(options);
    const { own } = foreign;
    using all = makeDirectory(top, STAGING_DIRECTORY);
    using staging = makeDirectory(all, own);
    const isOurs = (name: string) => name.startsWith(id) && name !== own && !isLive(name);
    const companions = state.companions.map((companion) => `${id}-${companion}-`);
    const isCompanions = (name: string) => companions.some((begin) => name.startsWith(begin));
    adopt(all, staging, (name) => !isOurs(name) || isCompanions(name));
    foreign.#area = StagingArea.open({
      ...area,
      enter: () => foreign.#enter(),
      others: state.isShared
        ? new OtherAreas({
          enter: () => foreign.#enterAll(),
          isOther: isOurs,
          runtime: area.runtime,
        })
        : undefined,
      onReleased: () => foreign.#wait(onIdle),
    });
    foreign.#wait(onIdle);
    return foreign;
  }

  /** The staging area. */
  get area(): StagingArea {
    return this.#area;
  }

  /** Whether earlier processes that served the same root have left an area in a directory. */
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
    const known = this.#root.directory.known(
      joinName(joinName(this.name, STAGING_DIRECTORY), this.own),
    );
    if (known) return known;
    try {
      using all = this.#enterAll();
      return enter(all, this.own);
    } catch (reason) {
      const error = fileError(reason);
      if (error.code !== "not_found") throw error;
      throw new FerryError("io", "what was staged on the file system there is gone", {
        cause: reason,
      });
    }
  }

  /** The directory that contains the areas of all processes on the file system. */
  #enterAll(): Directory {
    using top = this.#root.enter(this.name);
    return enter(top, STAGING_DIRECTORY);
  }

  /** Whether its files can be renamed into a directory; undefined if the area no longer exists. */
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

  /** Removes the area. Returns whether it is gone. */
  remove(): boolean {
    try {
      using top = this.#root.enter(this.name);
      using all = enter(top, STAGING_DIRECTORY);
      Deno.removeSync(all.at(this.own));
      // Other servers may have their areas next to it.
      if ([...Deno.readDirSync(all.path)].length === 0) {
        Deno.removeSync(top.at(STAGING_DIRECTORY));
      }
      return true;
    } catch (error) {
      // The file system is gone, or the area is not empty.
      return fileError(error).code === "not_found";
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** Opens a directory in another one. */
function enter(directory: Directory, name: string): Directory {
  const entered = directory.enter(name, Deno.lstatSync(directory.at(name)));
  if (entered) return entered;
  throw new Deno.errors.NotFound();
}
