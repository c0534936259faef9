/**
 * Both programs, with a root for the server and a working directory for the client.
 *
 * @module
 */

import { ferry, Ferryd, type Outcome, TempDir } from "./programs.ts";
import { RawPeer } from "./raw_peer.ts";

/** A running `ferryd`, and `ferry` to run against it. */
export class Pair implements AsyncDisposable {
  /** The directory for everything. */
  readonly dir: TempDir;
  /** The server; a test may stop it and start another one. */
  server!: Ferryd;

  private constructor(directory?: string) {
    this.dir = new TempDir(directory);
  }

  /** Starts the server; everything is in `directory`, or else in the system's directory for temporary files. */
  static async start(args: string[] = [], directory?: string): Promise<Pair> {
    const pair = new Pair(directory);
    Deno.mkdirSync(pair.root);
    Deno.mkdirSync(pair.cwd);
    pair.server = await Ferryd.start(pair.root, args);
    return pair;
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

  /** Connects to the server with a raw connection. */
  connect(): Promise<RawPeer> {
    return RawPeer.connect(this.server.port);
  }

  /** Writes a file into the working directory and returns its path. */
  write(name: string, content: string | Uint8Array): string {
    return this.dir.write(`cwd/${name}`, content);
  }

  /** Stops the server and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}
