/**
 * A real ferryd, and checks after a peer has misbehaved.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Ferryd, TempDir, unrecorded } from "./programs.ts";
import { RawPeer } from "./raw_peer.ts";

/** A real ferryd over a root with one file, and checks after a peer has misbehaved. */
export class UnharmedServer implements AsyncDisposable {
  readonly #dir = new TempDir();
  server!: Ferryd;

  static async start(args: string[] = []): Promise<UnharmedServer> {
    const fixture = new UnharmedServer();
    Deno.mkdirSync(fixture.root);
    Deno.writeTextFileSync(`${fixture.root}/old.txt`, "old content\n");
    fixture.server = await Ferryd.start(fixture.root, args);
    return fixture;
  }

  get root(): string {
    return this.#dir.join("root");
  }

  connect(): Promise<RawPeer> {
    return RawPeer.connect(this.server.port);
  }

  /** Names below the root that clients can see. */
  visible(): string[] {
    return [...Deno.readDirSync(this.root)].map(({ name }) => name)
      .filter((name) => name !== ".ferry").sort();
  }

  /** Asserts that nothing was changed or left over, and that the next client is served. */
  async assertUnharmed(): Promise<void> {
    using peer = await this.connect();
    assertEquals(await peer.ask({ op: "ping" }), "ok");
    assertEquals(this.visible(), ["old.txt"]);
    assertEquals(Deno.readTextFileSync(`${this.root}/old.txt`), "old content\n");
    // The last peer's file is removed when the server sees its end, which may be after the ping.
    const deadline = Date.now() + 60_000;
    while (this.staged().length > 0 && Date.now() < deadline) await peer.ask({ op: "ping" });
    assertEquals(this.staged(), []);
  }

  /** The files in the staging area, except partial uploads that can be resumed. */
  staged(): string[] {
    return unrecorded(`${this.root}/.ferry/staging`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}
