/**
 * What a server tells the program that it runs in. Whatever becomes of that, the server goes on.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { setImmediate } from "node:timers";
import type { Address, Listening } from "../../lib/core/address.ts";
import type { FerryError } from "../../lib/core/errors.ts";
import type { Request } from "../../lib/wire/operations/operations.ts";
import type { TokenRecord } from "../auth/token_table.ts";
import type { StoredUpload } from "../files/file_service.ts";

/** How many calls may be unfinished, those that have not begun among them; what is told beyond that is lost. */
const MAX_UNFINISHED = 10_000;

/** How long a server that ends waits for calls to finish, in milliseconds. */
const FINISHING_MS = 1000;

const logger = getLogger(["ferry", "server"]);

/** Who a client is. */
export interface Requester {
  /** The address that it has connected from. */
  readonly peer: Address;
  /** The token that it has shown last, whether that still counts or not; undefined where it has shown none. */
  readonly token: { readonly id: string; readonly name: string } | undefined;
}

/** Whose request failed, and which one. */
export interface FailedRequest extends Requester {
  /** The operation, such as `put`; undefined where the connection failed, or what came is no request. */
  readonly op: string | undefined;
  /** The name that the request is about; undefined where it is about none. */
  readonly filename: string | undefined;
}

/**
 * What a server calls. Each call is made in the server's own thread, where nothing else runs for as long as the
 * function computes; what it waits for, nobody else waits for. A function that throws, or whose promise fails, harms
 * nobody: the first failure of each is logged as a warning, the later ones with the level `debug`.
 *
 * The calls begin in the order of what they tell; a next one does not wait until the promise of the one before it
 * has settled. Where 10000 have not finished, what happens meanwhile is not told, and the log says so. A server
 * that ends waits for them, for a second at most.
 */
export interface ServerHooks {
  /** Called for each address that the server listens on, before {@linkcode serve} resolves. */
  onListen?: ((listening: Listening) => unknown) | undefined;
  /**
   * Called for each file that was uploaded, once it has its name and, with a durable storage, is safe there; also
   * for one that need not be sent since it is there already. The client is told first. Not called for what a
   * comparison of whole directories finds unchanged.
   */
  onStored?: ((file: StoredUpload, by: Requester) => unknown) | undefined;
  /**
   * Called for each request that fails, with the error that the client is told, where it can be told; and for each
   * connection that ends otherwise than in order between two requests. What fails before a client can make a
   * request, and on other listeners than that of `listen`, is in the log alone.
   */
  onError?: ((error: FerryError, by: FailedRequest) => unknown) | undefined;
}

/** What a session tells, with the token that its client has shown last. */
export interface SessionHooks {
  /** A file was uploaded, or need not be. */
  stored(file: StoredUpload, token: TokenRecord | undefined): void;
  /** A request failed, or without one the connection. */
  failed(error: FerryError, token: TokenRecord | undefined, request?: Request): void;
}

/** Calls the hooks of one server. */
export class Hooks {
  readonly #hooks: ServerHooks;
  #waiting: (() => void)[] = [];
  #unfinished = 0;
  /** Whether something was not told since all calls had finished. */
  #behind = false;
  /** The hooks that have failed. */
  readonly #failing = new Set<keyof ServerHooks>();
  #idle: PromiseWithResolvers<void> | undefined;

  /** The hooks that a user has given. */
  constructor(hooks: ServerHooks) {
    this.#hooks = hooks;
  }

  /** Tells where the server listens, at once. */
  listening(all: readonly Listening[]): void {
    const { onListen } = this.#hooks;
    if (!onListen) return;
    for (const listening of all) {
      this.#unfinished++;
      void this.#run("onListen", () => onListen(listening));
    }
  }

  /** Tells what becomes of the requests of a client; undefined where nobody wants to know. */
  toldBy({ hostname, port }: Address): SessionHooks | undefined {
    const { onStored, onError } = this.#hooks;
    if (!onStored && !onError) return undefined;
    const by = (token: TokenRecord | undefined): Requester => ({
      peer: { hostname, port },
      token: token && { id: token.id, name: token.name },
    });
    return {
      stored: (file, token) => {
        if (onStored) this.#soon("onStored", () => onStored(file, by(token)));
      },
      failed: (error, token, request) => {
        if (!onError) return;
        const filename = request && "filename" in request ? request.filename : undefined;
        this.#soon("onError", () => onError(error, { ...by(token), op: request?.op, filename }));
      },
    };
  }

  /** Makes the calls that have not begun, and waits for all to finish, but not for long. */
  async settle(): Promise<void> {
    this.#callWaiting();
    if (this.#unfinished === 0) return;
    this.#idle ??= Promise.withResolvers();
    const timer = setTimeout(this.#idle.resolve, FINISHING_MS);
    await this.#idle.promise;
    clearTimeout(timer);
  }

  #soon(hook: keyof ServerHooks, call: () => unknown): void {
    if (this.#unfinished >= MAX_UNFINISHED) return this.#lose();
    this.#unfinished++;
    this.#waiting.push(() => void this.#run(hook, call));
    if (this.#waiting.length > 1) return;
    // What the client is told leaves within a turn.
    setImmediate(() => setImmediate(() => this.#callWaiting()));
  }

  #lose(): void {
    if (this.#behind) return;
    this.#behind = true;
    logger.warn("{limit} calls of hooks have not finished: what happens meanwhile is not told", {
      limit: MAX_UNFINISHED,
    });
  }

  #callWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call();
  }

  async #run(hook: keyof ServerHooks, call: () => unknown): Promise<void> {
    try {
      await call();
    } catch (reason) {
      const level = this.#failing.has(hook) ? "debug" : "warn";
      this.#failing.add(hook);
      logger[level]("The hook {hook} failed: {reason}", { hook, reason });
    }
    this.#unfinished--;
    if (this.#unfinished > 0) return;
    this.#behind = false;
    this.#idle?.resolve();
  }
}
