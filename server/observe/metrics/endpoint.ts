/**
 * The listener for monitoring systems: `/metrics`, `/healthz`, `/readyz`.
 *
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ListenAddress, Listener } from "../../net/listener.ts";
import { keepListening, listenNode } from "../../net/node_listener.ts";
import { guarded, logFailure } from "../failures.ts";

/** The maximum number of open connections. Further ones are closed: they are not to take those of clients. */
const MAX_CONNECTIONS = 128;

/** A connection without a request for this long is closed, in milliseconds. */
const IDLE_MS = 120_000;

/** The maximum size of the header of a request, in bytes. */
const MAX_HEADER_BYTES = 16 * 1024;

/** What the listener answers with. */
export interface Monitored {
  /** The media type of the metrics. */
  readonly mediaType: string;
  /** Writes the metrics. */
  text(): Promise<string>;
  /** Why the server takes no work at the moment, as an English clause; undefined if it is ready. */
  obstacle(): Promise<string | undefined>;
}

/** An answer. */
interface Answer {
  readonly status: number;
  readonly text: string;
  /** Default: `text/plain; charset=utf-8`. */
  readonly mediaType?: string;
}

/**
 * Listens for monitoring systems.
 *
 * @throws {FerryError} `io`, `denied`, `unreachable` if the address cannot be listened on
 */
export async function listenForMonitoring(
  address: ListenAddress,
  monitored: Monitored,
): Promise<Listener> {
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, noDelay: true });
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    if (open.size >= MAX_CONNECTIONS) return void socket.destroy();
    open.add(socket);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.once("close", () => open.delete(socket));
  });
  const answers = new Answers(monitored);
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    guarded("answer a request for metrics", async () => {
      const answer = await answers.to(request);
      const { status, text, mediaType = "text/plain; charset=utf-8" } = answer;
      response.writeHead(status, {
        "Content-Type": mediaType,
        "Content-Length": new TextEncoder().encode(text).length,
        "Cache-Control": "no-store",
        ...(status === 405 ? { Allow: "GET, HEAD" } : {}),
      });
      response.end(request.method === "HEAD" ? undefined : text);
    });
  });
  server.on("clientError", (_: Error, socket: Socket) => void socket.destroy());
  const listening = await listenNode(server, address, "metrics");
  const accepting = keepListening(server);
  return {
    listening,
    close() {
      accepting[Symbol.dispose]();
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      for (const socket of open) socket.destroy();
      return promise;
    },
  };
}

/** Answers requests. Those that arrive while the metrics are being written get the same text. */
class Answers {
  readonly #monitored: Monitored;
  #writing: Promise<string> | undefined;

  constructor(monitored: Monitored) {
    this.#monitored = monitored;
  }

  async to({ method, url = "" }: IncomingMessage): Promise<Answer> {
    if (method !== "GET" && method !== "HEAD") {
      return { status: 405, text: "only GET and HEAD are answered here\n" };
    }
    switch (url.replace(/\?.*/s, "")) {
      case "/metrics":
        return await this.#metrics();
      case "/healthz":
        return { status: 200, text: "ok\n" };
      case "/readyz":
        return await this.#readiness();
      default:
        return { status: 404, text: "here are /metrics, /healthz and /readyz\n" };
    }
  }

  async #metrics(): Promise<Answer> {
    const { mediaType } = this.#monitored;
    try {
      this.#writing ??= this.#monitored.text();
      return { status: 200, text: await this.#writing, mediaType };
    } catch (error) {
      logFailure("Cannot write the metrics: {reason} ({code})", error, { level: "warn" });
      return { status: 500, text: "the metrics cannot be written: the log says why\n" };
    } finally {
      this.#writing = undefined;
    }
  }

  async #readiness(): Promise<Answer> {
    const obstacle = await this.#monitored.obstacle();
    return obstacle === undefined
      ? { status: 200, text: "ready\n" }
      : { status: 503, text: `not ready: ${obstacle}\n` };
  }
}
