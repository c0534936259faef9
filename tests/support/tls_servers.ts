/**
 * TLS servers for tests, among them malicious ones.
 *
 * @module
 */

import { assertRejects, assertStringIncludes } from "@std/assert";
import { type Client, connect, type ConnectOptions, FsStorage, serve } from "../../mod.ts";
import type { ServeOptions, Server } from "../../mod.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { createCertificate } from "../../server/cli/certificate.ts";
import { TempDir } from "./programs.ts";

export const HOUR = 60 * 60 * 1000;
export const make = (hosts: string[], lifetime = HOUR) => createCertificate({ hosts, lifetime });
export const [MINE, OTHER] = [
  await make(["localhost", "127.0.0.1"]),
  await make(["localhost", "127.0.0.1"]),
];

/** A server with TLS in this process, over an empty root. */
export class Fixture implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #storage = FsStorage.open(this.#dir.path, { durability: "none" });
  server!: Server;

  static async start(options: Partial<ServeOptions> = {}): Promise<Fixture> {
    const fixture = new Fixture();
    const storage = fixture.#storage;
    try {
      fixture.server = await serve({ storage, listen: "127.0.0.1:0", tls: MINE, ...options });
    } catch (error) {
      await fixture[Symbol.asyncDispose]();
      throw error;
    }
    return fixture;
  }

  get port(): number {
    return this.server.addresses[0]!.port;
  }

  connect(options: ConnectOptions = { tls: { ca: [MINE.cert] } }): Promise<Client> {
    return connect(`127.0.0.1:${this.port}`, { retries: 0, ...options });
  }

  join(name: string): string {
    return this.#dir.join(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.server as Server | undefined)?.close({ drainTimeout: 0 });
    await this.#storage[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** A server that only performs handshakes, each with the next certificate, and records what it receives. */
export class Handshaker implements AsyncDisposable {
  readonly port: number;
  /** The bytes that each connection sent. */
  readonly received: Uint8Array[] = [];
  readonly #certificates: { cert: string; key: string }[];
  readonly #running: Promise<void>;
  #listener: Deno.TlsListener;
  #closed = false;

  constructor(...certificates: { cert: string; key: string }[]) {
    this.#certificates = certificates;
    this.#listener = this.#listen(0);
    this.port = this.#listener.addr.port;
    this.#running = this.#run();
  }

  #listen(port: number): Deno.TlsListener {
    const { cert, key } = this.#certificates.shift()!;
    return Deno.listenTls({ hostname: "127.0.0.1", port, cert, key });
  }

  async #run(): Promise<void> {
    for (;;) {
      const conn = await this.#listener.accept().catch(() => undefined);
      if (!conn) return;
      if (this.#certificates.length > 0) {
        this.#listener.close();
        this.#listener = this.#listen(this.port);
      }
      const buffer = new Uint8Array(1000);
      const count = await conn.read(buffer).catch(() => null);
      this.received.push(buffer.slice(0, count ?? 0));
      conn.close();
    }
  }

  /** Waits until every connection has ended, and returns what was received. */
  async finish(): Promise<Uint8Array[]> {
    await this[Symbol.asyncDispose]();
    return this.received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#listener.close();
    this.#closed = true;
    await this.#running;
  }
}

/** Connects, which must fail, and returns the code and the reason. */
export async function refusal(port: number, options: ConnectOptions): Promise<[string, string]> {
  const attempt = () => connect(`127.0.0.1:${port}`, { retries: 0, ...options });
  const { code, message } = await assertRejects(attempt, FerryError);
  assertStringIncludes(message, `Cannot connect to 127.0.0.1:${port}: `);
  return [code, message.replace(/^[^:]*:\d+: /, "")];
}
