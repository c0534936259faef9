/**
 * Moves files and directories to another file system, where a rename is not possible: copies them, verifies the copy,
 * and then removes, entry by entry, what was copied and has not changed since.
 *
 * @module
 */

import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { Algorithm, Checksum } from "../../../lib/core/checksum.ts";
import type { Directory } from "./open_directory.ts";
import { FerryError, fileError, quote } from "../../../lib/core/errors.ts";
import { type FileName, joinName, mayBeNoText, notText } from "../../../lib/core/remote_name.ts";
import { makeSure } from "../../../lib/files/read_back.ts";
import { StagedFile } from "../../../lib/files/staged_file.ts";
import { syncDirectory } from "../../../lib/files/directory_flush.ts";
import type { ByteSource } from "../../../lib/core/bytes.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** How many bytes are read and written at a time. */
const PIECE_BYTES = 1024 * 1024;

/** An entry of a directory that was copied. */
export interface Copied {
  /** Its name in its directory. */
  name: string;
  /** Its attributes before it was copied. */
  info: Deno.FileInfo;
  /** If it is a directory, the entries in it that were copied. */
  children: Copied[];
  /** The attributes of the copy. */
  copy: Deno.FileInfo;
}

/** Options of {@linkcode copyContent}. */
export interface CopyOptions {
  /** Whether the copy is flushed, to survive a power failure. */
  durable: boolean;
  /** Ends the copy with the signal's abort reason. */
  signal: AbortSignal;
}

/** Options of {@linkcode copyEntry}. */
export interface CopyEntryOptions extends CopyOptions {
  /** Provides buffers and digests. */
  runtime: Runtime;
  /** Looks at an entry of a directory without following links; undefined if it is not to be copied. */
  peek(directory: Directory, name: string): Deno.FileInfo | undefined;
}

/** An entry of a directory. */
export interface EntryOf {
  /** The directory. */
  directory: Directory;
  /** Its name in the directory. */
  name: string;
  /** The attributes that it was seen with. */
  info: Deno.FileInfo;
}

/**
 * Copies the rest of a source into a file, and verifies the file by reading it back.
 *
 * @returns the checksum of both
 * @throws {FerryError} `io` if the source changes meanwhile, or the file does not contain what was written; `no_space`,
 * …
 */
export async function copyContent(
  source: ByteSource,
  staged: StagedFile,
  algorithm: Algorithm,
  { durable, signal }: CopyOptions,
): Promise<Checksum> {
  const digest = await staged.runtime.digests.create(algorithm);
  using lent = staged.runtime.buffers.lend(PIECE_BYTES);
  for (let count; (count = await source.read(lent.bytes)) !== null;) {
    signal.throwIfAborted();
    const piece = lent.bytes.subarray(0, count);
    digest.update(piece);
    await staged.write(piece);
  }
  const checksum = digest.checksum();
  await source.assertUnchanged?.(checksum);
  await makeSure(staged, { checksum, durable, always: true });
  return checksum;
}

/**
 * Copies a file, a link, or a directory with all its contents, under the same name: content, permission bits,
 * modification times, and owners if the process may set them. A file with several hard links becomes several files.
 *
 * @param path its full name, for messages
 * @param to the directory for the copy; nobody else should reach it
 * @throws {FerryError} why an entry cannot be copied, with its name
 */
export async function copyEntry(
  entry: EntryOf,
  path: FileName,
  to: Directory,
  options: CopyEntryOptions,
): Promise<Copied> {
  const { uid, gid } = Deno.statSync(to.path);
  return await new Copying({ uid, gid }, options).copy(entry, path, to);
}

class Copying {
  /** The owner of files that this process creates. */
  readonly #owner: Pick<Deno.FileInfo, "uid" | "gid">;
  readonly #options: CopyEntryOptions;
  readonly #pace = new Pace();

  constructor(owner: Pick<Deno.FileInfo, "uid" | "gid">, options: CopyEntryOptions) {
    this.#owner = owner;
    this.#options = options;
  }

  async copy(entry: EntryOf, path: FileName, to: Directory): Promise<Copied> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    if (this.#pace.isDue) await this.#pace.rest();
    const { name, info } = entry;
    try {
      const children = info.isDirectory ? await this.#copyDirectory(entry, path, to) : [];
      if (info.isFile) await this.#copyFile(entry, to);
      else if (info.isSymlink) copyLink(entry, to);
      else if (!info.isDirectory) {
        throw new FerryError("not_a_file", "pipes, sockets and devices stay where they are");
      }
      return { name, info, children, copy: Deno.lstatSync(to.at(name)) };
    } catch (reason) {
      signal.throwIfAborted();
      if (reason instanceof NotCopied) throw reason;
      const error = fileError(reason);
      throw new NotCopied(error.code, `${quote(path)} cannot be copied: ${error.reason}`, {
        cause: reason,
      });
    }
  }

