/**
 * A server in this process over an empty directory, and a reader of raw messages.
 *
 * @module
 */

import { type ExecPolicy, FsStorage, serve, type Server } from "../../mod.ts";
import { decodeHeader } from "../../lib/wire/codec.ts";
import { TempDir } from "./programs.ts";
import { RawPeer } from "./raw_peer.ts";
import { message } from "./vectors.ts";

/** A server of an empty root, without authentication. */
export class EmptyServer implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #storage: FsStorage;
  readonly #server: Promise<Server>;

  /**
   * @param exec which commands it runs; none unless it is given
   * @param options.links whether it keeps symbolic links
   */
  constructor(exec?: Omit<ExecPolicy, "cwd">, { links = false } = {}) {
    this.#storage = FsStorage.open(this.#dir.path, { durability: "none", links });
    this.#server = serve({
      storage: this.#storage,
      listen: "127.0.0.1:0",
      exec: exec && { cwd: this.#dir.path, ...exec },
    });
  }

  /** Connects to it. */
  async connect(): Promise<RawPeer> {
    const { addresses } = await this.#server;
    return await RawPeer.connect(addresses[0]!.port);
  }

  /** Ends the server and removes the root. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#server).close();
    await this.#storage[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Reads one message with its body, as raw bytes; null at the end of the connection. */
export async function readRaw(peer: RawPeer): Promise<Uint8Array | null> {
  const length = await peer.read(4);
  if (!length) return null;
  const json = (await peer.read(new DataView(length.buffer).getInt32(0, true)))!;
  const size = Number(decodeHeader(json).total_size ?? 0n);
  return message(new TextDecoder().decode(json), (await peer.read(size))!);
}
