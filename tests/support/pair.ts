/**
 * Both programs, with a root for the server and a working directory for the client.
 *
 * @module
 */

import { ferry, Ferryd, type Outcome, TempDir } from "./programs.ts";
import { RawPeer } from "./raw_peer.ts";

/** The shared pairs of a test file, by the arguments of their servers. */
const shared = new Map<string, Pair>();

/** A running `ferryd`, and `ferry` to run against it. */
export class Pair implements AsyncDisposable {
  /** The directory for everything. */
  readonly dir: TempDir;
  /** The server; a test may stop it and start another one. */
  server!: Ferryd;
  #isShared = false;

  private constructor(directory?: string) {
    this.dir = new TempDir(directory);
  }

  /** Starts the server; everything is in `directory`, or else in the system's directory for temporary files. */
  static async start(args: string[] = [], directory?: string): Promise<Pair> {
    const pair = new Pair(directory);
    pair.#makeDirectories();
    pair.server = await Ferryd.start(pair.root, args);
    return pair;
  }

  /**
   * A pair whose server several tests of a file use, one after the other: each finds both directories empty. Only for
   * tests that do not stop the server.
   */
  static async shared(args: string[] = []): Promise<Pair> {
    // It takes a shell to start such a server.
    if (Deno.build.os === "windows") return await Pair.start(args);
    const key = args.join("\0");
    const pair = shared.get(key) ?? new Pair();
    shared.set(key, pair);
    if (pair.server !== undefined) return pair;
    pair.#isShared = true;
    addEventListener("unload", () => Deno.removeSync(pair.dir.path, { recursive: true }));
    pair.#makeDirectories();
    pair.server = await Ferryd.inBackground(pair.root, args);
    return pair;
  }

  #makeDirectories(): void {
    Deno.mkdirSync(this.root);
    Deno.mkdirSync(this.cwd);
  }

  /** The directory that is served. */
  get root(): string {
    return this.dir.join("root");
  }

  /** The working directory of the client. */
  get cwd(): string {
    return this.dir.join("cwd");
  }

  /** Runs `ferry` in the working directory against the server. */
  run(...args: string[]): Promise<Outcome> {
    return ferry(args, { cwd: this.cwd, server: this.server.address });
  }

  /** Waits until the server has read all that was sent of uploads that were cut. */
  async uploadsEnded(): Promise<void> {
    for (;;) {
      const { stdout } = await this.run("ls", "--partial", "--json");
      if (!stdout.includes('"active":true')) return;
    }
  }

  /** Connects to the server with a raw connection. */
  connect(): Promise<RawPeer> {
    return RawPeer.connect(this.server.port);
  }

  /** Writes a file into the working directory and returns its path. */
  write(name: string, content: string | Uint8Array): string {
    return this.dir.write(`cwd/${name}`, content);
  }

  /** Stops the server and removes everything; of a shared pair, empties the directories. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isShared) return this.#empty();
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }

  #empty(): void {
    const { path } = this.dir;
    for (const directory of [path, this.root, this.cwd]) {
      for (const { name } of Deno.readDirSync(directory)) {
        const stays = directory === path ? ["root", "cwd"].includes(name) : name === ".ferry";
        if (!stays) Deno.removeSync(`${directory}/${name}`, { recursive: true });
      }
    }
  }
}