  async #copyFile({ directory, name, info }: EntryOf, to: Directory): Promise<void> {
    const { runtime } = this.#options;
    const mode = (info.mode ?? 0o644) & 0o7777;
    await using file = directory.open(name, info, runtime);
    if (!file) throw replaced();
    await using staged = StagedFile.of(to.createFile(".part"), runtime, { mode });
    await copyContent(file, staged, "xxh128", { ...this.#options, durable: false });
    this.#giveAway(staged.path, info);
    staged.setAttributes({ mtime: file.mtime, mode });
    if (this.#options.durable) await staged.sync();
    staged.publish(to.at(name), { replace: true });
  }

  async #copyDirectory({ directory, name, info }: EntryOf, path: FileName, to: Directory) {
    const copied: Copied[] = [];
    using from = directory.enter(name, info);
    if (!from) throw replaced();
    Deno.mkdirSync(to.at(name), { mode: 0o700 });
    using made = to.enter(name, Deno.lstatSync(to.at(name)));
    if (!made) throw replaced();
    const children: string[] = [];
    for await (const child of Deno.readDir(from.path)) children.push(child.name);
    for (const child of children) {
      const seen = this.#options.peek(from, child);
      if (seen) {
        const entry = { directory: from, name: child, info: seen };
        copied.push(await this.copy(entry, joinName(path, child), made));
      } else if (mayBeNoText(child)) throw notText();
    }
    this.#giveAway(to.at(name), info);
    Deno.chmodSync(to.at(name), (info.mode ?? 0o755) & 0o7777);
    if (info.mtime) Deno.utimeSync(to.at(name), info.mtime, info.mtime);
    if (this.#options.durable) await syncDirectory(made.path);
    return copied;
  }

  /** Gives the copy the owner of the original, if the process may do that. */
  #giveAway(path: string, { uid, gid }: Deno.FileInfo): void {
    if (uid === this.#owner.uid && gid === this.#owner.gid) return;
    try {
      Deno.chownSync(path, uid, gid);
    } catch {
      // In that case the copy belongs to this process's user, as an upload does.
    }
  }
}

/** An error whose message already names the entry. */
class NotCopied extends FerryError {}

function copyLink({ directory, name }: EntryOf, to: Directory): void {
  Deno.symlinkSync(Deno.readLinkSync(directory.at(name)), to.at(name));
}

function replaced(): FerryError {
  return new FerryError("busy", "another program keeps replacing it");
}

/**
 * Removes what was copied. Entries that were changed or added since then stay, with their parent directories.
 *
 * @param path its full name, for messages
 * @param onRemoved called for each removed file, with its copy
 * @throws {FerryError} why the first of the entries that stay was not removed, with its name
 */
export async function removeCopied(
  directory: Directory,
  copied: Copied,
  path: FileName,
  onRemoved: (file: Deno.FileInfo, copy: Deno.FileInfo) => void,
): Promise<void> {
  const pace = new Pace();
  let failure: FerryError | undefined;
  const remove = async (directory: Directory, copied: Copied, path: FileName): Promise<void> => {
    const { name, info, children, copy } = copied;
    if (pace.isDue) await pace.rest();
    try {
      const now = Deno.lstatSync(directory.at(name));
      if (info.isDirectory && now.isDirectory) {
        using inside = directory.enter(name, now);
        for (const child of inside ? children : []) {
          await remove(inside!, child, joinName(path, child.name));
        }
      } else if (!isUnchanged(info, now)) {
        throw new FerryError("io", "it has changed since it was copied");
      }
      Deno.removeSync(directory.at(name));
      if (info.isFile) onRemoved(info, copy);
    } catch (reason) {
      const error = fileError(reason);
      if (error.code === "not_found") return;
      const message = `all was copied, but ${quote(path)} stays, too: ${error.reason}`;
      failure ??= new FerryError(error.code, message, { cause: reason });
    }
  };
  await remove(directory, copied, path);
  if (failure) throw failure;
}

function isUnchanged(before: Deno.FileInfo, now: Deno.FileInfo): boolean {
  return before.dev === now.dev && before.ino === now.ino && before.size === now.size &&
    before.isFile === now.isFile && before.isSymlink === now.isSymlink &&
    before.mtime?.getTime() === now.mtime?.getTime() &&
    before.ctime?.getTime() === now.ctime?.getTime();
}
