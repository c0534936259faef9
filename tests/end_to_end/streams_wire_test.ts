import { assert, assertEquals } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { DIGESTS } from "../support/digests.ts";
import { Pair } from "../support/pair.ts";
import { randomBytes } from "../support/random_file.ts";
import type { RawPeer } from "../support/raw_peer.ts";

const FILE = randomBytes(3 * MIB + 12345, 8);

/** Sends a request and returns the reply. */
async function ask(
  peer: RawPeer,
  request: Record<string, unknown>,
): Promise<{ header: Record<string, unknown>; body: Uint8Array }> {
  await peer.send(request);
  return (await peer.receive())!;
}

/** The version of a file, as a range of no bytes tells it. */
async function versionOf(peer: RawPeer, filename: string): Promise<string> {
  const { header } = await ask(peer, { op: "get", filename, start: 0, count: 0 });
  assertEquals([header.status, header.total_size], ["ok", 0]);
  return String(header.version);
}

Deno.test("a piece comes with its digest if the file has the version that was asked for", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/streams", FILE);
  using peer = await p.connect();
  const filename = "streams";
  const version = await versionOf(peer, filename);
  const [start, count] = [MIB + 1, 70_000];
  const piece = { op: "get", filename, start, count, version, checksum: "xxh128" };
  for (let times = 0; times < 2; times++) {
    const { header, body } = await ask(peer, piece);
    const { header: closing } = (await peer.receive())!;
    assertEquals(
      [header.start, header.size, header.total_size, header.version],
      [start, FILE.length, count, version],
    );
    assertEquals(body, FILE.subarray(start, start + count));
    assertEquals([closing.checksum, closing.size], [
      await DIGESTS.checksumOf("xxh128", body),
      count,
    ]);
  }
});

Deno.test("a request that names a version is refused once the file has another one", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/changing", FILE);
  using peer = await p.connect();
  const filename = "changing";
  const version = await versionOf(peer, filename);
  const { header: before } = await ask(peer, { op: "stat", filename, version });
  assertEquals([before.status, before.size, before.md5], ["ok", FILE.length, md5(FILE)]);
  p.dir.write("root/changing", FILE.subarray(1));
  const requests = [
    { op: "get", filename, start: 0, count: 5, version },
    { op: "get", filename, count: 5, version },
    { op: "get", filename, start: 5, version },
    { op: "stat", filename, version },
  ];
  for (const request of requests) {
    const { header } = await ask(peer, request);
    assertEquals([header.status, header.code], ["error", "busy"], JSON.stringify(request));
  }
  assert(await versionOf(peer, filename) !== version);
});

Deno.test("a directory has no version, and a rest of a file is no piece", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/streams", FILE);
  Deno.mkdirSync(`${p.root}/directory`);
  using peer = await p.connect();
  const requests = [
    [{ op: "stat", filename: "directory", version: "x" }, "not_a_file"],
    [{ op: "get", filename: "directory", start: 0, count: 0 }, "not_a_file"],
    [{ op: "get", filename: "streams", offset: 5, version: "x" }, "bad_header"],
    [{ op: "get", filename: "streams", start: 0, version: "x".repeat(129) }, "bad_header"],
  ] as const;
  for (const [request, code] of requests) {
    const { header } = await ask(peer, request);
    assertEquals(header.code, code, JSON.stringify(request));
  }
});
