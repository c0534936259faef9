import { assert, assertEquals, assertMatch } from "@std/assert";
import { md5, MIB, text, utf8 } from "../support/bytes.ts";
import { encodeRanges, encodeRecipe, strongHashes, varint } from "../support/delta_frames.ts";
import { Pair } from "../support/pair.ts";
import { randomBytes } from "../support/random_file.ts";
import type { RawPeer } from "../support/raw_peer.ts";
import { show, token, TokenServer } from "../support/token_server.ts";
import { stagedIn } from "../support/programs.ts";

/** The answer to a request for a signature. */
interface Signature {
  header: Record<string, unknown>;
  records: Uint8Array;
}

/** Reads a streamed body to its closing header. */
async function streamed(peer: RawPeer): Promise<{ bytes: Uint8Array; closing: object }> {
  const pieces: BlobPart[] = [];
  for (;;) {
    const { header, body } = (await peer.receive())!;
    if (header.end) return { bytes: await new Blob(pieces).bytes(), closing: header };
    pieces.push(body as Uint8Array<ArrayBuffer>);
  }
}

/** Asks for a signature, which is granted. */
async function signatureOf(
  peer: RawPeer,
  keys: Record<string, unknown>,
  ranges?: Uint8Array,
): Promise<Signature> {
  await sendSignature(peer, keys, ranges);
  const { header } = (await peer.receive())!;
  assertEquals(header.status, "ok", JSON.stringify(header));
  const { bytes: records, closing } = await streamed(peer);
  const { md5: sum, size } = closing as { md5: string; size: number };
  assertEquals([sum, size], [md5(records), records.length]);
  return { header, records };
}

async function sendSignature(
  peer: RawPeer,
  keys: Record<string, unknown>,
  ranges?: Uint8Array,
): Promise<void> {
  const body = ranges ? { md5: md5(ranges), total_size: ranges.length } : {};
  await peer.send({ op: "signature", ...keys, ...body }, ranges ?? new Uint8Array());
}

/** The version of a file. */
async function versionOf(peer: RawPeer, filename: string): Promise<string> {
  const { header } = await signatureOf(peer, { filename, block: 65536 });
  return String(header.version);
}

/** Sends a recipe and returns the reply. */
async function putFrom(
  peer: RawPeer,
  keys: Record<string, unknown>,
  recipe: Uint8Array,
  content: Uint8Array,
): Promise<Record<string, unknown>> {
  const put = { op: "put", overwrite: "always", md5: null, size: content.length };
  await peer.send({ ...put, total_size: recipe.length, ...keys }, recipe);
  await peer.send({ end: true, md5: md5(content), size: recipe.length });
  return (await peer.receive())!.header;
}

/** Asks for ranges, and returns the header of the reply with its body, and the closing header if there is one. */
async function getRanges(
  peer: RawPeer,
  keys: Record<string, unknown>,
  ranges: Uint8Array,
): Promise<{ header: Record<string, unknown>; body: Uint8Array; sum: unknown }> {
  const body = { md5: md5(ranges), total_size: ranges.length };
  await peer.send({ op: "get", ...keys, ...body }, ranges);
  const message = (await peer.receive())!;
  const isOpen = message.header.status === "ok" && message.header.md5 === null;
  const closing = isOpen ? (await peer.receive())!.header : message.header;
  return { ...message, sum: closing.md5 };
}

const OLD = randomBytes(3 * MIB + 12345, 5);
/** The old one with an insertion at the front, a changed place, and a part of it moved to the end. */
const NEW = new Uint8Array([
  ...utf8.encode("inserted"),
  ...OLD.subarray(0, 2 * MIB),
  ...utf8.encode("changed"),
  ...OLD.subarray(2 * MIB + 7),
  ...OLD.subarray(100, 200),
]);
const RECIPE = encodeRecipe(
  utf8.encode("inserted"),
  { from: 0, size: 2 * MIB },
  utf8.encode("changed"),
  { from: 2 * MIB + 7, size: OLD.length - 2 * MIB - 7 },
  { from: 100, size: 100 },
);

