/**
 * Two servers for HTTP in this process over one bucket.
 *
 * @module
 */

import { S3Storage, type S3StorageOptions } from "../../mod.ts";
import { CEPH } from "./engines/ceph.ts";
import { Engine } from "./engines/engine.ts";
import { HttpServer } from "./http_server.ts";

/** Two servers over one bucket of Ceph, which is empty. */
export class TwoServers implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  /** One of them. */
  one!: HttpServer;
  /** The other one. */
  two!: HttpServer;

  /** Starts both. */
  static async start(): Promise<TwoServers> {
    const started = new TwoServers();
    const engine = await Engine.shared(CEPH);
    const { endpoint, region, accessKeyId, secretAccessKey } = engine;
    const credentials = { accessKeyId, secretAccessKey };
    const options = { endpoint, region, bucket: await engine.bucket(), credentials };
    started.one = await started.#start(options);
    started.two = await started.#start(options);
    return started;
  }

  async #start(options: S3StorageOptions): Promise<HttpServer> {
    const storage = this.#stack.use(await S3Storage.open(options));
    return this.#stack.use(await HttpServer.start({ wrap: () => storage }));
  }

  /** Stops both. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
