/**
 * The library's server and client in this process, over a directory of their own.
 *
 * @module
 */

import { Client } from "../../client/api/client.ts";
import { Connection } from "../../client/net/connection.ts";
import { parseServerAddress } from "../../lib/core/address.ts";
import {
  connect,
  FsStorage,
  serve,
  type Server,
  type Storage,
  type StoredFile,
} from "../../mod.ts";
import { TempDir, unrecorded } from "./programs.ts";

/** A server and a client that makes no retries. */
export class InProcess implements AsyncDisposable {
  /** The directory for everything; the server's root is `root` in it. */
  readonly dir = new TempDir();
  /** The files of the server. */
  readonly storage: FsStorage;
  /** The server; a test may close it. */
  server!: Server;
  /** The client; a test may close it. */
  client!: Client;

  private constructor() {
    Deno.mkdirSync(this.dir.join("root"));
    this.storage = FsStorage.open(this.dir.join("root"));
  }

  /** Starts both. `over` wraps the storage that is served. */
  static async start(over: (storage: FsStorage) => Storage = (it) => it): Promise<InProcess> {
    const pair = new InProcess();
    pair.server = await serve({ storage: over(pair.storage), listen: "127.0.0.1:0" });
    pair.client = await pair.connect();
    return pair;
  }

  /** The address of the server. */
  get address(): string {
    return `127.0.0.1:${this.server.addresses[0]!.port}`;
  }

  /** Connects another client. */
  connect(): Promise<Client> {
    return connect(this.address, { retries: 0 });
  }

  /** A client that counts its connections. */
  async counting(): Promise<{ client: Client; connections: number }> {
    const address = parseServerAddress(this.address);
    const dial = (signal?: AbortSignal) => {
      counted.connections++;
      return Connection.open(address, { connectTimeout: 10_000, timeout: 60_000, signal });
    };
    const counted = { client: undefined as unknown as Client, connections: 0 };
    counted.client = new Client(await dial(), { dial, retries: 0 });
    return counted;
  }

  /** A path in the directory of the server. */
  served(name: string): string {
    return this.dir.join(`root/${name}`);
  }

  /** The names in the server's staging area. */
  staged(): string[] {
    return unrecorded(this.dir.join("root/.ferry/staging"));
  }

  /** Waits until the server has read all that was sent of uploads that were cut. */
  async uploadsEnded(): Promise<void> {
    let active: boolean;
    do {
      const partial = await Array.fromAsync(this.client.listParts());
      active = partial.some((each) => each.active);
    } while (active);
  }

  /** Closes both and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.server.close();
    await this.storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** Wraps a storage so that `change` overrides members of the files that it opens. */
export function withFiles(change: (file: StoredFile) => Partial<StoredFile>) {
  return (storage: Storage): Storage => {
    const open: Storage["open"] = async (...args) => {
      const file = await storage.open(...args);
      return overlaid(file, change(file));
    };
    const changed: Storage = overlaid(storage, { open, within: () => changed });
    return changed;
  };
}

/** Wraps a storage so that something happens right after an entry of that name was listed. */
export function afterListing(filename: string, happens: () => void) {
  return (storage: Storage): Storage => {
    return overlaid(storage, {
      within: (bounds) => afterListing(filename, happens)(storage.within(bounds)),
      async *list(...args) {
        for await (const listed of storage.list(...args)) {
          yield listed;
          if (listed.filename === filename && listed.type !== undefined) happens();
        }
      },
    });
  };
}

/** Wraps a storage so that its directory `many` has `count` entries, without real files. */
export function withEntries(count: number) {
  return (storage: Storage): Storage => {
    const directory = {
      type: "directory",
      size: 0,
      mtime: 0,
      mode: 0o755,
      checksum: null,
    } as const;
    const changed: Storage = overlaid(storage, {
      within: () => changed,
      stat: async (name, algorithm) =>
        name === "many" ? { ...directory, filename: name } : await storage.stat(name, algorithm),
      async *list(name, options) {
        if (name !== "many") return yield* storage.list(name, options);
        for (let i = 0; i < count; i++) yield { ...directory, filename: entryName(i) };
      },
    });
    return changed;
  };
}

/** The name of an entry of {@linkcode withEntries}. */
export function entryName(i: number): string {
  return `many/${`${i}`.padStart(6, "0")}`;
}

/** An object with some members overridden; the other methods are called on the object itself. */
export function overlaid<T extends object>(object: T, other: Partial<T>): T {
  return new Proxy(object, {
    get(target, key) {
      if (Object.hasOwn(other, key)) return other[key as keyof T];
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
