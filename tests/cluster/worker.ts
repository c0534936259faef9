/**
 * A client of a cluster: puts files, is cut, tries again, reads what others put, and keeps account of what was
 * acknowledged.
 *
 * @module
 */

import { type Client, connect, FerryError } from "../../mod.ts";
import { md5, MIB } from "../support/bytes.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { contentOf, isWhole } from "../support/known_content.ts";

/** Sizes of files in bytes. Those of several parts are the ones that are resumed. */
const SIZES = [0, 1, 4096, 65_537, 300_000, 1_500_000, 9 * MIB, 20 * MIB, 33 * MIB + 7];

/** How fast a client may be, in bytes per second, so that cuts find transfers under way. */
const RATE = 48 * MIB;

/** How many names all clients share. */
const SHARED = 4;

/** How often an attempt at one file may fail before something is taken to be wrong for good. */
const MAX_FAILURES = 60;

/** Failures that a server or a store which is killed may cause; everything else is a problem. */
const EXPECTED = ["unreachable", "closed", "timeout", "busy", "io"];

/** What a file contains. */
export interface Content {
  /** The seed of its bytes. */
  readonly seed: number;
  /** Its size. */
  readonly size: number;
}

/** What happened, over all clients. */
export class Account {
  /** The acknowledged files that were put once, by their names. */
  readonly files: Map<string, Content> = new Map();
  /** What is wrong. */
  readonly problems: string[] = [];
  /** How often something happened. */
  readonly counts: Map<string, number> = new Map();
  /** How many bytes were acknowledged. */
  bytes = 0;

  /** Counts something that happened. */
  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

/** How a client reaches the cluster. */
export interface Entrance {
  /** `HOST:PORT` */
  readonly address: string;
  /** The token. */
  readonly token: string;
  /** The fingerprint of the certificate. */
  readonly pin: string;
}

/** One client. What it does follows from its random numbers. */
export class Worker {
  readonly #entrance: Entrance;
  readonly #account: Account;
  readonly #dir: string;
  readonly #random: (limit: number) => number;
  #client: Client | undefined;
  #made = 0;

  /** A client that is not connected yet. */
  constructor(
    number: number,
    { entrance, account, seed }: { entrance: Entrance; account: Account; seed: number },
  ) {
    this.#entrance = entrance;
    this.#account = account;
    this.#dir = `client-${number}`;
    this.#random = randomNumbers(seed ^ Math.imul(number + 1, 0x9e3779b1));
  }

  /** Works until the signal is aborted, and then finishes the file that it has begun. */
  async run(stop: AbortSignal): Promise<void> {
    try {
      while (!stop.aborted && this.#account.problems.length === 0) {
        const actions = [this.#put, this.#put, this.#put, this.#putShared, this.#get, this.#list];
        await actions[this.#random(actions.length)]!.call(this);
      }
    } finally {
      await this.#client?.close();
    }
  }

  #problem(text: string): void {
    this.#account.problems.push(`${this.#dir}: ${text}`);
  }

  /** The connection; retries are this client's own affair. */
  async #connected(): Promise<Client> {
    const { address, token, pin } = this.#entrance;
    return this.#client ??= await connect(address, {
      token,
      tls: { pins: [pin] },
      retries: 0,
      limitRate: RATE,
      connectTimeout: 20_000,
    });
  }

  /** Does something until it succeeds. Each attempt may be cut. */
  async #insist<T>(
    what: string,
    attempt: (client: Client, signal: AbortSignal) => Promise<T>,
  ): Promise<T | undefined> {
    for (let failures = 0; failures < MAX_FAILURES;) {
      const cut = this.#random(3) === 0;
      const controller = new AbortController();
      const timer = cut ? setTimeout(() => controller.abort(), this.#random(900)) : undefined;
      try {
        return await attempt(await this.#connected(), controller.signal);
      } catch (error) {
        if (controller.signal.aborted) {
          this.#account.count("cut by the client");
        } else if (error instanceof FerryError && EXPECTED.includes(error.code)) {
          failures++;
          this.#account.count(`failed: ${error.code}`);
          await this.#reconnectLater();
        } else {
          this.#problem(`${what}: ${error instanceof Error ? error.message : error}`);
          return undefined;
        }
      } finally {
        clearTimeout(timer);
      }
    }
    this.#problem(`${what} failed ${MAX_FAILURES} times`);
    return undefined;
  }

  async #reconnectLater(): Promise<void> {
    await this.#client?.close();
    this.#client = undefined;
    await new Promise((resolve) => setTimeout(resolve, 50 + this.#random(400)));
  }

  #newContent(): Content {
    return { seed: this.#random(2 ** 32), size: SIZES[this.#random(SIZES.length)]! };
  }

  async #put(): Promise<void> {
    const name = `${this.#dir}/d${this.#random(3)}/${this.#made++}`;
    const content = this.#newContent();
    const bytes = contentOf(content.seed, content.size);
    const stored = await this.#insist(
      `put ${name}`,
      (client, signal) => client.put(new Blob([bytes]), { as: name, signal }),
    );
    if (!stored) return;
    this.#account.count("put");
    if (stored.resumedFrom > 0) this.#account.count("put, resumed");
    if (stored.checksum !== md5(bytes)) this.#problem(`put ${name}: md5 ${stored.checksum}`);
    this.#account.files.set(name, content);
    this.#account.bytes += content.size;
  }

  /** Replaces a file that others replace at the same time. */
  async #putShared(): Promise<void> {
    const name = `shared/${this.#random(SHARED)}`;
    const { seed, size } = this.#newContent();
    const bytes = contentOf(seed, size);
    const stored = await this.#insist(
      `put ${name}`,
      (client, signal) => client.put(new Blob([bytes]), { as: name, overwrite: "always", signal }),
    );
    if (stored) this.#account.count("put over");
  }

  async #get(): Promise<void> {
    const names = [...this.#account.files.keys()];
    const own = names[this.#random(names.length)];
    if (own !== undefined && this.#random(2) === 0) {
      const { seed, size } = this.#account.files.get(own)!;
      const bytes = await this.#fetch(own);
      if (bytes && md5(bytes) !== md5(contentOf(seed, size))) this.#problem(`get ${own}: torn`);
      return;
    }
    const name = `shared/${this.#random(SHARED)}`;
    const bytes = await this.#fetch(name);
    if (bytes && !isWhole(bytes)) this.#problem(`get ${name}: torn`);
  }

  async #fetch(name: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#insist(`get ${name}`, async (client, signal) => {
      try {
        return await client.get(name, { signal }).bytes();
      } catch (error) {
        if (error instanceof FerryError && error.code === "not_found") return null;
        throw error;
      }
    });
    if (bytes === null) {
      if (this.#account.files.has(name)) this.#problem(`get ${name}: it is not there`);
      return undefined;
    }
    if (bytes) this.#account.count("get");
    return bytes;
  }

  async #list(): Promise<void> {
    const before = [...this.#account.files.keys()].filter((name) => name.startsWith(this.#dir));
    if (before.length === 0) return;
    const seen = await this.#insist(`list ${this.#dir}`, async (client) => {
      const entries = await Array.fromAsync(client.list(this.#dir, { recursive: true }));
      return new Set(entries.map(({ filename }) => filename));
    });
    if (!seen) return;
    this.#account.count("list");
    const missing = before.filter((name) => !seen.has(name));
    if (missing.length > 0) this.#problem(`list ${this.#dir}: without ${missing.join(", ")}`);
  }
}
