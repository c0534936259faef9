import { assert, assertEquals, assertMatch } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { DIGESTS } from "../support/digests.ts";
import { Pair } from "../support/pair.ts";
import { stagedIn } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import type { RawPeer } from "../support/raw_peer.ts";
import { show, token, TokenServer } from "../support/token_server.ts";

const FILE = randomBytes(9 * MIB + 12345, 5);
const ASSEMBLE = { op: "assemble", size: FILE.length };

type Reply = Record<string, unknown>;

/** Sends a request without a body, and returns the reply. */
async function ask(peer: RawPeer, request: Record<string, unknown>): Promise<Reply> {
  await peer.send(request);
  return (await peer.receive())!.header;
}

async function xxh128(bytes: Uint8Array): Promise<string> {
  return await DIGESTS.checksumOf("xxh128", bytes);
}

interface Named {
  filename: string;
  id: unknown;
}

/** Sends a part of {@linkcode FILE}, or what else stands there, and returns the reply. */
async function sendPiece(
  peer: RawPeer,
  { filename, id }: Named,
  [from, to]: readonly [number, number],
  bytes = FILE.subarray(from, to),
): Promise<Reply> {
  const checksum = await xxh128(FILE.subarray(from, to));
  const header = { op: "piece", filename, id, offset: from, checksum, total_size: bytes.length };
  await peer.send(header, bytes);
  return (await peer.receive())!.header;
}

/** The request that ends an upload in pieces. */
function ending(filename: string): Record<string, unknown> {
  const { length: size } = FILE;
  return { op: "put", filename, md5: md5(FILE), size, offset: size, total_size: 0 };
}

const CUTS = [0, 2 * MIB, 5 * MIB, 5 * MIB + 777, FILE.length];
const PIECES = CUTS.slice(1).map((to, i) => [CUTS[i]!, to] as const);

Deno.test("a file is put together from pieces that come over several connections in any order", async () => {
  await using p = await Pair.shared();
  const filename = "assembled";
  using control = await p.connect();
  const { id, pieces } = await ask(control, { ...ASSEMBLE, filename });
  assertMatch(String(id), /^[0-9a-f]{32}$/);
  assertEquals(pieces, []);
  using a = await p.connect();
  using b = await p.connect();
  for (const [i, piece] of [3, 0, 2, 1].entries()) {
    const reply = await sendPiece(i % 2 ? a : b, { filename, id }, PIECES[piece]!);
    assertEquals([reply.status, reply.filename], ["ok", filename]);
    // Nobody sees it before it is whole.
    assertEquals((await ask(a, { op: "stat", filename })).code, "not_found");
  }
  const { status, md5: stored, size } = await ask(control, ending(filename));
  assertEquals([status, stored, size], ["ok", md5(FILE), FILE.length]);
  assertEquals(Deno.readFileSync(`${p.root}/${filename}`), FILE);
  assertEquals(stagedIn(p.root), []);
});

Deno.test("pieces that are damaged, out of bounds or there in part do not count", async () => {
  await using p = await Pair.shared();
  const filename = "wrong";
  using control = await p.connect();
  const { id } = await ask(control, { ...ASSEMBLE, filename });
  const named = { filename, id };
  using peer = await p.connect();
  const [first, second] = PIECES;
  const code = async (...args: Parameters<typeof sendPiece>) => (await sendPiece(...args)).code;
  const damaged = FILE.slice(...second!);
  damaged[5]! ^= 1;
  assertEquals(await code(peer, named, second!, damaged), "checksum_mismatch");
  // The whole is not there: the upload goes on.
  assertEquals(await code(peer, named, [FILE.length - 5, FILE.length], FILE.slice(0, 6)), "usage");
  assertEquals(await code(peer, named, first!), undefined);
  assertEquals(await code(peer, named, [first![1] - 5, first![1] + 5]), "usage");
  // One that is there already is no error: its reply may have been lost.
  assertEquals(await code(peer, named, first!), undefined);
  const keys = { op: "piece", filename, id, offset: 0 };
  assertEquals((await ask(peer, { ...keys, md5: md5(FILE), total_size: 0 })).code, "bad_header");
  for (const piece of PIECES.slice(1)) assertEquals(await code(peer, named, piece), undefined);
  assertEquals((await ask(control, ending(filename))).status, "ok");
  assertEquals(md5(Deno.readFileSync(`${p.root}/${filename}`)), md5(FILE));
});

Deno.test("an upload in pieces does not end before all have come, nor with another file", async () => {
  await using p = await Pair.shared();
  const filename = "early";
  using control = await p.connect();
  const named = { filename, ...await ask(control, { ...ASSEMBLE, filename }) } as unknown as Named;
  using peer = await p.connect();
  for (const piece of PIECES.slice(1)) await sendPiece(peer, named, piece);
  assertEquals((await ask(control, ending(filename))).code, "busy");
  await sendPiece(peer, named, PIECES[0]!);
  const wrong = { ...ending(filename), md5: md5(new Uint8Array()) };
  assertEquals((await ask(control, wrong)).code, "checksum_mismatch");
  assertEquals((await sendPiece(peer, named, PIECES[0]!)).code, "busy");
  assertEquals((await ask(control, { op: "stat", filename })).code, "not_found");
  assertEquals(stagedIn(p.root), []);
});

