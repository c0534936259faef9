/**
 * Asks the servers that run, by their sockets.
 *
 * @module
 */

import { API, type KickedConnection, type Status } from "../admin/status.ts";
import { FerryError, fileError, isErrorCode, quote, toFerryError } from "../../lib/core/errors.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { SOCKETS_DIRECTORY } from "../../lib/core/remote_name.ts";
import { isBucketUrl } from "./bucket_root.ts";

/** The options that say which servers are meant. */
export interface RunningOptions {
  /** What they serve. */
  root: string;
  /** The socket of one of them. */
  "admin-socket"?: string | undefined;
  /** The process id of one of them. */
  pid?: number | undefined;
}

/** The servers that were asked for. */
export interface RunningServers {
  /** Those that have answered, and their states, in the order of their process ids. */
  readonly servers: readonly [RunningServer, Status][];
  /** Why another one has not answered, which may have been meant as well; undefined if all have. */
  readonly failure: FerryError | undefined;
}

/** A server that runs. */
export class RunningServer {
  readonly #socket: string;

  private constructor(socket: string) {
    this.#socket = socket;
  }

  /**
   * All servers that the options mean. Makes the directory of their sockets the working directory, since the path of a
   * socket must not be long.
   *
   * @throws {FerryError} `unreachable` if there is none; `timeout` if none answers; `denied` if this user may not ask them;
   * `usage` for a bucket without an `admin-socket`
   */
  static async all(options: RunningOptions): Promise<RunningServers> {
    const sockets = enter(options);
    const failures: FerryError[] = [];
    const { pid } = options;
    const asked = sockets.map(async (socket) => {
      const server = new RunningServer(socket);
      try {
        return [server, await server.status()] as [RunningServer, Status];
      } catch (error) {
        // One that is gone was killed, or ends at the moment.
        if (!isGone(error)) failures.push(toFerryError(error));
        return undefined;
      }
    });
    const servers = pid === undefined
      ? (await Promise.all(asked)).filter((each) => each !== undefined)
      : await first(asked, ([, status]) => status.pid === pid);
    servers.sort(([, a], [, b]) => a.pid - b.pid);
    const [failure] = failures;
    if (servers.length > 0) return { servers, failure: pid === undefined ? failure : undefined };
    if (failure) throw failure;
    const which = pid === undefined ? "" : ` as process ${pid}`;
    const where = options["admin-socket"] === undefined
      ? `serves ${quote(options.root)}`
      : `answers at ${quote(options["admin-socket"])}`;
    throw new FerryError("unreachable", `no ferryd ${where}${which}`);
  }

  /** Its state. */
  async status(): Promise<Status> {
    return await this.#ask("GET", "status") as Status;
  }

  /** Closes connections; see `Admin.kick`. */
  async kick(who: readonly string[]): Promise<KickedConnection[]> {
    const { kicked } = await this.#ask("POST", "kick", { who }) as { kicked: KickedConnection[] };
    return kicked;
  }

  /**
   * Makes it end, and waits for that.
   *
   * @param timeout how long transfers may go on, in milliseconds; undefined for as long as it was told at its start
   * @returns its states until it has ended, the present one first
   */
  async *drain(timeout: number | undefined): AsyncGenerator<Status> {
    try {
      yield await this.#ask("POST", "drain", { timeout }) as Status;
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        yield await this.status();
      }
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async #ask(method: string, what: string, body?: unknown): Promise<unknown> {
    const [status, text] = await exchange(this.#socket, {
      method,
      path: `${API}/${what}`,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = parsed(text);
    if (status === 200 && answer) return answer;
    const { code, error } = answer ?? {};
    throw isErrorCode(code)
      ? new FerryError(code, String(error))
      : new FerryError("bad_version", "what answers at its socket is no ferryd of this version");
  }
}

/** The first result that is meant, without waiting for later ones; empty if there is none. */
async function first<T>(
  all: readonly Promise<T | undefined>[],
  isMeant: (result: T) => boolean,
): Promise<T[]> {
  const found = all.map(async (each) => {
    const result = await each;
    if (result !== undefined && isMeant(result)) return result;
    throw new FerryError("not_found", "another one is meant");
  });
  return await Promise.any(found).then((result) => [result], () => []);
}

/** How often a server that ends is asked for its state, in milliseconds. */
const LOOK_MS = 200;

/** How long a server may take to answer, in milliseconds: more than it takes where its storage does not answer. */
const ANSWER_MS = 10_000;

/** Makes the directory of the sockets the working directory, and returns their names in it. */
function enter({ root, "admin-socket": socket }: RunningOptions): string[] {
  const { dirname, basename, join } = PLATFORM.path;
  if (socket === undefined && isBucketUrl(root)) {
    throw new FerryError(
      "usage",
      "a bucket has no place for the socket: give --admin-socket, here and to the ferryd that serves it",
    );
  }
  const directory = socket === undefined ? join(root, SOCKETS_DIRECTORY) : dirname(socket);
  try {
    Deno.chdir(directory);
    if (socket !== undefined) return [basename(socket)];
    return [...Deno.readDirSync(".")].filter(({ isFile }) => !isFile).map(({ name }) => name);
  } catch (error) {
    const failure = fileError(error);
    if (failure.code === "not_found") return [];
    throw askingError(failure);
  }
}

function askingError(failure: FerryError): FerryError {
  const reason = failure.code === "denied"
    ? "only the user that it runs as, and root, may ask it"
    : failure.reason;
  return new FerryError(failure.code, reason, { cause: failure, action: "ask a ferryd that runs" });
}

/** Whether a failure means that a server has ended. */
function isGone(error: unknown): boolean {
  return ["unreachable", "closed", "not_found"].includes(toFerryError(error).code);
}

/** Makes a request by a socket. */
async function exchange(
  socketPath: string,
  { body, ...request }: { method: string; path: string; body: string | undefined },
): Promise<[status: number, body: string]> {
  // Loaded on demand, since it takes time and few commands need it.
  const { request: httpRequest } = await import("node:http");
  return await new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      const reason = `it has not answered for ${ANSWER_MS / 1000} s: it hangs, or was stopped`;
      fail(new FerryError("timeout", reason));
      sent.destroy();
    }, ANSWER_MS);
    const fail = (error: unknown) => {
      clearTimeout(late);
      reject(askingError(fileError(error)));
    };
    const sent = httpRequest({ socketPath, ...request }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => text += part);
      response.on("end", () => {
        clearTimeout(late);
        resolve([response.statusCode ?? 0, text]);
      });
      response.on("error", fail);
      response.on("close", () => fail(new FerryError("closed", "it has ended")));
    });
    sent.on("error", fail);
    sent.end(body);
  });
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