Deno.test("the server announces delta", async () => {
  await using p = await Pair.shared();
  using peer = await p.connect();
  await peer.send({ op: "hello", versions: [1] });
  const { features } = (await peer.receive())!.header as { features: string[] };
  assertEquals(features.includes("delta"), true);
});

Deno.test("a signature has the hashes of all blocks, with a short one at the end", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  using peer = await p.connect();
  const { header, records } = await signatureOf(peer, { filename: "f", block: 4096 });
  const { version, strong, mtime, mode, ...rest } = header;
  const stat = Deno.statSync(`${p.root}/f`);
  assertEquals([mtime, mode], [stat.mtime!.getTime(), stat.mode! & 0o777]);
  assertEquals(rest, {
    status: "ok",
    filename: "f",
    size: OLD.length,
    md5: null,
    total_size: null,
  });
  assertMatch(String(version), /^[\w-]{8,128}$/);
  assertEquals(records, await strongHashes(OLD, 4096, Number(strong)));
  // With weak hashes, each record has four more bytes in front.
  const rolling = await signatureOf(peer, { filename: "f", block: 4096, rolling: true });
  const width = 4 + Number(rolling.header.strong);
  assertEquals(rolling.records.length, Math.ceil(OLD.length / 4096) * width);
});

Deno.test("a signature of ranges has the hashes of their blocks alone", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  using peer = await p.connect();
  const whole = await signatureOf(peer, { filename: "f", block: 1024 });
  const { version } = whole.header;
  const strong = Number(whole.header.strong);
  const count = Math.ceil(OLD.length / 1024);
  const ranges = encodeRanges([2, 3], [100, 1], [count - 2, 2]);
  const some = await signatureOf(peer, { filename: "f", block: 1024, version }, ranges);
  const wanted = [2, 3, 4, 100, count - 2, count - 1];
  const expected = wanted.flatMap((
    at,
  ) => [...whole.records.subarray(at * strong, (at + 1) * strong)]);
  assertEquals([...some.records], expected);
  assertEquals(
    (await signatureOf(peer, { filename: "f", block: 64 }, new Uint8Array())).records.length > 0,
    true,
  );
});

Deno.test("a signature of an empty file is empty", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/empty", "");
  using peer = await p.connect();
  const { header, records } = await signatureOf(peer, { filename: "empty", block: 64 });
  assertEquals([header.size, records.length], [0, 0]);
});

Deno.test("a signature is refused for another version, and for what makes no sense", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  Deno.mkdirSync(`${p.root}/d`);
  using peer = await p.connect();
  const ask = async (keys: Record<string, unknown>, ranges?: Uint8Array) => {
    await sendSignature(peer, { filename: "f", block: 1024, ...keys }, ranges);
    return await peer.code();
  };
  assertEquals(await ask({ version: "another" }), "busy");
  assertEquals(await ask({ version: "x".repeat(129) }), "bad_header");
  assertEquals(await ask({ filename: "nothing" }), "not_found");
  assertEquals(await ask({ filename: "d" }), "not_a_file");
  assertEquals(await ask({ filename: "../f" }), "bad_name");
  for (const block of [0, -64, 63, 65, 96, 2 ** 27, 1.5, "64", null]) {
    assertEquals(await ask({ block }), "bad_header", `block ${block}`);
  }
  const blocks = Math.ceil(OLD.length / 1024);
  const broken = {
    "behind the end": encodeRanges([blocks, 1]),
    "over the end": encodeRanges([0, blocks + 1]),
    "empty": encodeRanges([3, 0]),
    "half a range": new Uint8Array([5]),
    "half an integer": new Uint8Array([5, 0x80]),
    "a large integer": new Uint8Array([0, ...Array(12).fill(0xff)]),
    "sums beyond all numbers": new Uint8Array([...varint(2 ** 53 - 1), ...varint(2 ** 53 - 1)]),
  };
  for (const [flaw, ranges] of Object.entries(broken)) {
    assertEquals(await ask({}, ranges), "bad_header", flaw);
  }
  await peer.send({ op: "signature", filename: "f", block: 64, md5: null, total_size: null });
  await peer.send({ end: true, md5: md5(""), size: 0 });
  assertEquals(await peer.code(), "bad_header");
  const ranges = encodeRanges([0, 1]);
  await peer.send(
    { op: "signature", filename: "f", block: 64, md5: md5("other"), total_size: 2 },
    ranges,
  );
  assertEquals(await peer.code(), "checksum_mismatch");
  assertEquals(await peer.ask({ op: "ping" }), "ok");
});

