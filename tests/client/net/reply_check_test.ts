import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { type Client, connect, FerryError } from "../../../mod.ts";
import { TempDir } from "../../support/programs.ts";
import { frame } from "../../support/raw_peer.ts";
import { concat } from "../../support/vectors.ts";
import { md5, utf8 } from "../../support/bytes.ts";

const EMPTY = md5("");
const ABC = md5("abc");

type Keys = Record<string, unknown>;

/**
 * A server of before there were checksums of headers: it answers each request with what it is given for it,
 * whatever was asked.
 */
class OldServer implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  /** How many connections there have been. */
  connections = 0;

  constructor(replies: readonly (Uint8Array | Keys)[]) {
    const left = replies.map((part) => part instanceof Uint8Array ? part : frame(part));
    void this.#serve(concat(left)).catch(() => {});
  }

  async #serve(replies: Uint8Array<ArrayBuffer>): Promise<void> {
    for await (const conn of this.#listener) {
      this.connections++;
      void this.#answer(conn, replies).catch(() => {});
    }
  }

  async #answer(conn: Deno.TcpConn, replies: Uint8Array<ArrayBuffer>): Promise<void> {
    using _conn = conn;
    const request = new Uint8Array(65536);
    await conn.read(request);
    await conn.write(frame({ status: "ok", version: 1, features: ["compare"], agent: "old/1" }));
    await conn.read(request);
    await conn.write(replies);
    while (await conn.read(request) !== null);
  }

  /** What comes of a request to it: "ok", or the code and the message of the error. */
  async outcome(ask: (client: Client) => Promise<unknown>): Promise<string> {
    const address = `127.0.0.1:${this.#listener.addr.port}`;
    await using client = await connect(address, { retries: 0, timeout: 5000 });
    try {
      await ask(client);
      return "ok";
    } catch (error) {
      assert(error instanceof FerryError);
      return `${error.code}: ${error.message}`;
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

async function outcome(
  replies: readonly (Uint8Array | Keys)[],
  ask: (client: Client) => Promise<unknown>,
): Promise<string> {
  using server = new OldServer(replies);
  return await server.outcome(ask);
}

const ENTRY = { status: "ok", type: "file", size: 3, mtime: 0, mode: 420, md5: ABC };
const PUT = { status: "ok", md5: ABC, size: 3, unchanged: false };
const FILE = { status: "ok", size: 3, mtime: 0, mode: 420, offset: 0, md5: ABC, total_size: 3 };
const STREAM = { status: "ok", md5: null, total_size: null };
const END = { end: true, md5: EMPTY, size: 0 };

const listed = (client: Client) => Array.fromAsync(client.list("a"));
const stored = (client: Client) => client.put(utf8.encode("abc"), { as: "a" });

const REQUESTS: readonly {
  what: string;
  ask: (client: Client) => Promise<unknown>;
  /** The reply, in which `filename` is put. */
  reply: readonly [Keys, ...(Uint8Array | Keys)[]];
  /** What that has to be. */
  name?: string;
}[] = [
  { what: "remove", ask: (client) => client.remove("a"), reply: [{ status: "ok" }] },
  { what: "mkdir", ask: (client) => client.mkdir("a"), reply: [{ status: "ok" }] },
  { what: "move", ask: (client) => client.move("x", "a"), reply: [{ status: "ok" }] },
  { what: "stat", ask: (client) => client.stat("a"), reply: [ENTRY] },
  { what: "list", ask: listed, reply: [STREAM, END] },
  { what: "put", ask: stored, reply: [PUT] },
  {
    what: "get",
    ask: (client) => client.get("a", { out: { write: () => Promise.resolve() } }),
    reply: [FILE, utf8.encode("abc")],
  },
];

for (const { what, ask, reply: [header, ...rest] } of REQUESTS) {
  Deno.test(`the reply to ${what} has to be about its name`, async () => {
    assertEquals(await outcome([{ ...header, filename: "a" }, ...rest], ask), "ok");
    for (const [filename, told] of [["b", '"b"'], ["x", '"x"'], [undefined, "no name at all"]]) {
      const wrong = await outcome([{ ...header, filename }, ...rest], ask);
      assertStringIncludes(wrong, `the server answers for ${told}`);
      assertStringIncludes(wrong, "bad_header: ");
    }
  });
}

Deno.test("a server that knows nothing of it is not asked to remove partial uploads", async () => {
  assertEquals(
    await outcome([{ status: "ok", filename: "a" }], (client) => client.discardParts("a")),
    'bad_version: Cannot remove the partial upload of "a": the server, old/1, does not offer the removal ' +
      "of partial uploads",
  );
});

Deno.test("the reply to an offer has to be about its name", async () => {
  const large = new Uint8Array(2_000_000);
  const checksum = createHash("md5").update(large).digest("hex");
  const offer = (client: Client) => client.put(large, { as: "a" });
  const have = { status: "ok", decision: "have", md5: checksum };
  assertEquals(await outcome([{ ...have, filename: "a" }], offer), "ok");
  assertStringIncludes(await outcome([{ ...have, filename: "b" }], offer), "bad_header: ");
  const other = { ...have, filename: "a", md5: ABC };
  assertStringIncludes(await outcome([other], offer), "checksum_mismatch: ");
  // What is there may be another file, only not an older one.
  const newer = (client: Client) => client.put(large, { as: "a", overwrite: "newer" });
  assertEquals(await outcome([other], newer), "ok");
});

Deno.test("the reply to a put has to be of what was sent", async () => {
  assertEquals(await outcome([{ ...PUT, filename: "a" }], stored), "ok");
  for (const wrong of [{ md5: EMPTY }, { size: 4 }]) {
    const answer = await outcome([{ ...PUT, ...wrong, filename: "a" }], stored);
    assertStringIncludes(answer, "checksum_mismatch: ");
  }
});

Deno.test("a list without a streamed body is none, whatever length it announces", async () => {
  for (const total_size of [0, undefined, 3]) {
    const answer = await outcome([{ ...STREAM, filename: "a", total_size }], listed);
    assertStringIncludes(answer, "bytes of lines, and no end");
  }
});

Deno.test("a list without its closing header fails", async () => {
  const answer = await outcome([{ ...STREAM, filename: "a" }, { total_size: 0 }], listed);
  assertStringIncludes(answer, "bad_header: ");
});

Deno.test("a checksum of another kind than the one that was asked for is refused", async () => {
  const reply = { ...ENTRY, filename: "a", md5: undefined, checksum: `sha256:${"0".repeat(64)}` };
  const answer = await outcome([reply], (client) => client.stat("a"));
  assertStringIncludes(answer, "the server tells sha256, and md5 was asked for");
  const file = { ...FILE, filename: "a", md5: undefined, checksum: "xxh128", total_size: 0 };
  const got = await outcome([file], (client) => {
    return client.get("a", { out: { write: () => Promise.resolve() } });
  });
  assertStringIncludes(got, "the server tells xxh128, and md5 was asked for");
});

Deno.test("a file that is to be handed on begins in front", async () => {
  const reply = { ...FILE, filename: "a", offset: 1, total_size: 2 };
  const answer = await outcome([reply, utf8.encode("bc")], (client) => {
    return client.get("a", { out: { write: () => Promise.reject(new Error("was written")) } });
  });
  assertStringIncludes(answer, "bad_header: ");
});

Deno.test("a command is not given more time than it was to have", async () => {
  const exec = (timeout_ms: number) =>
    outcome(
      [{ ...STREAM, timeout_ms }, { ...END, exit_code: 0 }],
      (client) => client.exec(["true"], { timeout: 1000 }),
    );
  assertEquals(await exec(1000), "ok");
  assertEquals(await exec(500), "ok");
  assertStringIncludes(await exec(1001), "bad_header: ");
});

Deno.test("a comparison has to be one of what was asked about, and has to have an end", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("t"));
  dir.write("t/f", "abc");
  Deno.utimeSync(dir.join("t/f"), 1, 1);
  const manifest = '{"filename":"t/f","size":3,"mtime":1000}\n';
  const compare = (client: Client) => client.putTree(dir.join("t"), { as: "t" });
  // Nothing is wanted, so that nothing is sent.
  assertEquals(await outcome([STREAM, { ...END, compared: md5(manifest) }], compare), "ok");
  // Older servers do not tell.
  assertEquals(await outcome([STREAM, END], compare), "ok");
  const empty = await outcome([STREAM, { ...END, compared: EMPTY }], compare);
  assertStringIncludes(empty, "checksum_mismatch: ");
  assertStringIncludes(empty, "the server has compared other files than these");
  for (const total_size of [0, undefined]) {
    const unstreamed = await outcome([{ ...STREAM, total_size }], compare);
    assertStringIncludes(unstreamed, "bytes of lines, and no end");
  }
});

Deno.test("nothing is asked on a connection behind a reply that could not be read", async () => {
  using server = new OldServer(
    ["\x02\0\0\0??", '\x0d\0\0\0{"status":"o'].map((text) => utf8.encode(text)),
  );
  await server.outcome(async (client) => {
    await assertRejects(() => client.ping(), FerryError, "not JSON");
    await assertRejects(() => client.ping(), FerryError, "not JSON");
  });
  assertEquals(server.connections, 2);
});

Deno.test("a range is asked of a server that has ranges, and of no other", async () => {
  const asked = await outcome([FILE, utf8.encode("abc")], (client) => {
    return client.get("a", { offset: 1, length: 1 }).bytes();
  });
  assertEquals(
    asked,
    'bad_version: Cannot get "a": the server, old/1, does not offer ranges of files',
  );
});
