/**
 * A server in this process that requires tokens.
 *
 * @module
 */

import {
  type Client,
  connect,
  type ConnectOptions,
  FsStorage,
  newToken,
  parseGrants,
  serve,
  type ServeOptions,
  type Server,
  type Storage,
  type TlsOptions,
  type TokenRecord,
} from "../../mod.ts";
import { ScramClient } from "../../lib/security/scram.ts";
import { parseToken } from "../../lib/security/token.ts";
import { tokenTable } from "../../server/auth/token_table.ts";
import { TempDir } from "./programs.ts";
import { RawPeer } from "./raw_peer.ts";

/** A token that does not expire, and the server's record of it. */
export async function token(scopes: string, ...paths: string[]) {
  return await newToken({ name: scopes, grants: parseGrants([scopes], paths), expires: null });
}

/** Whether a server accepts a client with a token. */
export async function takesToken(
  address: string,
  token: string,
  tls?: TlsOptions,
): Promise<boolean> {
  try {
    await using _client = await connect(address, { tls, token, retries: 0 });
    return true;
  } catch {
    return false;
  }
}

/** Options of {@linkcode TokenServer.start}. */
export interface TokenServerOptions extends Partial<ServeOptions> {
  /** Wraps the storage that is served. */
  wrap?(storage: Storage): Storage;
}

/** A server with tokens, over a root with files inside and outside of inbox/. */
export class TokenServer implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #storage = FsStorage.open(this.#dir.path, { durability: "none" });
  /** The server. */
  server!: Server;

  /** Starts it over its own storage, which `wrap` may wrap. */
  static async start(
    records: TokenRecord[],
    { wrap = (storage) => storage, ...options }: TokenServerOptions = {},
  ) {
    const fixture = new TokenServer();
    for (const directory of ["inbox", "inbox/deep", "other"]) {
      Deno.mkdirSync(`${fixture.#dir.path}/${directory}`);
    }
    for (const name of ["secret", "inbox/mine", "inbox/deep/er", "other/secret"]) {
      fixture.#dir.write(name, name);
    }
    const storage = wrap(fixture.#storage);
    const tokens = tokenTable(records);
    fixture.server = await serve({ storage, listen: "127.0.0.1:0", tokens, ...options });
    return fixture;
  }

  /** The address that it listens on. */
  get address(): string {
    return `127.0.0.1:${this.server.addresses[0]!.port}`;
  }

  /** Connects a client. */
  connect(options: ConnectOptions = {}): Promise<Client> {
    return connect(this.address, { retries: 0, ...options });
  }

  /** Connects with a raw connection. */
  peer(): Promise<RawPeer> {
    return RawPeer.connect(this.server.addresses[0]!.port);
  }

  /** Replaces all tokens of the server. */
  replace(...records: TokenRecord[]): void {
    this.server.reload({ tokens: tokenTable(records) });
  }

  /** The directory that it serves. */
  get path(): string {
    return this.#dir.path;
  }

  /** The content of a file. */
  read(name: string): string {
    return Deno.readTextFileSync(this.#dir.join(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close({ drainTimeout: 0 });
    await this.#storage[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Authenticates a raw connection with a token. */
export async function show(peer: RawPeer, shown: string): Promise<void> {
  const { id: username, secret } = parseToken(shown);
  const scram = new ScramClient({ username, secret });
  await peer.send({ op: "auth", scram: scram.first });
  const challenge = (await peer.receive())!.header.scram as string;
  await peer.send({ op: "auth", scram: await scram.answer(challenge) });
  scram.assertServer((await peer.receive())!.header.scram as string);
}
