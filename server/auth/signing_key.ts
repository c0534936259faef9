/**
 * Keys with which a server signs what it gives to clients and later gets back from them.
 *
 * @module
 */

import { createHmac } from "node:crypto";
import { decodeBase64Url, encodeBase64Url } from "@std/encoding/base64url";
import { encodeHex } from "@std/encoding/hex";
import { sameBytes } from "../../lib/core/constant_time.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";

const KEY_BYTES = 32;

/** The length of an id in bytes: enough that the keys of servers of one host name differ in it. */
const ID_BYTES = 4;

/** Records that outlive the process and are shared by all servers of the same files. */
export interface SharedRecords {
  /** The value of a record; undefined if there is none. */
  read(kind: string, id: string): Promise<unknown>;
  /** Creates a record; returns false if it exists already. */
  create(kind: string, id: string, value: unknown): Promise<boolean>;
  /** Removes a record, if it exists. */
  remove(kind: string, id: string): Promise<void>;
  /** The ids of all records of a kind. */
  list(kind: string): AsyncIterable<string>;
}

/** Options of a {@linkcode SigningKey}. */
export interface SigningKeyOptions {
  /**
   * Whether a key that cannot be kept, since there is no room for it, is used all the same: what it has signed is then
   * valid until the server ends. Default: false.
   */
  mayBeLost?: boolean;
}

/** A key. It is made when it is first needed, once for all servers of the same files. */
export class SigningKey {
  readonly #records: SharedRecords;
  readonly #name: string;
  readonly #mayBeLost: boolean;
  #key: Promise<LoadedKey> | undefined;

  /** @param name what it is for; the same name is the same key */
  constructor(
    records: SharedRecords,
    name: string,
    { mayBeLost = false }: SigningKeyOptions = {},
  ) {
    this.#records = records;
    this.#name = name;
    this.#mayBeLost = mayBeLost;
  }

  /** Loads the key, or makes it. Fails with the errors of the records; the next call tries again then. */
  load(): Promise<LoadedKey> {
    const loaded = this.#key ??= this.#load();
    loaded.catch(() => {
      if (this.#key === loaded) this.#key = undefined;
    });
    return loaded;
  }

  /** Loads the key anew, as another server may have put another one in its place. */
  async reload(): Promise<LoadedKey> {
    const found = await this.#records.read("keys", this.#name);
    if (found !== undefined) this.#key = Promise.resolve(parseKey(found));
    return await this.load();
  }

  async #load(): Promise<LoadedKey> {
    const found = await this.#records.read("keys", this.#name);
    if (found !== undefined) return parseKey(found);
    const id = encodeHex(crypto.getRandomValues(new Uint8Array(ID_BYTES)));
    const secret = encodeBase64Url(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
    const made = { id, secret };
    if (await this.#keep(made)) return parseKey(made);
    return parseKey(await this.#records.read("keys", this.#name));
  }

  /** Returns false if there is one already. */
  async #keep(made: unknown): Promise<boolean> {
    try {
      return await this.#records.create("keys", this.#name, made);
    } catch (error) {
      if (this.#mayBeLost && isFull(error)) return true;
      throw error;
    }
  }
}

/** Whether a record could not be kept since there is no room for it. */
export function isFull(error: unknown): boolean {
  return ["no_space", "quota"].includes(toFerryError(error).code);
}

function parseKey(value: unknown): LoadedKey {
  const { id, secret } = (value ?? {}) as { id?: unknown; secret?: unknown };
  if (typeof id === "string" && typeof secret === "string" && /^[0-9a-f]{8}$/.test(id)) {
    const bytes = bytesOf(secret);
    if (bytes?.length === KEY_BYTES) return new LoadedKey(id, bytes);
  }
  throw new FerryError("io", "the record of a signing key of the server is damaged");
}

/** A key that is at hand. */
export class LoadedKey {
  /** Tells it from other keys: 8 hexadecimal digits; not secret. */
  readonly id: string;
  readonly #secret: Uint8Array;

  /** Creates a key from its record. */
  constructor(id: string, secret: Uint8Array) {
    this.id = id;
    this.#secret = secret;
  }

  /** The signature of a text: an HMAC-SHA256 in base64url. */
  sign(text: string): string {
    return createHmac("sha256", this.#secret).update(text).digest("base64url");
  }

  /** Whether a signature is that of a text. */
  verifies(text: string, signature: string): boolean {
    const bytes = bytesOf(signature);
    return bytes !== undefined && sameBytes(bytes, bytesOf(this.sign(text))!);
  }
}

function bytesOf(text: string): Uint8Array | undefined {
  try {
    const bytes = decodeBase64Url(text);
    // Only the canonical form is accepted: unused bits are zero.
    return encodeBase64Url(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}