Deno.test("pieces for an unknown id, and for another name, are refused", async () => {
  await using p = await Pair.shared();
  const filename = "named";
  using control = await p.connect();
  const { id } = await ask(control, { ...ASSEMBLE, filename });
  using peer = await p.connect();
  const piece = [0, 1000] as const;
  for (const named of [{ filename, id: "0".repeat(32) }, { filename: "other", id }]) {
    assertEquals((await sendPiece(peer, named, piece)).code, "busy");
  }
  assertEquals((await sendPiece(peer, { filename, id }, piece)).status, "ok");
  assertEquals((await sendPiece(peer, { filename, id: 5 }, piece)).code, "bad_header");
  // Any other request of the connection ends the upload.
  assertEquals((await ask(control, { op: "ping" })).status, "ok");
  assertEquals((await sendPiece(peer, { filename, id }, [1000, 2000])).code, "busy");
  assertEquals((await ask(control, ending(filename))).code, "busy");
});

Deno.test("pieces of another token's upload are refused", async () => {
  const [own, other] = [await token("write"), await token("write")];
  await using p = await TokenServer.start([own.record, other.record]);
  const filename = "inbox/assembled";
  using control = await p.peer();
  await show(control, own.token);
  const { id } = await ask(control, { ...ASSEMBLE, filename });
  for (const [shown, code] of [[other.token, "busy"], [own.token, undefined]] as const) {
    using peer = await p.peer();
    await show(peer, shown);
    assertEquals((await sendPiece(peer, { filename, id }, [0, 1000])).code, code);
  }
});

Deno.test("pieces that came before a cut are offered, and kept by who sends their like", async () => {
  await using p = await Pair.shared();
  const filename = "resumed";
  const size = FILE.length;
  {
    using control = await p.connect();
    const { id } = await ask(control, { ...ASSEMBLE, filename });
    using peer = await p.connect();
    for (const i of [0, 3, 2]) await sendPiece(peer, { filename, id }, PIECES[i]!);
  }
  await p.uploadsEnded();
  using control = await p.connect();
  const offer = { op: "put", filename, md5: null, size, offer: true };
  const { offset, prefix_md5 } = await ask(control, offer);
  assertEquals([offset, prefix_md5], [2 * MIB, md5(FILE.subarray(0, 2 * MIB))]);
  const { id, pieces } = await ask(control, { ...ASSEMBLE, filename, offset });
  const kept = await Promise.all(
    PIECES.slice(2).map(async ([from, to]) => ({
      ...{ offset: from, size: to - from },
      xxh128: (await xxh128(FILE.subarray(from, to))).slice("xxh128:".length),
    })),
  );
  assertEquals(pieces, kept);
  using peer = await p.connect();
  assertEquals((await sendPiece(peer, { filename, id }, PIECES[1]!)).status, "ok");
  assertEquals((await ask(control, ending(filename))).md5, md5(FILE));
  assertEquals(md5(Deno.readFileSync(`${p.root}/${filename}`)), md5(FILE));
});

Deno.test("who knows nothing of pieces goes on behind the first bytes of an upload in pieces", async () => {
  await using p = await Pair.shared();
  const filename = "appended";
  const size = FILE.length;
  {
    using control = await p.connect();
    const { id } = await ask(control, { ...ASSEMBLE, filename });
    using peer = await p.connect();
    for (const i of [0, 3]) await sendPiece(peer, { filename, id }, PIECES[i]!);
  }
  await p.uploadsEnded();
  using peer = await p.connect();
  const { offset } = await ask(peer, { op: "put", filename, md5: null, size, offer: true });
  assertEquals(offset, 2 * MIB);
  const rest = FILE.subarray(2 * MIB);
  const put = { op: "put", filename, md5: md5(FILE), size, offset, total_size: rest.length };
  await peer.send(put, rest);
  assertEquals((await peer.receive())!.header.md5, md5(FILE));
  assertEquals(md5(Deno.readFileSync(`${p.root}/${filename}`)), md5(FILE));
});

Deno.test("a file that is too small for a partial upload comes as a whole", async () => {
  await using p = await Pair.shared();
  using peer = await p.connect();
  const reply = await ask(peer, { op: "assemble", filename: "small", size: 8 * MIB });
  assertEquals([reply.status, reply.id], ["ok", undefined]);
  const { code } = await ask(peer, { op: "assemble", filename: "small", size: 9 * MIB, offset: 5 });
  assertEquals(code, "busy");
  assert(!("id" in reply));
});
