/**
 * What an operator can ask of a running server, whatever the way by which the requests come.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { type Clock, sleep } from "../../lib/core/clock.ts";
import { formatAddress, type Listening } from "../../lib/core/address.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { RESERVED_DIRECTORY } from "../../lib/core/remote_name.ts";
import { VERSION } from "../../lib/core/version.ts";
import { tokenIdOf } from "../auth/caller.ts";
import type { OpenConnection, Requester } from "../observe/operation.ts";
import type { Storage } from "../storage/storage.ts";
import {
  connectionStatus,
  identityOf,
  type KickedConnection,
  listenerStatus,
  type PartialUploadStatus,
  type ShownToken,
  shownToken,
  type StagedDirectoryStatus,
  type Status,
  toMilliseconds,
} from "./status.ts";
import type { TrafficCounter } from "./traffic_counter.ts";

const logger = getLogger(["ferry", "server"]);

/** How long a storage may take to say how it is, in milliseconds. */
const STORAGE_MS = 5000;

/** The server that is administered. */
export interface Administered {
  /** The addresses that it listens on. */
  readonly addresses: readonly Listening[];
  /** The open connections. */
  readonly connections: ReadonlySet<OpenConnection>;
}

/** What an {@linkcode Admin} is made of. */
export interface AdminParts {
  /** The server. */
  readonly server: Administered;
  /** The storage of its files. */
  readonly storage: Storage;
  /** What it serves, for people. */
  readonly root: string;
  /** Counts what crosses. */
  readonly counter: TrafficCounter;
  /** The name of a token that is valid now, by its id. */
  readonly nameOf: (token: string) => string | undefined;
  /**
   * Makes the server end: it stops accepting, and lets transfers finish for that many milliseconds, or as long as it was
   * told at its start.
   */
  readonly drain: (timeout: number | undefined) => void;
  /** The clock. */
  readonly clock: Clock;
}

/** Answers an operator. */
export class Admin {
  readonly #parts: AdminParts;
  readonly #began: number;
  #draining = false;

  /** An administration of that server, which has just been started. */
  constructor(parts: AdminParts) {
    this.#parts = parts;
    this.#began = parts.clock.monotonic();
  }

  /** Takes note that the server ends, whoever has asked for that. */
  draining(): void {
    this.#draining = true;
  }

  /** The state of the server. Never fails, and takes at most some seconds. */
  async status(): Promise<Status> {
    const { server, storage, root, counter, clock } = this.#parts;
    const [reason, partial_uploads] = await this.#storageStatus();
    const staged_directories = reason === undefined ? this.#stagedDirectories() : [];
    return {
      version: VERSION,
      pid: Deno.pid,
      root,
      state: this.#draining ? "draining" : reason === undefined ? "serving" : "unavailable",
      ...(reason === undefined ? {} : { reason }),
      seconds: toMilliseconds((clock.monotonic() - this.#began) / 1000),
      listening: server.addresses.map(listenerStatus),
      totals: counter.totals,
      connections: [...server.connections].map(connectionStatus),
      quotas: storage.quotas?.usage ?? [],
      partial_uploads,
      staged_directories,
    };
  }

  /** Why the storage serves nothing, if that is so, and the partial uploads in it. */
  async #storageStatus(): Promise<[reason: string | undefined, PartialUploadStatus[]]> {
    const { storage, clock } = this.#parts;
    const answered = new AbortController();
    const late = sleep(clock, STORAGE_MS, answered.signal).then(() => {
      throw new FerryError("timeout", `the storage does not answer within ${STORAGE_MS / 1000} s`);
    });
    try {
      await Promise.race([storage.assertServing(), late]);
      return [undefined, await Promise.race([this.#partialUploads(), late])];
    } catch (error) {
      return [toFerryError(error).reason, []];
    } finally {
      answered.abort();
      late.catch(() => {});
    }
  }

  async #partialUploads(): Promise<PartialUploadStatus[]> {
    const all = await this.#parts.storage.partialUploads?.listAll() ?? [];
    return all.filter(({ entry }) => !entry.filename.startsWith(`${RESERVED_DIRECTORY}/`))
      .map(({ owner, entry: { filename, size, received, mtime, active } }) => {
        const seconds = this.#secondsSince(mtime);
        return { name: filename, size, received, seconds, active, ...this.#tokenOf(owner) };
      });
  }

  #stagedDirectories(): StagedDirectoryStatus[] {
    const all = this.#parts.storage.stagedTrees?.list() ?? [];
    return all.map(({ name, owner, bytes, active, touched }) => {
      const counted = bytes === undefined ? {} : { bytes };
      const seconds = active ? 0 : this.#secondsSince(touched);
      return { name, ...counted, seconds, active, ...this.#tokenOf(owner) };
    });
  }

  /** The time since a moment in milliseconds since 1970. */
  #secondsSince(moment: number): number {
    return Math.max(0, this.#parts.clock.now() - moment) / 1000;
  }

  /** The token to whose clients an upload belongs, flat. */
  #tokenOf(owner: string): ShownToken {
    const id = tokenIdOf(owner);
    return shownToken(id === undefined ? undefined : { id, name: this.#parts.nameOf(id) ?? "" });
  }

  /**
   * Closes connections. Their clients may connect again, and resume what was cut.
   *
   * @param who each the id of a connection, the id or the name of a token, or the address of a client with or without
   * its port
   */
  kick(who: readonly string[]): KickedConnection[] {
    const found = [...this.#parts.server.connections]
      .filter((connection) => who.some((each) => isMeant(connection, each)));
    for (const connection of found) {
      const { id, peer, token } = connection;
      logger.warn("Closes the connection {connection} of {peer}{who}: an admin has asked for it", {
        connection: id,
        peer: formatAddress(peer),
        who: token ? ` (${token.name})` : "",
      });
      connection.close(new FerryError("closed", "an operator of the server has closed it"));
    }
    return found.map(identityOf);
  }

  /** Makes the server end; see {@linkcode AdminParts.drain}. */
  drain(timeout: number | undefined): void {
    if (this.#draining) return;
    logger.warn("Ends once transfers under way have finished: an admin has asked for it");
    this.#parts.drain(timeout);
  }
}

function isMeant(connection: OpenConnection, who: string): boolean {
  const { id, peer, token, running } = connection;
  const tokens: Requester["token"][] = [token, ...[...running].map((each) => each.token)];
  return who === id || who === peer.hostname || who === formatAddress(peer) ||
    tokens.some((each) => each?.id === who || each?.name === who);
}
