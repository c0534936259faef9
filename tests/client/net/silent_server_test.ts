/** Servers that take a connection and do not answer, of other protocols and of this one. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { connect, type ConnectOptions, FerryError } from "../../../mod.ts";
import { createCertificate } from "../../../server/cli/certificate.ts";
import { frame } from "../../support/raw_peer.ts";
import { TempDir } from "../../support/programs.ts";

/** So short that it is asked soon, and so long that there is time for the answer on a busy machine. */
const CONNECT_TIMEOUT = 3000;

/** A listener that hands each connection on. */
class Listener implements AsyncDisposable {
  readonly #listener: Deno.Listener;
  readonly #open = new Map<Deno.Conn, Promise<void>>();
  readonly #accepting: Promise<void>;
  /** How many connections there have been. */
  connections = 0;

  constructor(
    serve: (conn: Deno.Conn) => Promise<void>,
    listener: Deno.Listener = Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  ) {
    this.#listener = listener;
    this.#accepting = this.#accept(serve).catch(() => {});
  }

  async #accept(serve: (conn: Deno.Conn) => Promise<void>): Promise<void> {
    for await (const conn of this.#listener) {
      this.connections++;
      this.#open.set(conn, serve(conn).catch(() => {}).finally(() => close(conn)));
    }
  }

  get address(): string {
    return `localhost:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open.keys()) close(conn);
    await Promise.all([this.#accepting, ...this.#open.values()]);
  }
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was closed already.
  }
}

/** Reads to the end of a line, and gives it. */
async function lineOf(conn: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  let text = "";
  while (!text.includes("\n")) {
    const count = await conn.read(buffer);
    if (count === null) return text;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

/** Waits for a line and answers it with another one. */
function answers(text: string) {
  return async (conn: Deno.Conn) => {
    const line = await lineOf(conn);
    if (line.includes("\n")) await conn.write(new TextEncoder().encode(text));
    while (await conn.read(new Uint8Array(100)) !== null);
  };
}

async function failure(address: string, options: ConnectOptions = {}): Promise<FerryError> {
  let retries = 0;
  const onRetry = () => void retries++;
  const all = { connectTimeout: CONNECT_TIMEOUT, retries: 5, onRetry, ...options };
  const error = await connect(address, all).then(() => undefined, (error) => error);
  assert(error instanceof FerryError, "it connects");
  assertEquals(retries, 0, "it was tried again");
  return error;
}

for (
  const [protocol, text] of [
    ["HTTP", "HTTP/1.0 400 Bad Request\r\n\r\n"],
    ["SMTP or FTP", "500 what is that?\r\n"],
    ["Redis", "-ERR unknown command\r\n"],
  ] as const
) {
  Deno.test(`connect() says that a server that waits for a line speaks ${protocol}`, async () => {
    await using server = new Listener(answers(text));
    const { code, message } = await failure(server.address);
    assertEquals([code, message], [
      "bad_header",
      `Cannot connect to ${server.address}: it does not answer, and seems to speak ${protocol}`,
    ]);
    assertEquals(server.connections, 2);
  });
}

Deno.test("connect() says so of a web server in Python", async () => {
  await using dir = new TempDir();
  const child = new Deno.Command("python3", {
    args: ["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"],
    cwd: dir.path,
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    const lines = child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    let port: string | undefined;
    for await (const line of lines) {
      port = / port (\d+) /.exec(line)?.[1];
      break;
    }
    const { code, message } = await failure(`127.0.0.1:${port}`);
    assertEquals(code, "bad_header");
    assertStringIncludes(message, "seems to speak HTTP");
  } finally {
    child.kill();
    await child.status;
  }
});

Deno.test("connect() over TLS names who speaks HTTP over it, and who speaks no TLS and waits for a line", async () => {
  const { cert, key } = await createCertificate({ hosts: ["localhost"], lifetime: 3_600_000 });
  const secured = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const tls = { ca: [cert] };
  const http = answers("HTTP/1.1 400 Bad Request\r\n\r\n");
  {
    await using server = new Listener(http, secured);
    const { code, message } = await failure(server.address, { tls });
    assertEquals(code, "bad_header");
    assertStringIncludes(message, "seems to speak HTTP");
  }
  // The first bytes of a handshake may have the end of a line in them: this one looks at its beginning.
  await using server = new Listener(async (conn) => {
    const first = new Uint8Array(1);
    await conn.read(first);
    if (first[0] !== 0x16) await http(conn);
    while (await conn.read(first) !== null);
  });
  const { code, message } = await failure(server.address, { tls, connectTimeout: 9000 });
  assertEquals(code, "bad_header");
  assertStringIncludes(message, "seems to speak HTTP");
});

Deno.test("connect() waits for a ferryd that is slow, though it asks what it is", async () => {
  const asked = Promise.withResolvers<void>();
  await using server = new Listener(async (conn) => {
    const buffer = new Uint8Array(4096);
    const count = await conn.read(buffer) ?? 0;
    if (new TextDecoder().decode(buffer.subarray(0, count)).startsWith("HEAD")) {
      await conn.write(frame({ status: "error", code: "bad_header", message: "what?" }));
      return asked.resolve();
    }
    await asked.promise;
    await conn.write(frame({ status: "ok", version: 1, agent: "slow/1" }));
    while (await conn.read(buffer) !== null);
  });
  await using client = await connect(server.address, { connectTimeout: CONNECT_TIMEOUT });
  assertEquals(client.hello.agent, "slow/1");
});

Deno.test("connect() gives up who says nothing at all", async () => {
  await using server = new Listener(async (conn) => {
    while (await conn.read(new Uint8Array(100)) !== null);
  });
  const { code } = await failure(server.address, { retries: 0, connectTimeout: 300 });
  assertEquals(code, "timeout");
});
