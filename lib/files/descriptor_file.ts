/**
 * Files that are open as descriptors of the system, where those of the runtime cannot be used.
 *
 * @module
 */

import { closeSync, fchmodSync, fdatasync, fstatSync, read, readSync, writeSync } from "node:fs";
import { inodeOf } from "../core/file_identity.ts";
import type { FileFacts, ReadableFile } from "./source_file.ts";
import { type WritableFile } from "./staged_file.ts";
import { openExactly } from "./open_exactly.ts";

/** As much of `Deno.FsFile` as ferry reads and writes files with. */
export class DescriptorFile implements ReadableFile, WritableFile {
  #descriptor: number | undefined;
  #position = 0;
  /** Whether the system's own position is that: not to have to tell it saves time. */
  #inStep = true;

  /** A path that leads to the descriptor, where there is one. */
  readonly #path: string | undefined;
  /** How many bytes have been written. */
  #written = 0;
  /** The file opened once more, for what is written by other threads; null where that cannot be had. */
  #threaded: Deno.FsFile | null | undefined;

  /**
   * A file that is open, and closed with this one.
   *
   * @param path leads to the descriptor; without it everything is written by the calling thread
   */
  constructor(descriptor: number, path?: string) {
    this.#descriptor = descriptor;
    this.#path = path;
  }

  /** The descriptor; as soon as it is closed the number may stand for another file. */
  get #open(): number {
    if (this.#descriptor === undefined) throw new Deno.errors.BadResource("the file is closed");
    return this.#descriptor;
  }

  /** See `Deno.FsFile`. */
  readSync(into: Uint8Array): number | null {
    return this.#read(into, readSync(this.#open, into, 0, into.length, this.#where));
  }

  /** See `Deno.FsFile`. */
  async read(into: Uint8Array): Promise<number | null> {
    const [descriptor, where] = [this.#open, this.#where];
    const count = await settled<number>((done) => {
      read(descriptor, into, 0, into.length, where, done);
    });
    return this.#read(into, count);
  }

  get #where(): number | null {
    return this.#inStep ? null : this.#position;
  }

  #read(into: Uint8Array, count: number): number | null {
    this.#position += count;
    return count === 0 && into.length > 0 ? null : count;
  }

  /** See `Deno.FsFile`; counts from the start of the file, and for reading only. */
  seekSync(position: number): number {
    if (position !== this.#position) this.#inStep = false;
    return this.#position = position;
  }

  /** See `Deno.FsFile`. */
  statSync(): FileFacts {
    const stats = fstatSync(this.#open);
    const { dev, ino, size, mtime, ctime, mode } = stats;
    const [isFile, isDirectory] = [stats.isFile(), stats.isDirectory()];
    return { isFile, isDirectory, dev, ino, size, mtime, ctime, mode };
  }

  /** See `Deno.FsFile`. */
  writeSync(bytes: Uint8Array): number {
    const descriptor = this.#open;
    const count = this.#threaded?.writeSync(bytes) ?? writeSync(descriptor, bytes);
    this.#written += count;
    return count;
  }

  /** See `Deno.FsFile`. */
  async write(bytes: Uint8Array): Promise<number> {
    if (this.#threaded === undefined) this.#threaded = this.#openThreaded();
    if (!this.#threaded) return this.writeSync(bytes);
    const count = await this.#threaded.write(bytes);
    this.#written += count;
    return count;
  }

  /** Whatever it is called, `write` of `node:fs` makes its system call on the thread that calls it. */
  #openThreaded(): Deno.FsFile | null {
    if (this.#path === undefined) return null;
    const facts = fstatSync(this.#open);
    let file: Deno.FsFile | undefined;
    try {
      file = openExactly(Deno.realPathSync(this.#path), { write: true });
      // The runtime goes by the name that the descriptor's file has now.
      if (inodeOf(file.statSync()) === inodeOf(facts)) {
        file.seekSync(this.#written, Deno.SeekMode.Start);
        return file;
      }
    } catch {
      // It has no name any more, or a mode that lets nobody open it again.
    }
    file?.close();
    return null;
  }

  /** See `Deno.FsFile`. */
  async syncData(): Promise<void> {
    const descriptor = this.#open;
    await settled((done) => fdatasync(descriptor, done));
  }

  /** Sets the permission bits. */
  chmodSync(mode: number): void {
    fchmodSync(this.#open, mode);
  }

  /** See `Deno.FsFile`. */
  close(): void {
    const descriptor = this.#open;
    this.#descriptor = undefined;
    this.#threaded?.close();
    closeSync(descriptor);
  }
}

/** What a function of Node's gives to its callback. */
export function settled<T>(
  run: (done: (error: Error | null, result?: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, result) => error ? reject(error) : resolve(result as T));
  });
}
