/**
 * Symbolic links of clients in a root.
 *
 * @module
 */

import { lutimesSync } from "node:fs";
import { FerryError, fileError, quote } from "../../../lib/core/errors.ts";
import { flawOfTarget, leadsTo, type Link } from "../../../lib/core/link_target.ts";
import { basename } from "../../../lib/core/paths.ts";
import { type FileName, parentName } from "../../../lib/core/remote_name.ts";
import { namingError } from "../../../lib/files/file_errors.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { renameWithoutReplacing } from "../../../lib/files/renaming.ts";
import type { CreateLinkOptions, LinkOrOther, SymbolicLinks } from "../symbolic_links.ts";
import type { Directory } from "./open_directory.ts";
import { ParentDirectories } from "./parent_directories.ts";
import type { Root } from "./root.ts";
import type { Place } from "./name_walk.ts";
import { attempt, type ServedRoot } from "./served_root.ts";
import { eachBelow } from "./tree_walk.ts";

/** The links of a root, confined to what a request may reach. */
export class FsLinks implements SymbolicLinks {
  readonly #served: ServedRoot;
  readonly #root: Root;

  /** Links in a part of a root. */
  constructor(served: ServedRoot, root: Root) {
    this.#served = served;
    this.#root = root;
  }

  /** See {@linkcode SymbolicLinks.find}. */
  find(name: FileName): Promise<LinkOrOther | undefined> {
    return attempt(() => {
      let directory: Directory;
      try {
        directory = this.#root.enter(parentName(name), basename(name));
      } catch (error) {
        if (fileError(error).code === "not_found") return undefined;
        throw error;
      }
      using entered = directory;
      const info = this.#root.peek(entered, basename(name));
      if (!info) return undefined;
      const mtime = info.mtime?.getTime() ?? 0;
      if (!info.isSymlink) return { type: info.isDirectory ? "directory" : "other", mtime };
      return { type: "link", mtime, target: this.of(entered, name)?.target };
    });
  }

  /**
   * The link of that name in a directory; undefined if it is none that is kept, or was removed.
   *
   * @throws {FerryError} `busy`, `io`
   */
  of(directory: Directory, name: FileName): Link | undefined {
    const path = directory.at(basename(name));
    try {
      const mtime = Deno.lstatSync(path).mtime?.getTime() ?? 0;
      const target = Deno.readLinkSync(path);
      this.#root.assertStays(name, target, directory);
      return { target, mtime };
    } catch (reason) {
      const error = fileError(reason);
      // It is no link any more if reading it fails otherwise.
      if (["busy", "io"].includes(error.code) && error.cause === undefined) throw error;
      return undefined;
    }
  }

  /** See {@linkcode SymbolicLinks.assertKept}. */
  assertKept(name: FileName, target: string): Promise<void> {
    return attempt(() => this.#root.assertStays(name, target));
  }

  /** See {@linkcode SymbolicLinks.create}. */
  async create(
    name: FileName,
    target: string,
    { replace, mtime, assertMay }: CreateLinkOptions,
  ): Promise<void> {
    const served = this.#served;
    await served.assertWritable();
    const root = this.#root;
    using parents = new ParentDirectories(root);
    const { room, staged } = await attempt(() => {
      root.assertStays(name, target);
      assertMay?.();
      const room = parents.room(name);
      // It is made elsewhere first: only a rename replaces what has the name in one step.
      return { room, staged: served.areas.beside(room.directory).makeDirectory() };
    });
    await using _staged = staged;
    await attempt(() => {
      const path = staged.directory.at("link");
      Deno.symlinkSync(target, path);
      if (mtime !== undefined) lutimesSync(path, mtime / 1000, mtime / 1000);
      // Asked again for the directory that is held: its name may have led to another one.
      root.assertStays(name, target, room.directory);
      this.#publish(path, room.path, replace);
    });
    if (served.durable) await served.flushes.sync([room.directory, ...room.made]);
    root.assertStanding([room.directory]);
  }

  /**
   * Fails if a move would make a link lead out of the root or of what the request may reach, which stays in it now: the
   * entry itself, or one below it.
   *
   * @param reaches whether the request may reach a path after the move
   * @throws {FerryError} `denied`, and the errors of reading the directory
   */
  async assertMovable(
    { directory, name, info }: Place,
    to: FileName,
    { reaches, signal }: { reaches: (path: string) => boolean; signal: AbortSignal },
  ): Promise<void> {
    const root = this.#root;
    if (!info.isSymlink && !info.isDirectory) return;
    const from = root.pathOf(directory, name);
    const [old, moved] = [from as FileName, await attempt(() => root.realPathOf(to))];
    const check = (directory: Directory, child: string) => {
      const path = root.pathOf(directory, child) as FileName;
      const target = targetAt(directory.at(child));
      const before = target === undefined ? undefined : leadsTo(parentName(path), target);
      if (target === undefined || before === undefined) return;
      const after = leadsTo(parentName((moved + path.slice(old.length)) as FileName), target);
      if (after !== undefined && reaches(after)) return;
      throw new FerryError("denied", `the link ${quote(path)} would lead out from there`);
    };
    if (info.isSymlink) return check(directory, name);
    using inside = directory.enter(name, info);
    if (!inside) return;
    await eachBelow(inside, {
      peek: (directory, child) => {
        const info = root.peekVisible(directory, child);
        if (info?.isSymlink) check(directory, child);
        return info;
      },
      onFound: () => {},
      signal,
      merges: this.#served.merges,
    });
  }

  /** Gives a link its name. */
  #publish(path: string, to: string, replace: boolean): void {
    const replaced = infoAt(to);
    if (replaced?.isDirectory) throw new FerryError("not_a_file", "it is a directory");
    try {
      if (replace) Deno.renameSync(path, to);
      else renameWithoutReplacing(path, to);
    } catch (error) {
      throw namingError(error, to);
    }
    if (replaced) this.#served.quota.lost(replaced);
  }
}

/** What a link says; undefined if it is none whose text shows where it leads, or was removed. */
function targetAt(path: string): string | undefined {
  try {
    const target = Deno.readLinkSync(path);
    return flawOfTarget(target) === undefined ? target : undefined;
  } catch {
    return undefined;
  }
}