Deno.test("a body of ranges that is too long is refused before it comes", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  using peer = await p.connect();
  await peer.send({ op: "signature", filename: "f", block: 64, md5: null, total_size: 2 ** 40 });
  assertEquals(await peer.code(), "bad_header");
  assertEquals(await peer.receive(), null);
});

Deno.test("a put from a basis publishes what its recipe describes", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  using peer = await p.connect();
  const basis_version = await versionOf(peer, "f");
  const keys = { filename: "f", basis: "f", basis_version, mtime: 1700000000000, mode: 0o640 };
  const { status, md5: sum, size } = await putFrom(peer, keys, RECIPE, NEW);
  assertEquals([status, sum, size], ["ok", md5(NEW), NEW.length]);
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(NEW));
  const stat = Deno.statSync(`${p.root}/f`);
  assertEquals([stat.mtime!.getTime(), stat.mode! & 0o777], [1700000000000, 0o640]);
  assert(await versionOf(peer, "f") !== basis_version);
  // What was just stored is known without reading it, and the same as what reading gives.
  const { header, records } = await signatureOf(peer, { filename: "f", block: 65536 });
  assertEquals(records, await strongHashes(NEW, 65536, Number(header.strong)));
  assertEquals(stagedIn(p.root), []);
});

Deno.test("a put from a basis may have another name, give its md5 in front, and copy everything", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  using peer = await p.connect();
  const basis_version = await versionOf(peer, "f");
  const recipe = encodeRecipe({ from: 0, size: OLD.length });
  const keys = { filename: "new/g", basis: "f", basis_version, md5: md5(OLD) };
  const put = { op: "put", size: OLD.length, total_size: recipe.length };
  assertEquals(await peer.ask({ ...put, ...keys }, recipe), "ok");
  assertEquals(md5(Deno.readFileSync(`${p.root}/new/g`)), md5(OLD));
  const empty = { op: "put", filename: "none", basis: "f", basis_version, size: 0, total_size: 0 };
  assertEquals(await peer.ask(empty), "ok");
  assertEquals(Deno.statSync(`${p.root}/none`).size, 0);
});

Deno.test("a put from a basis is refused where the basis is another one", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  Deno.mkdirSync(`${p.root}/d`);
  using peer = await p.connect();
  const basis_version = await versionOf(peer, "f");
  p.dir.write("root/f", "something else");
  const keys = { filename: "f", basis: "f", basis_version };
  const code = async (changed: Record<string, unknown>) =>
    (await putFrom(peer, { ...keys, ...changed }, RECIPE, NEW)).code;
  assertEquals(await code({}), "busy");
  assertEquals(await code({ basis: "nothing" }), "not_found");
  assertEquals(await code({ basis: "d" }), "not_a_file");
  assertEquals(await code({ basis: "../f" }), "bad_name");
  assertEquals(await code({ basis: ".ferry/lock" }), "bad_name");
  assertEquals(await code({ basis_version: undefined }), "bad_header");
  assertEquals(await code({ basis: undefined }), "bad_header");
  assertEquals(await code({ size: undefined }), "bad_header");
  assertEquals(await code({ offset: 100, size: 99 }), "bad_header");
  assertEquals(text(Deno.readFileSync(`${p.root}/f`)), "something else");
  assertEquals(stagedIn(p.root), []);
});

