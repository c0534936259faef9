/**
 * The connected clients of one run of `ferry`. A module of its own, loaded with the first connection: help texts and
 * `--version` start faster without it.
 *
 * @module
 */

import type { Client } from "../api/client.ts";
import { type ConnectOptions, connectWithin } from "../api/connect.ts";
import type { RateLimit } from "../net/rate_limit.ts";
import { Credentials, type Shown } from "./credentials.ts";
import type { ConnectOverrides } from "./command.ts";
import type { CommonValues } from "./options.ts";

/** What {@linkcode Clients} connect with. */
export interface ClientsOptions extends Pick<ConnectOptions, "onRetry" | "onReply" | "signal"> {
  /** The options of the command line. */
  common: CommonValues;
  /** The rate that all clients together keep to. Default: none. */
  limit: RateLimit | undefined;
  /** How often a failed attempt is repeated. */
  retries: number;
  /** Called once if connections are to be compressed and the server does not do that. */
  onUncompressed(): void;
  /** Reads an environment variable. */
  env(name: string): string | undefined;
}

/** Clients of the server that `--server` names, one for each job. */
export class Clients implements AsyncDisposable {
  readonly #options: ClientsOptions;
  /** Failed connection attempts stay here too: with many files, an unreachable server is tried only once. */
  readonly #connecting = new Map<number, Promise<Client>>();
  #credentials: Credentials | undefined;
  #uncompressed = false;

  /** No clients yet: each connects when it is asked for. */
  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** The connected client of a job. `overrides` apply only to the first call for a job. */
  of(job: number, overrides: ConnectOverrides): Promise<Client> {
    const connecting = this.#connecting.get(job) ?? this.#connect(overrides);
    this.#connecting.set(job, connecting);
    return connecting;
  }

  /** The credentials that the command line and the environment give. */
  get shown(): Shown {
    return this.#readCredentials().shown;
  }

  #readCredentials(): Credentials {
    return this.#credentials ??= new Credentials(this.#options.common, this.#options.env);
  }

  async #connect(overrides: ConnectOverrides): Promise<Client> {
    const { common, limit, onRetry, onReply, retries, signal } = this.#options;
    const { server, timeout, "connect-timeout": connectTimeout, compress } = common;
    const told = { onRetry, onReply };
    const options = { timeout, connectTimeout, retries, ...told, signal, compress, ...overrides };
    const client = await this.#readCredentials().connect(server, (shown) => {
      return connectWithin(limit, server, { ...options, ...shown });
    });
    if (compress !== undefined && !client.compresses && !this.#uncompressed) {
      this.#uncompressed = true;
      this.#options.onUncompressed();
    }
    return client;
  }

  /** Closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of await Promise.allSettled(this.#connecting.values())) {
      if (end.status === "fulfilled") await end.value[Symbol.asyncDispose]();
    }
  }
}
