/**
 * A bucket as its object store has it, without ferry: for tests that compare.
 *
 * @module
 */

import { AwsClient } from "aws4fetch";

/** How to reach an object store. */
export interface StoreAccess {
  /** Its URL. */
  readonly endpoint: string;
  /** Its region. */
  readonly region: string;
  /** The id of the key. */
  readonly accessKeyId: string;
  /** The secret. */
  readonly secretAccessKey: string;
}

/** A bucket, reached with plain requests. */
export class RawBucket {
  readonly #client: AwsClient;
  readonly #url: string;

  /** A bucket of a store. */
  constructor(store: StoreAccess, name: string) {
    this.#client = new AwsClient({ ...store, service: "s3", retries: 3 });
    this.#url = `${store.endpoint}/${name}`;
  }

  /** The bytes of an object; undefined where there is none. */
  async get(key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const response = await this.#client.fetch(this.#urlOf(key));
    const bytes = await response.bytes();
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`GET ${key}: ${response.status}`);
    return bytes;
  }

  /** Stores an object as other programs do. */
  async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#ask("PUT", this.#urlOf(key), bytes);
  }

  /** Deletes an object. */
  async delete(key: string): Promise<void> {
    await this.#ask("DELETE", this.#urlOf(key));
  }

  /** All keys that begin with a prefix, in order. */
  async keys(prefix = ""): Promise<string[]> {
    const keys: string[] = [];
    let token: string | undefined;
    do {
      const query = new URLSearchParams({ "list-type": "2", "encoding-type": "url", prefix });
      if (token !== undefined) query.set("continuation-token", token);
      const answer = await this.#ask("GET", `${this.#url}?${query}`);
      keys.push(...textsIn(answer, "Key").map(decoded));
      [token] = textsIn(answer, "NextContinuationToken");
    } while (token !== undefined);
    return keys;
  }

  /** The keys of the multipart uploads that are open; at most 1000. */
  async uploads(): Promise<string[]> {
    return textsIn(await this.#ask("GET", `${this.#url}?uploads`), "Key");
  }

  /** Removes the bucket with all that is in it. */
  async remove(): Promise<void> {
    for (const key of await this.keys()) await this.delete(key);
    await this.#ask("DELETE", this.#url);
  }

  #urlOf(key: string): string {
    return `${this.#url}/${key.split("/").map(encodeURIComponent).join("/")}`;
  }

  async #ask(method: string, url: string, body?: Uint8Array<ArrayBuffer>): Promise<string> {
    const response = await this.#client.fetch(url, { method, ...(body && { body }) });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${answer}`);
    return answer;
  }
}

/** The texts of the elements of a name in an answer, without their entities. */
function textsIn(answer: string, element: string): string[] {
  const pattern = new RegExp(`<${element}>([^<]*)</${element}>`, "g");
  return [...answer.matchAll(pattern)].map(([, text]) => text!.replaceAll("&amp;", "&"));
}

function decoded(text: string): string {
  return decodeURIComponent(text.replaceAll("+", " "));
}
