/**
 * One client of a soak: it knows what its directory on the server must contain, whatever happens to the server and to
 * its connections.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { type Client, connect, FerryError } from "../../mod.ts";
import { md5, MIB } from "../support/bytes.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { contentOf, isWhole, sameBytes } from "../support/known_content.ts";
import { filesBelow } from "../support/programs.ts";
import type { Gate } from "./soaked_server.ts";
import type { Tally } from "./tally.ts";

/** File sizes in bytes. */
const SIZES = [0, 1, 100, 4096, 65_536, 65_537, 300_000, 1_500_000];

/** Sizes that are rare: large enough to be resumed, and to be moved over several connections. */
const LARGE_SIZES = [9 * MIB, 33 * MIB];

/** How many files all clients of a server share. */
const SHARED = 8;

/** More files than this a client does not keep. */
const MOST_FILES = 20;

/** How often an operation may fail before something is taken to be wrong for good. */
const MAX_FAILURES = 60;

/** Failures that a server which is replaced, or a cut, may cause. */
const EXPECTED = ["unreachable", "closed", "timeout", "busy"];

/** Every so many operations are cut. */
const CUT_EVERY = 8;

/** What a client needs. */
export interface WorkerOptions {
  /** Its way to the server. */
  readonly gate: Gate;
  /** Its number among all clients. */
  readonly number: number;
  /** A local directory of its own, which is empty. */
  readonly local: string;
  /** What everything random follows from. */
  readonly seed: number;
  readonly tally: Tally;
}

/** One client. */
export class Worker {
  readonly #gate: Gate;
  readonly #dir: string;
  readonly #local: string;
  readonly #random: (limit: number) => number;
  readonly #tally: Tally;
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>();
  #client: Client | undefined;
  #made = 0;

  /** A client that is not connected yet. */
  constructor({ gate, number, local, seed, tally }: WorkerOptions) {
    this.#gate = gate;
    this.#dir = `client-${number}`;
    this.#local = local;
    this.#random = randomNumbers(seed ^ Math.imul(number + 1, 0x9e3779b1));
    this.#tally = tally;
  }

  /** What its directory must contain, by the names on the server. */
  get files(): ReadonlyMap<string, Uint8Array> {
    return this.#files;
  }