Deno.test("a peer that lies in a recipe changes nothing", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  using peer = await p.connect();
  const basis_version = await versionOf(peer, "f");
  const keys = { filename: "f", basis: "f", basis_version };
  const content = OLD.subarray(0, 1000);
  const lies: Record<string, [Uint8Array, string]> = {
    "wrong matches": [encodeRecipe({ from: 1, size: 1000 }), "checksum_mismatch"],
    "a wrong literal": [encodeRecipe(new Uint8Array(1000)), "checksum_mismatch"],
    "a copy over the end of the basis": [
      encodeRecipe({ from: OLD.length - 999, size: 1000 }),
      "bad_header",
    ],
    "a copy from before the basis": [
      new Uint8Array([0, ...varint(1000), ...varint(1)]),
      "bad_header",
    ],
    "a copy from far away": [
      new Uint8Array([0, ...varint(1000), ...varint(2 ** 53 - 1)]),
      "bad_header",
    ],
    "a copy that is too long": [encodeRecipe({ from: 0, size: 1001 }), "bad_header"],
    "a literal that is too long": [encodeRecipe(OLD.subarray(0, 1001)), "bad_header"],
    "nothing at all": [new Uint8Array([0, 0, 0, 0]), "bad_header"],
    "an end before the end": [encodeRecipe({ from: 0, size: 999 }), "bad_header"],
    "a literal that is cut": [encodeRecipe(content).subarray(0, 500), "bad_header"],
    "more behind the end": [
      new Uint8Array([...encodeRecipe({ from: 0, size: 1000 }), 0]),
      "bad_header",
    ],
    "an endless integer": [new Uint8Array(100).fill(0xff), "bad_header"],
  };
  for (const [lie, [recipe, code]] of Object.entries(lies)) {
    assertEquals((await putFrom(peer, keys, recipe, content)).code, code, lie);
  }
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(OLD));
  assertEquals(stagedIn(p.root), []);
});

Deno.test("a cut put from a basis goes on where it was cut", async () => {
  await using p = await Pair.shared();
  const old = randomBytes(20 * MIB, 8);
  const inserted = randomBytes(9 * MIB, 9);
  const content = await new Blob([old.subarray(0, 10 * MIB), inserted]).bytes();
  p.dir.write("root/f", old);
  let version: string;
  {
    using peer = await p.connect();
    version = await versionOf(peer, "f");
    const recipe = encodeRecipe({ from: 0, size: 10 * MIB }, inserted);
    const keys = { basis: "f", basis_version: version, size: content.length };
    const put = { op: "put", filename: "f", overwrite: "always", md5: null };
    await peer.send({ ...put, total_size: recipe.length, ...keys });
    await peer.send(recipe.subarray(0, 3 * MIB));
    await peer.end();
    assertEquals(await peer.code(), "closed");
  }
  using peer = await p.connect();
  const offer = { op: "put", filename: "f", overwrite: "always", md5: null, offer: true };
  await peer.send({ ...offer, size: content.length });
  const { header } = (await peer.receive())!;
  const offset = Number(header.offset);
  assertEquals([header.decision, header.replaces, offset >= 12 * MIB], ["send", true, true]);
  assertEquals(header.prefix_md5, md5(content.subarray(0, offset)));
  const recipe = encodeRecipe(content.subarray(offset));
  const keys = { filename: "f", basis: "f", basis_version: version, offset };
  assertEquals((await putFrom(peer, keys, recipe, content)).status, "ok");
  assertEquals(md5(Deno.readFileSync(`${p.root}/f`)), md5(content));
  assertEquals(stagedIn(p.root), []);
});

