/**
 * A file that lines are appended to, and that may be renamed meanwhile to begin another one.
 *
 * @module
 */

import { closeQuietly } from "../../lib/core/close_quietly.ts";
import { fileError, quote } from "../../lib/core/errors.ts";
import type { ByteWriter } from "./line_writer.ts";

/** Only the owner may read it: names of files may be confidential. */
const MODE = 0o600;

/**
 * A file that only grows. Each write is appended to what the file has at that time, whoever has written or truncated it
 * meanwhile.
 */
export class AppendedFile implements ByteWriter {
  readonly #path: string;
  readonly #onFailure: (error: unknown) => void;
  #file: Deno.FsFile;
  #failing = false;

  private constructor(path: string, onFailure: (error: unknown) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
    this.#file = openToAppend(path, { create: true });
  }

  /**
   * Opens a file, or creates it for its owner alone.
   *
   * @param onFailure called with the first of several errors in a row that writing fails with
   * @throws {FerryError} why it cannot be opened
   */
  static open(path: string, onFailure: (error: unknown) => void): AppendedFile {
    return new AppendedFile(path, onFailure);
  }

  /**
   * Opens what has the path now, or creates it, and writes there from now on.
   *
   * @throws {FerryError} why it cannot be opened; the file that is open stays in use
   */
  reopen(): void {
    const next = openToAppend(this.#path, { create: true });
    closeQuietly(this.#file);
    this.#file = next;
  }

  async write(bytes: Uint8Array): Promise<number> {
    try {
      const count = await this.#file.write(bytes);
      this.#failing = false;
      return count;
    } catch (error) {
      if (!this.#failing) this.#onFailure(error);
      this.#failing = true;
      throw error;
    }
  }
}

/**
 * Opens a file to append to it.
 *
 * @param options.create whether it is created if it is not there
 * @throws {FerryError} why it cannot be opened
 */
export function openToAppend(path: string, { create }: { create: boolean }): Deno.FsFile {
  try {
    // Opening a named pipe only to write to it would wait for its reader.
    return Deno.openSync(path, { read: isPipe(path), append: true, create, mode: MODE });
  } catch (error) {
    throw fileError(error).during(`write to ${quote(path)}`);
  }
}

function isPipe(path: string): boolean {
  try {
    return Deno.statSync(path).isFifo === true;
  } catch {
    // It is not there yet, or cannot be opened.
    return false;
  }
}
