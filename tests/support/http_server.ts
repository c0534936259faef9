/**
 * A server in this process that listens for HTTP, and requests to it that are sent exactly as a test says.
 *
 * @module
 */

import { request } from "node:http";
import { FsStorage, serve, type ServeOptions, type Server, type Storage } from "../../mod.ts";
import { TempDir } from "./programs.ts";

/** A request of {@linkcode HttpServer.request}. */
export interface HttpRequest {
  /** Header fields; several values of one are sent in lines of their own. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** The body, in pieces if it is sent in chunks. Default: none. */
  readonly body?: string | Uint8Array | readonly (string | Uint8Array)[];
}

/** A response to {@linkcode HttpServer.request}. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Uint8Array;
  /** The body as text. */
  readonly text: string;
  /** The body as JSON. */
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

/** Options of {@linkcode HttpServer.start}. */
export interface HttpServerOptions extends Partial<ServeOptions> {
  /** Wraps the storage that is served. */
  wrap?(storage: Storage): Storage;
}

/** A server over a directory of its own. */
export class HttpServer implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #storage = FsStorage.open(this.#dir.path, { durability: "none" });
  /** The server. */
  server!: Server;

  /** Starts it. */
  static async start(
    { wrap = (storage) => storage, ...options }: HttpServerOptions = {},
  ): Promise<HttpServer> {
    const fixture = new HttpServer();
    fixture.server = await serve({
      storage: wrap(fixture.#storage),
      listen: "127.0.0.1:0",
      http: "127.0.0.1:0",
      ...options,
    });
    return fixture;
  }

  /** The port of the listener for HTTP, or for HTTPS. */
  get port(): number {
    return this.server.addresses.find(({ kind }) => kind.startsWith("http"))!.port;
  }

  /** `http://127.0.0.1:PORT` */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** A path in the directory that it serves. */
  path(name: string): string {
    return this.#dir.join(name);
  }

  /** The content of a file in that directory. */
  read(name: string): string {
    return Deno.readTextFileSync(this.path(name));
  }

  /** Writes a file into that directory, whose parent directory exists. */
  write(name: string, content: string | Uint8Array): void {
    this.#dir.write(name, content);
  }

  /** Sends a request on a connection of its own. Nothing in `target` is changed. */
  request(method: string, target: string, options: HttpRequest = {}): Promise<HttpResponse> {
    return send(this.port, method, target, options);
  }

  /** Stops it and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close({ drainTimeout: 0 });
    await this.#storage[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Sends a request to a port of this machine on a connection of its own. Nothing in `target` is changed. */
export async function send(
  port: number,
  method: string,
  target: string,
  { headers = {}, body = [] }: HttpRequest = {},
): Promise<HttpResponse> {
  const done = Promise.withResolvers<HttpResponse>();
  const pieces = Array.isArray(body) ? body : [body];
  const length = Array.isArray(body) ? {} : { "content-length": bytesIn(body as string).length };
  const sent = request({
    host: "127.0.0.1",
    port,
    method,
    path: target,
    agent: false,
    headers: { ...length, ...headers } as Record<string, string>,
  });
  sent.on("error", done.reject);
  sent.on("response", async (response) => {
    try {
      const chunks: Uint8Array[] = [];
      for await (const chunk of response) chunks.push(chunk);
      const bytes = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
      const { statusCode: status = 0, headers } = response;
      const text = new TextDecoder().decode(bytes);
      done.resolve({
        status,
        headers,
        bytes,
        text,
        get json() {
          return JSON.parse(text);
        },
      });
    } catch (error) {
      done.reject(error);
    }
  });
  for (const piece of pieces) sent.write(piece);
  sent.end();
  return await done.promise;
}

function bytesIn(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}
