import { RUNTIME } from "../support/runtime.ts";
import { createHash } from "node:crypto";
import { DIGESTS, md5Of } from "../support/digests.ts";
import { parseFileName } from "../../lib/core/remote_name.ts";
import { parseRequest } from "../../lib/wire/operations/operations.ts";
import { decodeHeader, encodeHeader } from "../../lib/wire/codec.ts";
import { Wire } from "../../lib/wire/frames.ts";
import type { ByteStream } from "../../lib/wire/byte_stream.ts";

const PUT = {
  op: "put",
  filename: "photos/2024/IMG_0001.jpg",
  overwrite: "never",
  md5: "b1946ac92492d2347c6235b4d2611184",
  total_size: 4096,
};
const ENCODED = encodeHeader(PUT);
const CHECKED = encodeHeader(PUT, { checksum: true });
const ROUND = 100;

/** One direction of a connection, which buffers bytes until they are read. */
class MemoryPipe {
  readonly #pieces: Uint8Array[] = [];
  #arrival = Promise.withResolvers<void>();

  write(bytes: Uint8Array): Promise<number> {
    this.#pieces.push(bytes.slice());
    this.#arrival.resolve();
    return Promise.resolve(bytes.length);
  }

  async read(buffer: Uint8Array): Promise<number> {
    while (this.#pieces.length === 0) {
      this.#arrival = Promise.withResolvers();
      await this.#arrival.promise;
    }
    const [piece] = this.#pieces as [Uint8Array];
    const count = Math.min(buffer.length, piece.length);
    buffer.set(piece.subarray(0, count));
    if (count === piece.length) this.#pieces.shift();
    else this.#pieces[0] = piece.subarray(count);
    return count;
  }
}

Deno.bench("header: encode", { group: "header" }, () => void encodeHeader(PUT));

Deno.bench("header: decode and check", { group: "header" }, () => {
  parseRequest(decodeHeader(ENCODED));
});

Deno.bench("header: encode with its checksum", { group: "header" }, () => {
  encodeHeader(PUT, { checksum: true });
});

Deno.bench("header: decode and check, with its checksum", { group: "header" }, () => {
  parseRequest(decodeHeader(CHECKED));
});

Deno.bench("name: check", () => void parseFileName(PUT.filename));

for (const [behind, headerChecksums] of [["", "off"], [", checked", "required"]] as const) {
  const [near, far] = memoryPair();
  const client = new Wire(near, { runtime: RUNTIME, idleTimeout: 60_000 });
  const server = new Wire(far, { runtime: RUNTIME, idleTimeout: 60_000 });
  client.headerChecksums = server.headerChecksums = headerChecksums;
  const body = new Uint8Array(PUT.total_size);

  Deno.bench(
    `wire: ${ROUND} pipelined messages and their replies${behind}`,
    { group: "wire" },
    async () => {
      const sending = send(client, () => client.writeFrame({ op: "ping" }));
      for (let i = 0; i < ROUND; i++) await server.readFrame();
      const replying = send(server, () => server.writeFrame({ status: "ok" }));
      for (let i = 0; i < ROUND; i++) await client.readFrame();
      await Promise.all([sending, replying]);
    },
  );

  Deno.bench(`wire: ${ROUND} pipelined messages of 4 KiB${behind}`, { group: "wire" }, async () => {
    const sending = send(client, () => client.writeFrame(PUT, body));
    const into = new Uint8Array(body.length);
    for (let i = 0; i < ROUND; i++) {
      const frame = await server.readFrame();
      while (await frame!.body.read(into) > 0);
    }
    await sending;
  });
}

for (const [label, size] of [["4 KiB", 4096], ["1 MiB", 1024 * 1024]] as const) {
  const bytes = new Uint8Array(size).map((_, i) => i * 31);
  const group = `md5 of ${label}`;
  Deno.bench(`${group}: ferry`, { group, baseline: true }, () => void md5Of(bytes));
  Deno.bench(`${group}: node:crypto`, { group }, () => {
    createHash("md5").update(bytes).digest("hex");
  });
}

// What a thread can take off the main one has to be more than handing the bytes over and back.
for (const algorithm of ["md5", "sha256", "xxh128"] as const) {
  const digest = await DIGESTS.create(algorithm);
  const bytes = new Uint8Array(1024 * 1024).map((_, i) => i * 31);
  const group = "a chunk of 1 MiB";
  const baseline = algorithm === "md5";
  Deno.bench(`${group}: ${algorithm}`, { group, baseline }, () => digest.update(bytes));
}
{
  const program = "self.onmessage = ({ data }) => self.postMessage(data, [data.buffer])";
  let thread: Worker | undefined;
  let bytes = new Uint8Array(1024 * 1024);
  const group = "a chunk of 1 MiB";
  Deno.bench(`${group}: to a thread and back`, { group }, async () => {
    thread ??= new Worker(`data:text/javascript,${program}`, { type: "module" });
    const back = Promise.withResolvers<MessageEvent<Uint8Array<ArrayBuffer>>>();
    thread.onmessage = back.resolve;
    thread.postMessage(bytes, [bytes.buffer]);
    bytes = (await back.promise).data;
  });
}

async function send(wire: Wire, write: () => Promise<void>): Promise<void> {
  for (let i = 0; i < ROUND; i++) await write();
  await wire.flush();
}

/** Two ends of a connection in memory, so that no system call is timed. */
function memoryPair(): [ByteStream, ByteStream] {
  const [there, back] = [new MemoryPipe(), new MemoryPipe()];
  const end = (incoming: MemoryPipe, outgoing: MemoryPipe): ByteStream => ({
    read: (buffer) => incoming.read(buffer),
    write: (bytes) => outgoing.write(bytes),
    closeWrite: () => Promise.resolve(),
    close: () => {},
  });
  return [end(back, there), end(there, back)];
}
