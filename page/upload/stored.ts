/// <reference lib="dom" />
/**
 * What the server has: looked up before files are sent, and compared after they were.
 *
 * @module
 */

import type { Send } from "./exchange.ts";
import { UploadFailure } from "./failure.ts";
import { nameIn, pathOf } from "./names.ts";
import { md5In } from "./tus.ts";

/** A file on the server. */
export interface StoredFile {
  readonly size: number;
  /** Its MD5 in hexadecimal; null if a list does not tell it. */
  readonly md5: string | null;
}

interface Listed {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly md5: string | null;
}

/** Looks up files of one view. */
export class Stored {
  readonly #send: Send;
  readonly #prefix: string;

  /** @param prefix what precedes each path of the view */
  constructor(send: Send, prefix: string) {
    this.#send = send;
    this.#prefix = prefix;
  }

  /**
   * The files with one of these names in a directory, and those in directories with one of these names, by their names
   * in the view.
   *
   * @returns undefined where nobody may list the directory
   */
  async below(
    directory: string,
    tops: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Map<string, StoredFile> | undefined> {
    const found = new Map<string, StoredFile>();
    try {
      for (const entry of await this.#list(directory, signal)) {
        if (!tops.has(entry.name)) continue;
        const name = nameIn(directory, entry.name);
        if (entry.type === "file") found.set(name, entry);
        if (entry.type !== "directory") continue;
        for (const inside of await this.#list(name, signal, "?recursive")) {
          if (inside.type === "file") found.set(nameIn(name, inside.name), inside);
        }
      }
      return found;
    } catch (error) {
      if (!(error instanceof UploadFailure)) throw error;
      // A directory that is made by the first file has nothing in it.
      if (error.status === 404) return found;
      if (error.status === 403) return undefined;
      throw error;
    }
  }

  async #list(directory: string, signal: AbortSignal, query = ""): Promise<readonly Listed[]> {
    const { text } = await this.#send({
      method: "GET",
      url: `${pathOf(this.#prefix, directory)}/${query}`,
      headers: { accept: "application/json" },
      signal,
    });
    return JSON.parse(text).entries;
  }

  /** The MD5 of a file in hexadecimal; undefined if the server cannot tell. */
  async md5(name: string, signal: AbortSignal): Promise<string | undefined> {
    const headers = { "want-repr-digest": "md5=10" };
    const url = pathOf(this.#prefix, name);
    const response = await this.#send({ method: "HEAD", url, headers, signal });
    return md5In(response.header("repr-digest"));
  }

  /** Makes a directory, if it is not there. */
  async makeDirectory(name: string, signal: AbortSignal): Promise<void> {
    await this.#send({ method: "POST", url: `${pathOf(this.#prefix, name)}/`, signal });
  }
}
