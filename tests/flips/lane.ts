/**
 * A client and a server in this process, each with a directory, over a connection that is damaged at one place.
 *
 * @module
 */

import { RUNTIME } from "../support/runtime.ts";
import { Client } from "../../client/api/client.ts";
import { Connection } from "../../client/net/connection.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { Places } from "../../lib/core/places.ts";
import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import { grantEverywhere } from "../../server/auth/grants.ts";
import { Authority } from "../../server/auth/authority.ts";
import { Session } from "../../server/protocols/ferry/session.ts";
import { TempDir } from "../support/programs.ts";
import { type Damage, type Network, network } from "./network.ts";
import { FORGETFUL, type Operation } from "./operations.ts";
import { forgetful } from "./served.ts";
import { md5 } from "../support/bytes.ts";
import { Receipts } from "../../server/receipts.ts";
import { AssembledUploads } from "../../server/files/assembled_upload.ts";
import { UploadLocks } from "../../server/files/upload_locks.ts";
import { Traffic } from "../../server/observe/traffic.ts";

/** Files by name, with their content; a name that ends with `/` is a directory. */
export type Tree = Readonly<Record<string, string | Uint8Array>>;

/** A directory's entries, with everything that matters about each name. */
type Snapshot = Readonly<Record<string, string>>;

/** The outcome of a conversation. */
export interface Outcome {
  /** "ok", or the code of the error. */
  code: string;
  /** What the user would see, as JSON. */
  result: string;
  /** The files of the server and the client afterwards. */
  files: Snapshot;
  /** The connection. */
  network: Network;
}

/**
 * The timeouts of each side, in milliseconds: all with the same number of digits, since the sides send them to each
 * other.
 */
const PATIENCE = {
  little: { server: 100, client: 2000 },
  much: { server: 999, client: 9999 },
};

/** The initial modification time of the server's files, in seconds since 1970. */
const TIME = 1_700_000_000;

/** Conversations that run one after the other. */
export class Lane implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #root = this.#dir.join("root");
  readonly #cwd = this.#dir.join("cwd");
  readonly #storage: FsStorage;
  #before: Snapshot = {};
  /** The current files. */
  #now: Snapshot = {};
  /** The initial files in the directories, as JSON. */
  #furnished = "";

  /** A lane whose directories are empty. */
  constructor() {
    Deno.mkdirSync(this.#root);
    Deno.mkdirSync(this.#cwd);
    this.#storage = FsStorage.open(this.#root, { durability: "none", links: true });
  }

  /** The files before the last conversation. */
  get before(): Snapshot {
    return this.#before;
  }

  /** Runs an operation of a client, from the same state each time. */
  async converse(
    operation: Operation,
    damage?: Damage,
    patience: keyof typeof PATIENCE = "much",
  ): Promise<Outcome> {
    this.#furnish(operation);
    const { name, served, token, level } = operation;
    const usual = name === FORGETFUL ? forgetful(this.#storage) : this.#storage;
    const { storage = usual, commands, links, authority, state } = await served?.() ?? {};
    const link = network(damage);
    const { server: serverMs, client: clientMs } = PATIENCE[patience];
    const session = new Session(link.server, {
      compressed: new Places(1),
      runtime: RUNTIME,
      storage,
      locks: new UploadLocks(),
      assembled: new AssembledUploads(),
      receipt: (stored) => new Receipts(storage, RUNTIME.clock, undefined).for(stored, "ferry"),
      commands,
      links,
      authority: authority ??
        new Authority({ anonymous: grantEverywhere(["read", "write", "delete", "exec"]) }),
      handshakeTimeout: serverMs,
      idleTimeout: serverMs,
      minRate: 0,
      traffic: new Traffic([], RUNTIME.clock),
      listener: "tcp",
      peer: { hostname: "127.0.0.1", port: 1 },
      source: "source",
    });
    const running = session.run();
    let outcome: Pick<Outcome, "code" | "result">;
    try {
      const deadline = performance.now() + clientMs;
      const timeout = clientMs;
      const connection = await Connection.over(link.client, { deadline, timeout, token, level });
      await using client = new Client(connection, { dial: refuse, retries: 0 });
      const result = await operation.run(client, this.#cwd) ?? null;
      outcome = { code: "ok", result: JSON.stringify(result, bytesAsNumbers) };
    } catch (error) {
      outcome = { code: toFerryError(error).code, result: String(error) };
    }
    link.client.close();
    await running;
    this.#now = this.#look();
    const files = state ? { ...this.#now, state: state() } : this.#now;
    return { ...outcome, files, network: link };
  }

  /** Restores the initial files of an operation. */
  #furnish({ root = {}, local = {} }: Operation): void {
    const wanted = JSON.stringify([root, local], bytesAsNumbers);
    if (this.#furnished === wanted && sameSnapshot(this.#now, this.#before)) return;
    // The client's files are newer.
    const places = [[this.#root, root, TIME], [this.#cwd, local, TIME + 1]] as const;
    for (const [directory, tree, time] of places) {
      for (const { name } of [...Deno.readDirSync(directory)]) {
        if (name !== ".ferry") Deno.removeSync(`${directory}/${name}`, { recursive: true });
      }
      plant(directory, tree, time);
    }
    this.#furnished = wanted;
    this.#before = this.#look();
  }

  #look(): Snapshot {
    const seen: Record<string, string> = {};
    for (const [side, directory] of [["server", this.#root], ["client", this.#cwd]] as const) {
      for (const [name, what] of walk(directory)) seen[`${side}: ${name}`] = what;
    }
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#storage[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new FerryError("closed", "there is one connection only"));
}

/** Whether two directories have the same entries. */
export function sameSnapshot(a: Snapshot, b: Snapshot): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

function bytesAsNumbers(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? md5(value) : value;
}

function plant(directory: string, tree: Tree, time: number): void {
  const directories = new Set<string>();
  for (const [name, content] of Object.entries(tree)) {
    for (let at = name.indexOf("/"); at >= 0; at = name.indexOf("/", at + 1)) {
      directories.add(`${directory}/${name.slice(0, at)}`);
      Deno.mkdirSync(`${directory}/${name.slice(0, at)}`, { recursive: true });
    }
    if (name.endsWith("/")) continue;
    const path = `${directory}/${name}`;
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    Deno.utimeSync(path, time, time);
  }
  for (const path of directories) Deno.utimeSync(path, time, time);
}

/** The entries below a directory; the times of directories are ignored, since they change with their entries. */
function* walk(directory: string, above = ""): Generator<[name: string, what: string]> {
  for (const { name, isDirectory, isSymlink } of Deno.readDirSync(directory)) {
    // Partial downloads may stay, to be resumed.
    if (name === ".ferry" || name.startsWith(".ferry-")) continue;
    const path = `${directory}/${name}`;
    if (isDirectory) {
      yield [`${above}${name}/`, "directory"];
      yield* walk(path, `${above}${name}/`);
      continue;
    }
    if (isSymlink) {
      yield [`${above}${name}`, `link to ${Deno.readLinkSync(path)}`];
      continue;
    }
    const { size, mode, mtime } = Deno.statSync(path);
    const time = mtime!.getTime();
    // A file whose time was not set has that of its arrival.
    const when = time > Date.now() - 3_600_000 ? "now" : time;
    yield [
      `${above}${name}`,
      [size, (mode ?? 0) & 0o777, when, md5(Deno.readFileSync(path))].join(),
    ];
  }
}
