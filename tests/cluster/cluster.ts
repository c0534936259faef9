/**
 * Several servers behind haproxy, over one bucket.
 *
 * @module
 */

import { S3Storage, type S3StorageOptions } from "../../server/storage/s3/s3_storage.ts";
import { bucketRootArgs } from "../support/bucket_root.ts";
import type { Engine } from "../support/engines/engine.ts";
import { ferryd, TempDir } from "../support/programs.ts";
import { RawBucket } from "../support/raw_bucket.ts";
import { Haproxy } from "./haproxy.ts";
import { Instance } from "./instance.ts";
import type { Entrance } from "./worker.ts";

/** The prefix in the bucket. */
export const PREFIX = "a/served tree";

/** A set-up as docs/operating.md has it. */
export class Cluster implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  /** The servers. */
  readonly instances: readonly Instance[];
  /** What distributes connections to them. */
  readonly haproxy: Haproxy;
  /** How clients come in. */
  readonly entrance: Entrance;
  /** The bucket itself. */
  readonly raw: RawBucket;
  readonly #access: S3StorageOptions;

  private constructor(
    stack: AsyncDisposableStack,
    parts: {
      instances: readonly Instance[];
      haproxy: Haproxy;
      entrance: Entrance;
      raw: RawBucket;
      access: S3StorageOptions;
    },
  ) {
    this.#stack = stack;
    this.instances = parts.instances;
    this.haproxy = parts.haproxy;
    this.entrance = parts.entrance;
    this.raw = parts.raw;
    this.#access = parts.access;
  }

  /** Starts servers of the given names over a new bucket of an engine, and haproxy in front of them. */
  static async start(engine: Engine, names: readonly string[]): Promise<Cluster> {
    await using stack = new AsyncDisposableStack();
    const dir = stack.use(new TempDir());
    const pin = await printed(["cert", "--host", "localhost"], dir.path);
    const token = await printed(
      ["token", "new", "--token-file", "tokens", "--name", "all", "--scope", "read,write,delete"],
      dir.path,
    );
    const bucket = await engine.bucket();
    const { root, args, env } = bucketRootArgs(engine, bucket, PREFIX);
    const tls = [
      ...["--tls-cert", dir.join("ferryd-cert.pem")],
      ...["--tls-key", dir.join("ferryd-key.pem")],
    ];
    const all = [...args, "--token-file", dir.join("tokens"), ...tls];
    const instances = names.map((name) => stack.use(new Instance(name, { root, args: all, env })));
    await Promise.all(instances.map((instance) => instance.start()));
    const ports = new Map(instances.map(({ name, port }) => [name, port]));
    const haproxy = stack.use(await Haproxy.start(dir.path, ports));
    const entrance = { address: haproxy.address, token, pin };
    const raw = new RawBucket(engine, bucket);
    const { endpoint, region, accessKeyId, secretAccessKey } = engine;
    const credentials = { accessKeyId, secretAccessKey };
    const access = { endpoint, region, credentials, bucket, prefix: PREFIX };
    return new Cluster(stack.move(), { instances, haproxy, entrance, raw, access });
  }

  /** One more storage over the same bucket, as a server has it. */
  open(): Promise<S3Storage> {
    return S3Storage.open(this.#access);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What a command of `ferryd` prints on standard output. */
async function printed(args: string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await ferryd(args, { cwd });
  if (code !== 0) throw new Error(`ferryd ${args[0]}: ${stderr}`);
  return stdout.trim();
}
