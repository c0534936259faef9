/**
 * The unix socket by which the operator of a server reaches it: HTTP with JSON, for `ferryd status` and for programs.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import * as v from "valibot";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import type { Admin } from "./admin.ts";
import { API } from "./status.ts";

const logger = getLogger(["ferry", "server"]);

/** The longest body of a request, in bytes. */
const MAX_BODY_BYTES = 64 * 1024;

/** Only the user that the server runs as may connect, and root. */
const MODE = 0o600;

/** How often it is looked whether the socket is still there, in milliseconds. */
const LOOK_MS = 2000;

/** Where a socket can be. */
export interface SocketPlace {
  /**
   * Makes the place ready for a socket, and returns its path, which leads there for the moment.
   *
   * @throws {FerryError} why there can be none
   */
  prepare(): string;
  /** The path of the socket that was made last, as it is now. */
  readonly path: string;
}

const kickRequest = v.strictObject({
  who: v.pipe(v.array(v.string("is not a string"), "is not an array"), v.minLength(1, "is empty")),
});

const drainRequest = v.strictObject({
  /** In milliseconds. */
  timeout: v.optional(v.pipe(v.number("is not a number"), v.minValue(0, "is negative"))),
});

/**
 * A socket that is listened on, until it is disposed of. If somebody removes it, it is made again: with the directory
 * that it is in, as programs do that remove old files.
 */
export class AdminSocket implements AsyncDisposable {
  readonly #place: SocketPlace;
  readonly #admin: Admin;
  #listening: { readonly server: Deno.HttpServer; readonly end: AbortController } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking = Promise.resolve();
  #closed = false;
  /** Whether it could not be made again at the last try. */
  #failing = false;

  private constructor(place: SocketPlace, admin: Admin) {
    this.#place = place;
    this.#admin = admin;
  }

  /**
   * Listens.
   *
   * @param place where the socket will be; one that a process has left that was killed is replaced
   * @throws {FerryError} `busy` if a process listens there; `exists` if something else is there; `usage` for a path that
   * is too long for a socket; `not_found`, `denied`, …
   */
  static async open(place: SocketPlace, admin: Admin): Promise<AdminSocket> {
    const socket = new AdminSocket(place, admin);
    await socket.#listen();
    socket.#lookLater();
    return socket;
  }

  async #listen(): Promise<void> {
    const path = this.#place.prepare();
    try {
      switch (await whatIsAt(path)) {
        case "listener":
          throw new FerryError("busy", "another process listens there");
        case "rest":
          await Deno.remove(path);
      }
      const end = new AbortController();
      const options = { path, signal: end.signal, onListen() {}, onError: failed };
      const server = Deno.serve(options, (request) => answer(request, this.#admin));
      this.#listening = { server, end };
      Deno.chmodSync(path, MODE);
    } catch (error) {
      throw socketError(error).during(`listen on the socket ${quote(path)}`);
    }
  }

  #lookLater(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().finally(() => this.#lookLater());
    }, LOOK_MS);
    Deno.unrefTimer(this.#timer);
  }

  /** Makes the socket again if it is gone. Never fails. */
  async #look(): Promise<void> {
    try {
      await Deno.lstat(this.#place.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) await this.#renew();
    }
  }

  async #renew(): Promise<void> {
    try {
      await this.#close();
      if (this.#closed) return;
      await this.#listen();
      logger.info("The socket for ferryd status, kick and drain was removed, and is made again");
      this.#failing = false;
    } catch (error) {
      if (this.#failing) return;
      this.#failing = true;
      const { message: reason, code } = toFerryError(error);
      logger.warn("ferryd status, kick and drain cannot reach this server: {reason} ({code})", {
        reason,
        code,
      });
    }
  }

  async #close(): Promise<void> {
    const { server, end } = this.#listening ?? {};
    this.#listening = undefined;
    end?.abort();
    await server?.finished;
  }

  /** Closes it, and cuts the requests that are being answered. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
    await this.#close();
  }
}

/** What has the path of a socket: a process that listens, what is left of one that has ended, or nothing. */
export type AtSocketPath = "listener" | "rest" | "nothing";

/**
 * Looks what has the path of a socket.
 *
 * @throws {FerryError} `exists` if it is no socket
 * @throws what the runtime throws, such as for a path that is too long
 */
export async function whatIsAt(path: string): Promise<AtSocketPath> {
  const info = await Deno.lstat(path).catch(() => undefined);
  if (info && !info.isSocket) {
    throw new FerryError("exists", "something that is no socket has that name");
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return "listener";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "nothing";
    if (error instanceof Deno.errors.ConnectionRefused) return "rest";
    throw error;
  }
}

/** The error for what the runtime throws because of the path of a socket. */
export function socketError(error: unknown): FerryError {
  // The runtime has no other error for it: "path must be shorter than SUN_LEN".
  if (error instanceof Error && error.message.includes("SUN_LEN")) {
    return new FerryError("usage", "the path is longer than a socket's may be, which is 107 bytes");
  }
  return toFerryError(error);
}

async function answer(request: Request, admin: Admin): Promise<Response> {
  const { pathname } = new URL(request.url);
  const routes: Readonly<Record<string, () => Promise<unknown>>> = {
    [`GET ${API}/status`]: () => admin.status(),
    [`POST ${API}/kick`]: async () => {
      const { who } = await bodyOf(request, kickRequest);
      return { kicked: admin.kick(who) };
    },
    [`POST ${API}/drain`]: async () => {
      const { timeout } = await bodyOf(request, drainRequest);
      admin.drain(timeout);
      return await admin.status();
    },
  };
  const route = `${request.method} ${pathname}`;
  if (Object.hasOwn(routes, route)) return Response.json(await routes[route]!());
  return problem(
    new FerryError("not_found", `there is nothing but ${Object.keys(routes).join(", ")}`),
    404,
  );
}

/** The body of a request. */
async function bodyOf<Output>(
  request: Request,
  schema: v.GenericSchema<unknown, Output>,
): Promise<Output> {
  const result = v.safeParse(schema, await readJson(request), { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new FerryError("usage", `${v.getDotPath(issue) ?? "the body"}: ${issue.message}`);
}

async function readJson(request: Request): Promise<unknown> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new FerryError("usage", "the body is too large");
    text += decoder.decode(chunk, { stream: true });
  }
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    throw new FerryError("usage", "the body is not JSON");
  }
}

function failed(error: unknown): Response {
  const failure = toFerryError(error);
  if (failure.code === "usage") return problem(failure, 400);
  logger.error("Cannot answer an admin: {cause}", { cause: failure.cause ?? failure });
  return problem(failure, 500);
}

function problem({ code, reason }: FerryError, status: number): Response {
  return Response.json({ code, error: reason }, { status });
}
