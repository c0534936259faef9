/**
 * Calls the hooks: functions by which a program observes its server. Their failures do not affect the server.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { setImmediate } from "node:timers";
import type { ListenerKind, Listening } from "../../lib/core/address.ts";
import type { FerryError } from "../../lib/core/errors.ts";
import type { StoredUpload } from "../files/upload.ts";
import type { EndedOperation, Observer, OperationKind, Requester } from "./operation.ts";

/** The maximum number of unfinished calls, including those that have not begun. Further ones are dropped. */
const MAX_UNFINISHED = 10_000;

/** How long a closing server waits for calls to finish, in milliseconds. */
const FINISHING_MS = 1000;

const logger = getLogger(["ferry", "server"]);

/** A request that failed, and its client. */
export interface FailedRequest extends Requester {
  /**
   * The operation, such as `put`; undefined if the connection failed, or the message was not a valid request.
   */
  readonly op: string | undefined;
  /** The name that the request is about; undefined if there is none. */
  readonly filename: string | undefined;
}

/**
 * Functions that a server calls when something happens. They run in the thread of the server, which does nothing else
 * while they compute; promises that they return are not waited for. A function that throws, or whose promise fails,
 * does not affect the server: its first failure is logged as a warning, the later ones with the level `debug`.
 *
 * The calls begin in the order of the events, without waiting for the promise of the call before. While 10000 calls are
 * unfinished, further events are dropped, and the log says so. A closing server waits for the calls, for one second at
 * most.
 */
export interface ServerHooks {
  /** Called for each address that the server listens on, before {@linkcode serve} resolves. */
  onListen?: ((listening: Listening) => unknown) | undefined;
  /**
   * Called for each uploaded file, once it has its name and, with a durable storage, survives a power failure; also for
   * a file that was not sent because the server already has it. The reply to the client is sent first. Not called for
   * files that a comparison of whole directories finds unchanged.
   */
  onStored?: ((file: StoredUpload, by: Requester) => unknown) | undefined;
  /**
   * Called for each request that fails, with the error that the client gets; and for each connection to `listen` that
   * does not end properly between two requests. Failures before the first request, what is no request, and failures of
   * the echoes and of classic exec are only logged.
   */
  onError?: ((error: FerryError, by: FailedRequest) => unknown) | undefined;
  /** Called for each operation that has ended, with success or without. */
  onOperation?: ((operation: EndedOperation) => unknown) | undefined;
}

/** Calls the hooks of one server. */
export class Hooks implements Observer {
  readonly #hooks: ServerHooks;
  #waiting: (() => void)[] = [];
  #unfinished = 0;
  /** Whether an event was dropped since all calls had finished. */
  #behind = false;
  /** The hooks that have failed. */
  readonly #failing = new Set<keyof ServerHooks>();
  #idle: PromiseWithResolvers<void> | undefined;

  /** @param hooks the functions of the user */
  constructor(hooks: ServerHooks) {
    this.#hooks = hooks;
  }

  /** Calls `onListen` for each address, immediately. */
  listening(all: readonly Listening[]): void {
    const { onListen } = this.#hooks;
    if (!onListen) return;
    for (const listening of all) {
      this.#unfinished++;
      void this.#run("onListen", () => onListen(listening));
    }
  }

  stored(file: StoredUpload, by: Requester): void {
    const { onStored } = this.#hooks;
    if (!onStored) return;
    const requester = requesterOf(by);
    this.#soon("onStored", () => onStored(file, requester));
  }

  ended(operation: EndedOperation): void {
    const { onOperation } = this.#hooks;
    if (onOperation) this.#soon("onOperation", () => onOperation(operation));
    const { error, op, filename } = operation;
    if (error) this.#failed(error, operation, { op: askedFor(op), filename });
  }

  disconnected(listener: ListenerKind, by: Requester, error?: FerryError): void {
    if (!error || (listener !== "tcp" && listener !== "tls")) return;
    this.#failed(error, by, { op: undefined, filename: undefined });
  }

  #failed(
    error: FerryError,
    by: Requester,
    request: Pick<FailedRequest, "op" | "filename">,
  ): void {
    const { onError } = this.#hooks;
    if (!onError) return;
    const failed = { ...requesterOf(by), ...request };
    this.#soon("onError", () => onError(error, failed));
  }

  /** Makes the calls that have not begun, and waits for all to finish, for at most a second. */
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
    // The reply to the client is sent within a turn of the event loop.
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

function requesterOf({ peer, token }: Requester): Requester {
  return { peer: { ...peer }, token };
}

/** The operation that a client asked for; undefined if it asked for none of the protocol. */
function askedFor(op: OperationKind): string | undefined {
  switch (op) {
    case "unknown":
    case "request":
      return undefined;
    case "offer":
      return "put";
    case "login":
      return "auth";
    default:
      return op;
  }
}