  /** Works until the signal is aborted or something is wrong. */
  async run(stop: AbortSignal): Promise<void> {
    const actions = [
      ...[this.#put, this.#put, this.#replace, this.#change, this.#putStream, this.#putTree],
      ...[this.#get, this.#get, this.#stat, this.#list, this.#move, this.#remove],
      ...[this.#putShared, this.#getShared, this.#removeShared],
      ...[this.#exec, this.#putByHttp, this.#getByHttp],
    ];
    try {
      while (!stop.aborted && this.#tally.problems.length === 0) {
        await actions[this.#random(actions.length)]!.call(this);
      }
    } catch (error) {
      this.#problem(error instanceof Error ? error.stack ?? error.message : String(error));
    } finally {
      await this.#client?.close();
    }
  }

  #problem(text: string): void {
    this.#tally.problems.push(`${this.#dir}: ${text}`);
  }

  /**
   * Does something until it succeeds. Some attempts are cut, and the server may be replaced during any of them.
   *
   * @param done the codes that say, after an attempt without a reply, that this attempt has taken effect
   * @returns undefined if that is so
   */
  async #insist<T>(
    operation: string,
    attempt: (client: Client) => Promise<T>,
    done: readonly string[] = [],
  ): Promise<T | undefined> {
    for (let failures = 0; failures < MAX_FAILURES; failures++) {
      const cut = this.#random(CUT_EVERY) === 0
        ? setTimeout(() => this.#gate.cut(), this.#random(60))
        : undefined;
      try {
        this.#client ??= await connect(this.#gate.ferry.address, { retries: 0 });
        const started = performance.now();
        const result = await attempt(this.#client);
        this.#tally.took(operation, performance.now() - started);
        return result;
      } catch (error) {
        const code = codeOf(error);
        if (failures > 0 && done.includes(code)) return undefined;
        if (!EXPECTED.includes(code)) throw error;
        this.#tally.count(`failed, ${code}`);
        await this.#client?.close();
        this.#client = undefined;
        await delay(this.#random(50 + failures * 50));
      } finally {
        clearTimeout(cut);
      }
    }
    throw new Error(`${operation} failed ${MAX_FAILURES} times`);
  }

  #newContent(): Uint8Array<ArrayBuffer> {
    const sizes = this.#random(40) === 0 ? LARGE_SIZES : SIZES;
    return contentOf(this.#random(2 ** 32), sizes[this.#random(sizes.length)]!);
  }

  #newName(): string {
    const folder = this.#random(3) === 0 ? `d ${this.#random(4)}/ü` : "f";
    return `${this.#dir}/${folder}/${this.#made++}`;
  }

  /** A random one of its files that fits; undefined where it has none. */
  #some(fits: (content: Uint8Array) => boolean = () => true): string | undefined {
    const names = [...this.#files].filter(([, content]) => fits(content)).map(([name]) => name);
    return names[this.#random(names.length)];
  }

  #holds(name: string, content: Uint8Array<ArrayBuffer>): void {
    this.#files.set(name, content);
    this.#tally.bytes += content.length;
  }

  async #put(): Promise<void> {
    const [name, content] = [this.#newName(), this.#newContent()];
    const streams = 1 + this.#random(3);
    await this.#insist(
      streams > 1 && content.length >= 32 * MIB ? "put, streams" : "put",
      (client) => {
        return client.put(new Blob([content]), { as: name, streams });
      },
    );
    this.#holds(name, content);
  }

  async #replace(): Promise<void> {
    const name = this.#some();
    if (name === undefined) return;
    const content = this.#newContent();
    await this.#insist("replace", (client) => {
      return client.put(new Blob([content]), { as: name, overwrite: "always" });
    });
    this.#holds(name, content);
  }

  /** Replaces a file by one that differs in a few bytes, of which only these cross. */
  async #change(): Promise<void> {
    const name = this.#some(({ length }) => length > MIB);
    if (name === undefined) return;
    const content = this.#files.get(name)!.slice();
    content[this.#random(content.length)]! ^= 1;
    const local = `${this.#local}/changed`;
    Deno.writeFileSync(local, content);
    await this.#insist("put, delta", async (client) => {
      await client.put(local, { as: name, overwrite: "always" });
    });
    this.#holds(name, content);
  }

  async #putStream(): Promise<void> {
    const [name, content] = [this.#newName(), this.#newContent()];
    const pieces = async function* () {
      for (let at = 0; at < content.length; at += 100_000) {
        yield await Promise.resolve(content.subarray(at, at + 100_000));
      }
    };
    let attempts = 0;
    await this.#insist("put, stream", (client) => {
      attempts++;
      return client.put(pieces(), { as: name, overwrite: "always" });
    });
    this.#holds(name, content);
    if (attempts > 1) await this.#discardParts(name);
  }

  /** Removes what is left of attempts at a stream, which are not resumed. */
  async #discardParts(name: string): Promise<void> {
    await this.#insist("discard parts", async (client) => {
      try {
        await client.discardParts(name);
      } catch (error) {
        if (codeOf(error) !== "not_found") throw error;
      }
    });
  }

  /** Makes a directory the same as a local one, in which some files have changed, by itself or as one. */
  async #putTree(): Promise<void> {
    const root = `${this.#local}/tree`;
    const name = `${this.#dir}/tree`;
    Deno.mkdirSync(`${root}/d`, { recursive: true });
    for (const path of ["a", "b", "d/c", "d/e"]) {
      const file = `${root}/${path}`;
      if (this.#random(3) > 0) Deno.writeFileSync(file, this.#newContent());
      else await Deno.remove(file).catch(() => {});
    }
    const atomic = this.#random(2) === 0;
    const options = atomic ? { atomic, overwrite: "always" } as const : { delete: true };
    await this.#insist(
      atomic ? "publish" : "sync",
      (client) => client.putTree(root, { as: name, checksumCompare: true, ...options }),
    );
    for (const held of [...this.#files.keys()]) {
      if (held.startsWith(`${name}/`)) this.#files.delete(held);
    }
    for (const path of filesBelow(root)) {
      this.#holds(`${name}/${path}`, Deno.readFileSync(`${root}/${path}`));
    }
  }

  async #get(): Promise<void> {
    const name = this.#some();
    if (name === undefined) return;
    const bytes = await this.#insist("get", (client) => client.get(name).bytes());
    if (!sameBytes(bytes!, this.#files.get(name)!)) this.#problem(`get ${name}: other bytes`);
    this.#tally.bytes += bytes!.length;
  }

  async #stat(): Promise<void> {
    const name = this.#some();
    if (name === undefined) return;
    const found = await this.#insist("stat", (client) => client.stat(name));
    if (found!.checksum !== md5(this.#files.get(name)!)) this.#problem(`stat ${name}: other md5`);
  }

  async #list(): Promise<void> {
    if (this.#files.size === 0) return;
    const seen = await this.#insist("list", async (client) => {
      const entries = await Array.fromAsync(client.list(this.#dir, { recursive: true }));
      return entries.filter(({ type }) => type === "file").map(({ filename }) => filename);
    });
    const [is, must] = [seen!.sort(), [...this.#files.keys()].sort()].map((names) => names.join());
    if (is !== must) this.#problem(`list: ${is}, and not ${must}`);
  }

  async #move(): Promise<void> {
    const from = this.#some();
    if (from === undefined) return;
    const to = this.#newName();
    await this.#insist("move", (client) => client.move(from, to), ["not_found", "exists"]);
    this.#files.set(to, this.#files.get(from)!);
    this.#files.delete(from);
  }

  async #remove(): Promise<void> {
    const name = this.#files.size > MOST_FILES || this.#random(4) === 0 ? this.#some() : undefined;
    if (name === undefined) return;
    await this.#insist("remove", (client) => client.remove(name), ["not_found"]);
    this.#files.delete(name);
  }

  #shared(): string {
    return `shared/${this.#random(SHARED)}`;
  }

  async #putShared(): Promise<void> {
    const [name, content] = [this.#shared(), this.#newContent()];
    await this.#insist("put shared", (client) => {
      return client.put(new Blob([content]), { as: name, overwrite: "always", resume: false });
    });
    this.#tally.bytes += content.length;
  }

  async #getShared(): Promise<void> {
    const name = this.#shared();
    const bytes = await this.#insist("get shared", async (client) => {
      try {
        return await client.get(name).bytes();
      } catch (error) {
        if (codeOf(error) === "not_found") return undefined;
        throw error;
      }
    });
    if (bytes && !isWhole(bytes)) this.#problem(`get ${name}: a mixture, or a piece`);
  }

  async #removeShared(): Promise<void> {
    if (this.#random(8) > 0) return;
    const name = this.#shared();
    await this.#insist("remove shared", async (client) => {
      try {
        await client.remove(name);
      } catch (error) {
        if (codeOf(error) !== "not_found") throw error;
      }
    });
  }

  async #exec(): Promise<void> {
    const word = `${this.#dir}-${this.#random(1000)}`;
    const result = await this.#insist("exec", (client) => client.exec(["echo", word]));
    const said = new TextDecoder().decode(result!.stdout);
    if (said !== `${word}\n`) this.#problem(`exec echo ${word}: ${said}`);
  }

  async #putByHttp(): Promise<void> {
    const [name, content] = [this.#some() ?? this.#newName(), this.#newContent()];
    await this.#insist("put, http", async () => {
      const response = await this.#fetch(name, { method: "PUT", body: content });
      await response.body?.cancel();
    });
    this.#holds(name, content);
  }

  async #getByHttp(): Promise<void> {
    const name = this.#some();
    if (name === undefined) return;
    const bytes = await this.#insist("get, http", async () => {
      const response = await this.#fetch(name);
      return await response.bytes().catch(asClosed);
    });
    if (!sameBytes(bytes!, this.#files.get(name)!)) this.#problem(`GET ${name}: other bytes`);
    this.#tally.bytes += bytes!.length;
  }

  async #fetch(name: string, request?: RequestInit): Promise<Response> {
    const path = name.split("/").map(encodeURIComponent).join("/");
    const url = `http://${this.#gate.http.address}/${path}`;
    const response = await fetch(url, request).catch(asClosed);
    if (response.ok) return response;
    const text = await response.text();
    if (response.status === 503) throw new FerryError("busy", text);
    throw new Error(`${request?.method ?? "GET"} ${path}: ${response.status} ${text}`);
  }
}

function codeOf(error: unknown): string {
  return error instanceof FerryError ? error.code : "";
}

/** `fetch` does not say why a request failed. */
function asClosed(error: unknown): never {
  throw new FerryError("closed", String(error));
}
