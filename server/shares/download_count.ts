/**
 * Counts the downloads of a link. Each is a record that can be created once, so that all servers of the same files
 * count together.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Records } from "../files/records.ts";
import { linkEnded } from "./share.ts";

/** How long a client may go on with a download that it has begun, in milliseconds. */
const GOING_ON_MS = 24 * 60 * 60 * 1000;

/** A download, as a visitor asks for it. */
export interface Download {
  /** Whether it has the first byte of the content. Anything else goes on with a download that was begun. */
  readonly first: boolean;
  /** The address of the client. */
  readonly source: string;
}

/** A download that was begun. */
interface Begun {
  readonly at: number;
  /** Tells the client from others; its address cannot be learned from it without trying all. */
  readonly by: string;
}

/** The downloads of one link that allows only so many. */
export class DownloadCount {
  readonly #records: Records;
  readonly #id: string;
  readonly #most: number;
  /** The downloads that are known, by their numbers. */
  readonly #begun = new Map<string, Begun>();

  /** @param id the id of the link */
  constructor(records: Records, id: string, most: number) {
    this.#records = records;
    this.#id = id;
    this.#most = most;
  }

  get #kind(): string {
    return `downloads-${this.#id}`;
  }

  /** How many were begun. */
  async taken(): Promise<number> {
    if (this.#begun.size < this.#most) {
      for await (const number of this.#records.list(this.#kind)) {
        if (this.#begun.has(number)) continue;
        const begun = await this.#records.read(this.#kind, number) as Begun | undefined;
        if (begun) this.#begun.set(number, begun);
      }
    }
    return this.#begun.size;
  }

  /**
   * Fails if a client can begin no download, nor go on with one.
   *
   * @throws {FerryError} that the link has ended
   */
  async assertLeft(source: string, now: number): Promise<void> {
    if (await this.taken() < this.#most || this.#goesOn(source, now)) return;
    throw usedUp();
  }

  /**
   * Counts a download, unless it goes on with one that was counted.
   *
   * @throws {FerryError} that the link has ended
   */
  async count({ first, source }: Download, now: number): Promise<void> {
    const taken = await this.taken();
    if (!first && this.#goesOn(source, now)) return;
    const begun: Begun = { at: now, by: this.#mark(source) };
    // Others may begin one at the same moment.
    for (let number = taken + 1; number <= this.#most; number++) {
      if (!await this.#records.create(this.#kind, `${number}`, begun)) continue;
      this.#begun.set(`${number}`, begun);
      return;
    }
    throw usedUp();
  }

  #goesOn(source: string, now: number): boolean {
    const mark = this.#mark(source);
    return [...this.#begun.values()].some(({ at, by }) => by === mark && now - at < GOING_ON_MS);
  }

  #mark(source: string): string {
    return createHash("sha256").update(`${this.#id}\0${source}`).digest("base64url").slice(0, 22);
  }

  /** Forgets the downloads of a link that was removed. */
  static async forget(records: Records, id: string): Promise<void> {
    const kind = `downloads-${id}`;
    const numbers = await Array.fromAsync(records.list(kind));
    for (const number of numbers) await records.remove(kind, number);
  }
}

function usedUp() {
  return linkEnded("the link was used as often as it may be");
}
