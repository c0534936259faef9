import { assert, assertEquals } from "@std/assert";
import { addChecksum, hasChecksum, isIntact, makeRoom } from "../../../lib/wire/header_checksum.ts";
import { connect, FsStorage, type Retry, serve, type Server } from "../../../mod.ts";
import { FaultyPeer } from "../../support/faulty_peer.ts";
import { TempDir } from "../../support/programs.ts";
import { checkedFrame, isChecked, RawPeer } from "../../support/raw_peer.ts";
import { message } from "../../support/vectors.ts";
import { utf8 } from "../../support/bytes.ts";

/** A server in this process. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly #storage = FsStorage.open(this.dir.path, { durability: "none" });
  server!: Server;

  static async start(): Promise<Fixture> {
    const fixture = new Fixture();
    fixture.server = await serve({ storage: fixture.#storage, listen: "127.0.0.1:0" });
    return fixture;
  }

  get port(): number {
    return this.server.addresses[0]!.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    await this.#storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

const HELLO = { op: "hello", versions: [1], features: ["header-crc32"] };

/** The bytes of a message whose header has a checksum, made without ferry's own encoder. */
const checked = (header: Record<string, unknown>) => checkedFrame(JSON.stringify(header));

/** Sends messages and gives what comes back: "ok" or the code, and whether the header has a checksum. */
async function answers(port: number, ...messages: (Uint8Array | Record<string, unknown>)[]) {
  using peer = await RawPeer.connect(port);
  await peer.send(...messages);
  await peer.end();
  const replies: string[] = [];
  for (let reply; (reply = await peer.receive());) {
    const { status, code, crc32 } = reply.header;
    replies.push(`${status === "ok" ? "ok" : code}${crc32 === undefined ? "" : "+crc32"}`);
  }
  return replies;
}

/** A header with its checksum, as bytes. */
function withChecksum(json: string): Uint8Array {
  const bytes = utf8.encode(makeRoom(json));
  addChecksum(bytes);
  return bytes;
}

Deno.test("a header ends with the CRC-32 of its length and of all that stands before the key", () => {
  const text = (json: string) => new TextDecoder().decode(withChecksum(json));
  // As zlib.crc32 of Python gives it for these bytes.
  assertEquals(text('{"op":"ping"}'), '{"op":"ping","crc32":"073d00ef"}');
  assertEquals(text("{}"), '{"crc32":"94956eeb"}');
  assertEquals(text('{"filename":"é"}'), '{"filename":"é","crc32":"8b3a9ed8"}');
});

Deno.test("a header with a checksum is intact, and with any bit of it or of its length turned is not", () => {
  for (const json of ["{}", '{"op":"ping"}', `{"filename":"${"é".repeat(200)}"}`]) {
    const bytes = withChecksum(json);
    assert(hasChecksum(bytes) && isIntact(bytes));
    const theirs = checkedFrame(json);
    assertEquals(theirs, message(new TextDecoder().decode(bytes)));
    assert(isChecked(theirs));
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      assert(!isIntact(damaged), `${json}, bit ${bit}`);
    }
    for (let length = 0; length < bytes.length; length++) {
      assert(!isIntact(bytes.subarray(0, length)));
      assert(!isIntact(new Uint8Array([...bytes, ...bytes.subarray(0, length + 1)])));
    }
  }
});

Deno.test("a header without a checksum has none", () => {
  for (
    const json of [
      "{}",
      '{"op":"ping"}',
      '{"crc32":null}',
      '{"crc32":"00000000","op":"ping"}',
      '{"x":"\\"crc32\\":\\"00000000\\"}"}',
    ]
  ) {
    const bytes = utf8.encode(json);
    assert(!hasChecksum(bytes) && !isIntact(bytes), json);
  }
});

Deno.test("a server puts checksums into all headers for who announces them, and for nobody else", async () => {
  await using f = await Fixture.start();
  const requests = [{ op: "ping" }, { op: "stat", filename: "missing" }];
  const { features: _, ...old } = HELLO;
  assertEquals(await answers(f.port, old, ...requests), ["ok", "ok", "not_found"]);
  // Those of a client that announces nothing are looked at all the same.
  assertEquals(await answers(f.port, ...requests.map(checked)), ["ok", "not_found"]);
  const both = await answers(f.port, checked(HELLO), ...requests.map(checked));
  assertEquals(both, ["ok+crc32", "ok+crc32", "not_found+crc32"]);
});

Deno.test("a header without its checksum, or with another, ends the connection", async () => {
  await using f = await Fixture.start();
  const damaged = checked({ op: "mkdir", filename: "a" });
  damaged[20]! ^= 1;
  const ping = { op: "ping" };
  for (const first of [damaged, HELLO]) {
    assertEquals(await answers(f.port, ping, first, ping), ["ok", "checksum_mismatch"]);
  }
  for (const later of [damaged, ping, { ...ping, crc32: "00000000" }]) {
    const replies = await answers(f.port, checked(HELLO), later, checked(ping));
    assertEquals(replies, ["ok+crc32", "checksum_mismatch+crc32"]);
  }
  assertEquals([...Deno.readDirSync(f.dir.path)].map(({ name }) => name), [".ferry"]);
});

Deno.test("a hello that is refused agrees on nothing", async () => {
  await using f = await Fixture.start();
  const replies = await answers(f.port, checked({ ...HELLO, versions: [2] }), { op: "ping" });
  assertEquals(replies, ["bad_version", "ok"]);
});

Deno.test("what a damaged header kept from being done is done once more, on another connection", async () => {
  await using f = await Fixture.start();
  const address = `127.0.0.1:${f.port}`;
  // Where the second request begins, and where the second reply does.
  await using measured = FaultyPeer.start(f.port);
  await (await connect(measured.address))[Symbol.asyncDispose]();
  const [greeting] = measured.passed;
  assert(greeting);
  for (const direction of ["up", "down"] as const) {
    const at = greeting[direction] + 12;
    await using network = FaultyPeer.start(f.port, { faults: [{ kind: "flip", direction, at }] });
    const seen: Retry[] = [];
    await using client = await connect(network.address, { onRetry: (retry) => seen.push(retry) });
    await client.mkdir(`made/${direction}`);
    // A server that got it ends the connection behind its answer, which the next try may see first.
    assertEquals([network.pending, seen[0]?.error.code], [0, "checksum_mismatch"]);
    await using direct = await connect(address);
    assertEquals((await direct.stat(`made/${direction}`)).type, "directory");
  }
});
