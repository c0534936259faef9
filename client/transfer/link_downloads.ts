/**
 * The symbolic links of a download of a directory. They are made when all its files are there, so that none of these
 * is written through a link that the same server has just told of; and only where they stay in the directory.
 *
 * @module
 */

import { FerryError, fileError, quote } from "../../lib/core/errors.ts";
import { flawOfTarget, leadsTo, type Link } from "../../lib/core/link_target.ts";
import { decideLink, type Overwrite } from "../../lib/core/overwrite.ts";
import { dirname, isAbsolute } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { type FileName, parentName } from "../../lib/core/remote_name.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { directoryAt, syncDirectories } from "../../lib/files/directory_flush.ts";
import { infoAt } from "../../lib/files/path_lookup.ts";
import { renameWithoutReplacing } from "../../lib/files/renaming.ts";
import { localFailure } from "./local_failure.ts";
import type { OmissionHandlers } from "./omissions.ts";
import { type GetTreeOptions, nothingTransferred } from "./options.ts";
import { TEMPORARY_PREFIX } from "./partial_downloads.ts";

/** The most links that are followed to find out where one leads; Linux has the same limit. */
const MAX_LINKS = 40;

/** A symbolic link to be made. */
export interface LinkItem extends Link {
  /** Its name on the server. */
  readonly filename: string;
  /** Its name relative to the directory. */
  readonly name: FileName;
  /** Its local path. */
  readonly path: string;
}

/** The links of a download into the local directory `out`. */
export class LinkDownloads {
  readonly #out: string;
  readonly #options: GetTreeOptions;
  readonly #beforeReplacing: ((name: string) => Promise<void>) | undefined;
  #left: LinkItem[] = [];

  /**
   * No links yet.
   *
   * @param beforeReplacing called before a link gets its name, which may be taken. Default: undefined, nothing.
   */
  constructor(
    out: string,
    options: GetTreeOptions,
    beforeReplacing?: (name: string) => Promise<void>,
  ) {
    this.#out = out;
    this.#options = options;
    this.#beforeReplacing = beforeReplacing;
  }

  /** Whether any are left. */
  get anyLeft(): boolean {
    return this.#left.length > 0;
  }

  /**
   * Adds a link to be made later.
   *
   * @returns why it is skipped instead, in words; undefined if it is not
   */
  add(item: LinkItem): string | undefined {
    if (!PLATFORM.symbolicLinks) return "symbolic link, which is not made on this system";
    const flaw = flawOfTarget(item.target);
    if (flaw !== undefined) return `symbolic link whose target ${flaw}`;
    this.#left.push(item);
    return undefined;
  }

  /**
   * Makes the links.
   *
   * @returns how many failed
   */
  async make(): Promise<number> {
    const links = this.#left;
    this.#left = [];
    const { overwrite = "never", dryRun = false, durability } = this.#options;
    const made: LinkItem[] = [];
    const changed = new Set<string>();
    let failures = 0;
    const failed = (item: LinkItem, error: unknown) => {
      failures++;
      reportFailure(this.#options, item, error);
    };
    const { lutimesSync } = await import("node:fs");
    for (const item of links) {
      const { filename, target: link, mtime, path } = item;
      try {
        if (!isWanted(item, overwrite)) {
          this.#options.onFile?.(nothingTransferred(filename, { size: 0, skipped: true, link }));
          continue;
        }
        if (!dryRun) {
          for (const each of makeDirectories(dirname(path))) changed.add(each);
          assertStays(this.#out, item);
          await this.#beforeReplacing?.(item.name);
          place(item, overwrite, (path) => lutimesSync(path, mtime / 1000, mtime / 1000));
          changed.add(dirname(path));
        }
        made.push(item);
      } catch (error) {
        failed(item, error);
      }
    }
    if (durability !== "none") await syncDirectories([...changed].map(directoryAt));
    for (const { filename, target: link } of made) {
      this.#options.onFile?.(nothingTransferred(filename, { size: 0, link }));
    }
    return failures;
  }
}

function reportFailure({ onError }: OmissionHandlers, item: LinkItem, error: unknown): void {
  const { filename, path } = item;
  onError?.(filename, localFailure(error, path).during(`get ${quote(filename)}`));
}

/**
 * Whether a link has to be made.
 *
 * @throws {FerryError} `exists`; `not_a_file` for a directory
 */
function isWanted({ path, target, mtime }: LinkItem, overwrite: Overwrite): boolean {
  const there = infoAt(path);
  if (!there) return true;
  if (there.isDirectory) throw new FerryError("not_a_file", `${quote(path)} is a directory`);
  const decision = decideLink(overwrite, { target, mtime }, {
    target: there.isSymlink ? Deno.readLinkSync(path) : undefined,
    mtime: there.mtime?.getTime(),
  });
  if (decision === "exists") throw new FerryError("exists", `another file is at ${quote(path)}`);
  return decision === "send";
}

/** Makes a link under a temporary name, and gives it its own in one step. */
function place(
  { path, target }: LinkItem,
  overwrite: Overwrite,
  setTime: (path: string) => void,
): void {
  const temporary = `${dirname(path)}/${TEMPORARY_PREFIX}${crypto.randomUUID()}.part`;
  Deno.symlinkSync(target, temporary);
  try {
    setTime(temporary);
    if (overwrite === "never") renameWithoutReplacing(temporary, path);
    else Deno.renameSync(temporary, path);
  } catch (error) {
    Deno.removeSync(temporary);
    throw error;
  }
}

/**
 * Fails if a link would lead out of a local directory: by its text, or through links that are there. Targets have no
 * `..` behind a name, so a missing one can lead only further down when it comes.
 *
 * @throws {FerryError} `denied`
 */
function assertStays(out: string, { name, path, target }: LinkItem): void {
  const base = realPath(out);
  const directory = realPath(dirname(path));
  if (directory !== base && !directory.startsWith(`${base}/`)) throw leadsOut();
  const inside = directory.slice(base.length + 1) as FileName | "";
  const byText = [parentName(name), inside].map((at) => leadsTo(at, target));
  if (byText.includes(undefined)) throw leadsOut();
  let rest = partsOf(byText[1]!);
  let trail: string[] = [];
  for (let links = 0; rest.length > 0;) {
    const [part = "", ...others] = rest;
    rest = others;
    if (part === "..") {
      if (trail.length === 0) throw leadsOut();
      trail = trail.slice(0, -1);
      continue;
    }
    const at = [base, ...trail, part].join("/");
    const info = infoAt(at);
    if (!info?.isSymlink) {
      if (!info && rest.includes("..")) throw leadsOut();
      trail.push(part);
      continue;
    }
    // A circle leads nowhere.
    if (++links > MAX_LINKS) return;
    const further = Deno.readLinkSync(at);
    if (isAbsolute(further)) throw leadsOut();
    rest = [...partsOf(further), ...rest];
  }
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path).replace(/\/$/, "");
  } catch (error) {
    throw fileError(error);
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function leadsOut(): FerryError {
  return new FerryError("denied", "the link leads out of the directory that is written to");
}
