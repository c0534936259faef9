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

const kickRequest = v.strictObject({
  who: v.pipe(v.array(v.string("is not a string"), "is not an array"), v.minLength(1, "is empty")),
});

const drainRequest = v.strictObject({
  /** In milliseconds. */
  timeout: v.optional(v.pipe(v.number("is not a number"), v.minValue(0, "is negative"))),
});

/** A socket that is listened on, until it is disposed of. */
export class AdminSocket implements AsyncDisposable {
  readonly #server: Deno.HttpServer;
  readonly #end: AbortController;

  private constructor(server: Deno.HttpServer, end: AbortController) {
    this.#server = server;
    this.#end = end;
  }

  /**
   * Listens.
   *
   * @param path where the socket will be; one that a process has left that was killed is replaced
   * @throws {FerryError} `busy` if a process listens there; `exists` if something else is there; `usage` for a path that
   * is too long for a socket; `not_found`, `denied`, …
   */
  static async open(path: string, admin: Admin): Promise<AdminSocket> {
    try {
      await removeStale(path);
      const end = new AbortController();
      const options = { path, signal: end.signal, onListen() {}, onError: failed };
      const server = Deno.serve(options, (request) => answer(request, admin));
      Deno.chmodSync(path, MODE);
      return new AdminSocket(server, end);
    } catch (error) {
      throw listenError(error).during(`listen on the socket ${quote(path)}`);
    }
  }

  /** Closes it, and cuts the requests that are being answered. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#server.finished;
  }
}

async function removeStale(path: string): Promise<void> {
  const info = await Deno.lstat(path).catch(() => undefined);
  if (!info) return;
  if (!info.isSocket) throw new FerryError("exists", "something that is no socket has that name");
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    return await Deno.remove(path);
  }
  throw new FerryError("busy", "another process listens there");
}

function listenError(error: unknown): FerryError {
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