Deno.test("a token gets no signature of what it may not read, and builds upon nothing else", async () => {
  const may = await token("read,write", "inbox");
  const mayOnlyWrite = await token("write:inbox");
  await using server = await TokenServer.start([may.record, mayOnlyWrite.record]);
  Deno.symlinkSync("../secret", `${server.path}/inbox/link`);
  const block = 64;
  using peer = await server.peer();
  await show(peer, may.token);
  const basis_version = await versionOf(peer, "inbox/mine");
  for (const filename of ["secret", "other/secret", "inbox/link"]) {
    assertEquals(await peer.ask({ op: "signature", filename, block }), "denied", filename);
    const keys = { filename: "inbox/new", basis: filename, basis_version };
    assertEquals((await putFrom(peer, keys, RECIPE, NEW)).code, "denied", filename);
  }
  const mine = utf8.encode("inbox/mine");
  const recipe = encodeRecipe({ from: 0, size: mine.length });
  const keys = { filename: "inbox/new", basis: "inbox/mine", basis_version };
  assertEquals((await putFrom(peer, keys, recipe, mine)).status, "ok");
  assertEquals(server.read("inbox/new"), "inbox/mine");
  using other = await server.peer();
  await show(other, mayOnlyWrite.token);
  assertEquals(await other.ask({ op: "signature", filename: "inbox/mine", block }), "denied");
  assertEquals((await putFrom(other, keys, recipe, mine)).code, "denied");
});

Deno.test("an offer tells whether a file would be replaced", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", "old");
  using peer = await p.connect();
  const offer = { op: "put", overwrite: "always", md5: md5("new"), offer: true, size: 3 };
  await peer.send({ ...offer, filename: "f" });
  assertEquals((await peer.receive())!.header.replaces, true);
  await peer.send({ ...offer, filename: "g" });
  assertEquals((await peer.receive())!.header.replaces, undefined);
});

Deno.test("a get of ranges has their bytes, and the md5 of the whole file", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  using peer = await p.connect();
  const version = await versionOf(peer, "f");
  const ranges = encodeRanges([0, 10], [11, 5], [MIB, 2 * MIB], [OLD.length - 1, 1]);
  const expected = md5(
    new Uint8Array([
      ...OLD.subarray(0, 10),
      ...OLD.subarray(11, 16),
      ...OLD.subarray(MIB, 3 * MIB),
      OLD.at(-1)!,
    ]),
  );
  // The second time, its md5 may be known already.
  for (let time = 0; time < 2; time++) {
    const { header, body, sum } = await getRanges(peer, { filename: "f", version }, ranges);
    assertEquals([header.size, header.ranges, header.total_size], [OLD.length, true, 2 * MIB + 16]);
    assertEquals([md5(body), sum], [expected, md5(OLD)]);
    if (time === 0) assertEquals(await peer.ask({ op: "stat", filename: "f" }), "ok");
  }
  const none = await getRanges(peer, { filename: "f", version }, new Uint8Array());
  assertEquals([none.header.total_size, none.header.md5], [0, md5(OLD)]);
});

Deno.test("a get of ranges is refused for another version, and for ranges that make no sense", async () => {
  await using p = await Pair.shared();
  p.dir.write("root/f", OLD);
  using peer = await p.connect();
  const version = await versionOf(peer, "f");
  const code = async (keys: Record<string, unknown>, ranges = encodeRanges([0, 1])) =>
    (await getRanges(peer, { filename: "f", version, ...keys }, ranges)).header.code;
  assertEquals(await code({ version: "another" }), "busy");
  assertEquals(await code({ offset: 5 }), "bad_header");
  assertEquals(await code({}, encodeRanges([OLD.length, 1])), "bad_header");
  assertEquals(await code({}, encodeRanges([0, OLD.length + 1])), "bad_header");
  assertEquals(await code({}, encodeRanges([7, 0])), "bad_header");
  p.dir.write("root/f", OLD.subarray(1));
  assertEquals(await code({}), "busy");
  Deno.removeSync(`${p.root}/f`);
  assertEquals(await code({}), "not_found");
});
