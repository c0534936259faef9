import { RUNTIME } from "../support/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import { check, type Schema } from "../../lib/wire/schema.ts";
import { decodeHex, encodeHex } from "@std/encoding/hex";
import { isErrorCode } from "../../lib/core/errors.ts";
import { Places } from "../../lib/core/places.ts";
import { OPERATIONS, parseReply, parseRequest } from "../../lib/wire/operations/operations.ts";
import { decodeListLine } from "../../lib/wire/list_lines.ts";
import { decodeShareLine } from "../../lib/wire/share_keys.ts";
import { isClosing, parseClosing } from "../../lib/wire/closing_header.ts";
import { decodeHeader, encodeHeader } from "../../lib/wire/codec.ts";
import { encodePieceHeader, PIECE_HEADER_BYTES } from "../../lib/wire/piece_header.ts";
import { isSignOfLife } from "../../lib/wire/keep_alive.ts";
import { md5Of } from "../support/digests.ts";
import { decodeManifestLine, decodeManifestReply } from "../../lib/wire/manifest.ts";
import type { ByteStream } from "../../lib/wire/byte_stream.ts";
import { FsStorage, type Storage } from "../../mod.ts";
import { createVerifier } from "../../lib/security/scram.ts";
import { parseGrants } from "../../server/auth/grants.ts";
import { Authority } from "../../server/auth/authority.ts";
import { Session } from "../../server/protocols/ferry/session.ts";
import { tokenTable } from "../../server/auth/token_table.ts";
import { EmptyServer, readRaw } from "../support/empty_server.ts";
import { Ferryd, TempDir } from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { RFC7677 } from "../support/scram_vector.ts";
import { EXCHANGE, firstHeader, message } from "../support/vectors.ts";
import { runPython, runPythonFile } from "../support/python.ts";
import { blocksIn, PROTOCOL, section } from "./documents.ts";
import { md5 } from "../support/bytes.ts";
import { Receipts } from "../../server/receipts.ts";
import { AssembledUploads } from "../../server/files/assembled_upload.ts";
import { UploadLocks } from "../../server/files/upload_locks.ts";
import { Traffic } from "../../server/observe/traffic.ts";

const EXTENSIONS = "docs/protocol/extensions";
const ascii = new TextDecoder("latin1");

/** The bytes of a dump, and the dump that these bytes should have. */
function readDump(lines: string[]): { bytes: Uint8Array; dump: string[] } {
  const digits = lines.map((line) => line.slice(10, 58).replaceAll(" ", "")).join("");
  const bytes = decodeHex(digits);
  return { bytes, dump: dumpOf(bytes) };
}

function dumpOf(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let start = 0; start < bytes.length; start += 16) {
    const row = bytes.subarray(start, start + 16);
    const half = (from: number) =>
      [...row.subarray(from, from + 8)].map((byte) => byte.toString(16).padStart(2, "0"))
        .join(" ").padEnd(23);
    const shown = ascii.decode(row).replace(/[^ -~]/g, ".");
    lines.push(`${start.toString(16).padStart(8, "0")}  ${half(0)}  ${half(8)}  |${shown}|`);
  }
  return lines;
}

/** The documented values of `agent` and `session` in place of the server's own. */
function maskAgent(bytes: Uint8Array, documented: Uint8Array): Uint8Array {
  const agent = /"agent":"[^"]*","session":"[^"]*"/;
  const header = new TextDecoder().decode(firstHeader(bytes));
  const [masked] = agent.exec(new TextDecoder().decode(firstHeader(documented))) ?? [];
  return masked === undefined ? bytes : message(header.replace(agent, masked));
}

/** The bytes of the dumps of PROTOCOL.md, and who sends them. */
function dumps(): { from: string; lines: string[]; bytes: Uint8Array }[] {
  return blocksIn(["PROTOCOL.md"], "hex")
    .map(({ info: from, lines }) => ({ from, lines, bytes: readDump(lines).bytes }));
}

/** Sends what a client is shown to send, and compares what the server answers. */
async function assertTakesPlace(
  peer: RawPeer,
  messages: readonly { from: string; bytes: Uint8Array }[],
): Promise<void> {
  for (const { from, bytes } of messages) {
    if (from === "client") {
      await peer.send(bytes);
      continue;
    }
    assertEquals(from, "server");
    const reply = await readRaw(peer);
    assert(reply, "the server ended the connection");
    assertEquals(dumpOf(maskAgent(reply, bytes)), dumpOf(bytes));
  }
}

Deno.test("PROTOCOL.md shows dumps whose columns agree", () => {
  assertEquals(dumps().map(({ from }) => from), ["client", "server", "client", "server"]);
  for (const { lines } of dumps()) assertEquals(lines, readDump(lines).dump);
});

Deno.test("PROTOCOL.md shows a put and a get that take place byte by byte", async () => {
  await using server = new EmptyServer();
  using peer = await server.connect();
  await assertTakesPlace(peer, dumps());
});

Deno.test("fixtures/frames/exchange.json takes place byte by byte", async () => {
  await using server = new EmptyServer();
  using peer = await server.connect();
  assert(EXCHANGE.length >= 12, `only ${EXCHANGE.length} messages were found`);
  const messages = EXCHANGE.map(({ from, hex }) => ({ from, bytes: decodeHex(hex) }));
  await assertTakesPlace(peer, messages);
  assertEquals(await readRaw(peer), null, "the last message ends the connection");
  // The document shows some of these bytes.
  const all = messages.map(({ bytes }) => encodeHex(bytes));
  for (const { bytes } of dumps()) assert(all.includes(encodeHex(bytes)));
});

Deno.test("PROTOCOL.md shows a client in Python that transfers files", async () => {
  const [shown, ...more] = blocksIn(["PROTOCOL.md"], "python");
  assert(shown && more.length === 0 && shown.lines.length <= 52);
  await using dir = new TempDir();
  dir.write("client.py", shown.lines.join("\n"));
  Deno.mkdirSync(dir.join("root"));
  await using server = await Ferryd.start(dir.join("root"));
  const run = (...args: string[]) => runPythonFile(dir.join("client.py"), args);
  for (const size of [0, 1, 3_000_001]) {
    const content = Uint8Array.from({ length: size }, (_, at) => at * 7 % 251);
    Deno.writeFileSync(dir.join("sent"), content);
    for (const [command, from, to] of [["put", "sent", "a/file"], ["get", "a/file", "got"]]) {
      const place = command === "put"
        ? [dir.join(from!), `${to}-${size}`]
        : [`${from}-${size}`, dir.join(to!)];
      assertEquals(await run(command!, server.address, ...place), {
        code: 0,
        stdout: "",
        stderr: "",
      });
    }
    const stored = Deno.readFileSync(dir.join(`root/a/file-${size}`));
    assertEquals([stored, Deno.readFileSync(dir.join("got"))].map(md5), [
      md5(content),
      md5(content),
    ]);
  }
  const { code, stderr } = await run("get", server.address, "nothing", dir.join("nothing"));
  assertEquals([code, stderr.slice(0, 11)], [1, "not_found: "]);
});

Deno.test("the documents of the protocol show headers that the code understands", () => {
  let expected: Schema<unknown> = OPERATIONS.hello.reply;
  const due: Schema<unknown>[] = [];
  let shown = 0;
  for (const { lines } of blocksIn(PROTOCOL, "wire")) {
    for (const line of lines) {
      const [arrow, json] = [line.slice(0, 2), line.slice(2)];
      const header = decodeHeader(new TextEncoder().encode(json));
      shown++;
      if (isSignOfLife(header)) continue;
      if (arrow === "> " && isClosing(header)) {
        if (header.status === undefined) parseClosing(header);
        else assert(isErrorCode(header.code), line);
      } else if (arrow === "> ") {
        const request = parseRequest(header);
        due.push(
          request.op === "put" && request.offer
            ? OPERATIONS.put.offer
            : OPERATIONS[request.op].reply,
        );
      } else {
        assertEquals(arrow, "< ", line);
        if (isClosing(header) && expected !== OPERATIONS.exec.reply) parseClosing(header);
        else if (isClosing(header)) check(OPERATIONS.exec.closing, header);
        else if (header.status === undefined && expected === OPERATIONS.signature.reply) {
          assert(header.total_size! > 0n, line);
        } else if (header.stream !== undefined) check(OPERATIONS.exec.chunk, header);
        else {
          expected = due.shift() ?? expected;
          if (header.status === "error") assert(isErrorCode(header.code), line);
          else parseReply(expected, header);
        }
      }
    }
  }
  assert(shown > 20, `only ${shown} headers were found`);
  for (const { info, lines } of blocksIn(PROTOCOL, "text")) {
    for (const line of lines) {
      if (info === "file") decodeManifestLine(line);
      else if (info === "answer") decodeManifestReply(line);
      else if (info === "link") decodeShareLine(line);
      else decodeListLine(info === "part" ? "part" : info === "omitted" ? "listed" : "entry", line);
    }
  }
});

Deno.test("zstd.md shows a piece as it is sent", () => {
  const { lines } = blocksIn([`${EXTENSIONS}/zstd.md`], "hex")[0]!;
  const request = message('{"op":"ping"}');
  const piece = new Uint8Array(PIECE_HEADER_BYTES + request.length);
  encodePieceHeader({ kind: "raw", content: request.length, size: request.length }, piece);
  piece.set(request, PIECE_HEADER_BYTES);
  assertEquals(lines.join(" ").replaceAll(" ", ""), encodeHex(piece));
});

Deno.test("resume.md shows a resumed transfer that takes place as it says", async () => {
  const RESUME = `${EXTENSIONS}/resume.md`;
  const text = section(RESUME, "## Example");
  // What seq prints is shown by its size and its md5.
  const file = sequence(1179648);
  assert(text.includes(`${file.length} bytes`) && text.includes(md5Of(file)));
  await using server = new EmptyServer();
  const shown = blocksIn([RESUME], "wire").filter(({ info }) =>
    info === "first" || info === "second"
  );
  assertEquals(shown.length, 2);
  for (const { info, lines } of shown) {
    using peer = await server.connect();
    for (const line of lines) {
      const json = line.slice(2);
      const keys = JSON.parse(json);
      const { offset = 0, total_size = 0 } = keys;
      const isFile = keys.op === "put" || keys.size === file.length;
      const body = isFile ? file.subarray(offset, offset + total_size) : new Uint8Array();
      if (line.startsWith("> ")) {
        const cut = info === "first" ? body.subarray(0, 5242880) : body;
        await peer.send(message(json, cut));
        if (info === "first") await peer.end();
        continue;
      }
      const reply = (await readRaw(peer))!;
      assertEquals(new TextDecoder().decode(firstHeader(reply)), json);
      assertEquals(md5Of(reply.subarray(4 + firstHeader(reply).length)), md5Of(body));
    }
  }
});

/** What `seq -f %07.0f 0 LAST` prints, with so many lines. */
function sequence(length: number): Uint8Array {
  const lines = Array.from({ length }, (_, i) => `${String(i).padStart(7, "0")}\n`);
  return new TextEncoder().encode(lines.join(""));
}

const NUMBERS = sequence(32);

Deno.test("delta.md shows a signature, a put and a get that take place as it says", async () => {
  const DELTA = `${EXTENSIONS}/delta.md`;
  const [records, recipe] = blocksIn([DELTA], "hex")
    .map(({ lines }) => decodeHex(lines.join("").replaceAll(" ", "")));
  const line = new TextEncoder().encode("new line\n");
  const ranges = new Uint8Array([0, 9]);
  await assertShownWithVersions(DELTA, { 256: NUMBERS, 13: recipe!, 2: ranges }, (body) => {
    if (body.length === 16) assertEquals(body, records);
    if (body.length === 9) assertEquals(body, line);
  });
});

Deno.test("streams.md shows a download of a piece that takes place as it says", async () => {
  const half = NUMBERS.subarray(128);
  await assertShownWithVersions(`${EXTENSIONS}/streams.md`, { 256: NUMBERS }, (body) => {
    if (body.length > 0) assertEquals(body, half);
  });
});

Deno.test("streams.md shows an upload in pieces that takes place as it says", async () => {
  const file = sequence(1179648);
  await using server = new EmptyServer();
  await using stack = new AsyncDisposableStack();
  const peers = new Map<string, RawPeer>();
  let shownId = "";
  let id = "";
  const shown = blocksIn([`${EXTENSIONS}/streams.md`], "wire").filter(({ info }) => info !== "");
  assertEquals(shown.map(({ info }) => info), ["first", "second", "first"]);
  for (const { info, lines } of shown) {
    const peer = peers.get(info) ?? stack.use(await server.connect());
    peers.set(info, peer);
    for (const line of lines) {
      const json = line.slice(2);
      const { offset = 0, total_size = 0, id: said = "" } = JSON.parse(json);
      if (line.startsWith("> ")) {
        const body = file.subarray(offset, offset + total_size);
        await peer.send(message(id === "" ? json : json.replace(shownId, id), body));
        continue;
      }
      const header = new TextDecoder().decode(firstHeader((await readRaw(peer))!));
      if (id === "" && said !== "") [shownId, id] = [said, JSON.parse(header).id];
      assertEquals(header, id === "" ? json : json.replace(shownId, id));
    }
  }
});

/**
 * Sends what a client is shown to send, with the server's own versions of files in place of those that are shown, and
 * compares what the server answers.
 *
 * @param bodies the bodies of requests, by their sizes
 */
async function assertShownWithVersions(
  path: string,
  bodies: Readonly<Record<number, Uint8Array>>,
  assertBody: (body: Uint8Array) => void,
): Promise<void> {
  await using server = new EmptyServer();
  using peer = await server.connect();
  const [shown, ...more] = blocksIn([path], "wire").filter(({ info }) => info === "");
  assert(shown && more.length === 0);
  /** The versions in place of those that are shown. */
  const versions = new Map<string, string>();
  for (const each of shown.lines) {
    const json = each.slice(2).replace(
      /(version":)"([^"]*)"/,
      (all, key, version) => versions.has(version) ? `${key}"${versions.get(version)}"` : all,
    );
    if (each.startsWith("> ")) {
      const { total_size = 0 } = JSON.parse(json);
      await peer.send(message(json, bodies[total_size]));
      continue;
    }
    const reply = (await readRaw(peer))!;
    const header = new TextDecoder().decode(firstHeader(reply));
    const [version, known] = [header, json].map((text) => /"version":"([^"]*)"/.exec(text)?.[1]);
    if (known !== undefined) versions.set(known, version!);
    assertEquals(header.replace(version ?? "", ""), json.replace(known ?? "", ""));
    assertBody(reply.subarray(4 + firstHeader(reply).length));
  }
}

Deno.test("exec.md shows commands that run as it says", async () => {
  await using server = new EmptyServer({ allow: ["echo"] });
  using peer = await server.connect();
  const [shown, ...more] = blocksIn([`${EXTENSIONS}/exec.md`], "wire");
  assert(shown && more.length === 0);
  for (const line of shown.lines) {
    const json = line.slice(2);
    if (line.startsWith("> ")) {
      await peer.send(message(json));
      continue;
    }
    const reply = (await readRaw(peer))!;
    assertEquals(new TextDecoder().decode(firstHeader(reply)), json);
    const body = reply.subarray(4 + firstHeader(reply).length);
    assertEquals(ascii.decode(body), json.includes('"stream"') ? "hello\n" : "");
  }
});

Deno.test("header-crc32.md, keep-alive.md and links.md show messages that are sent as they say", async (t) => {
  for (const what of ["header-crc32", "keep-alive", "links"]) {
    await t.step(what, () => assertShown(what));
  }
});

/** Sends what a client is shown to send, and looks whether a server answers as shown. */
async function assertShown(what: string): Promise<void> {
  await using server = new EmptyServer(undefined, { links: what === "links" });
  using peer = await server.connect();
  const [shown, ...more] = blocksIn([`${EXTENSIONS}/${what}.md`], "wire");
  assert(shown && more.length === 0);
  // The values of agent and session are the server's own, and with them the checksum of that header.
  const agent = /"agent":"[^"]*","session":"[^"]*"(,"crc32":"[^"]*")?/;
  for (const line of shown.lines) {
    const json = line.slice(2);
    if (line.startsWith("> ")) {
      await peer.send(message(json));
      continue;
    }
    const reply = new TextDecoder().decode(firstHeader((await readRaw(peer))!));
    assertEquals(reply.replace(agent, ""), json.replace(agent, ""));
  }
}

Deno.test("header-crc32.md shows functions in Python that make and check checksums of headers", async () => {
  const [shown, ...more] = blocksIn([`${EXTENSIONS}/header-crc32.md`], "python");
  assert(shown && more.length === 0);
  const script = [
    "import json, struct, sys, zlib",
    ...shown.lines,
    "for line in sys.stdin:",
    "  header, *messages = json.loads(line)",
    "  print(with_checksum(header).hex(), *[is_intact(bytes.fromhex(hex)) for hex in messages])",
  ].join("\n");
  const headers = [{}, { op: "ping" }, { op: "get", filename: "é" }];
  const input = headers.map((header) => {
    const ours = message(new TextDecoder().decode(encodeHeader(header, { checksum: true })));
    const damaged = ours.slice();
    damaged[0]! ^= 1;
    return JSON.stringify([header, encodeHex(ours), encodeHex(damaged)]);
  });
  const { code, stdout, stderr } = await runPython(script, input.join("\n"));
  assertEquals(code, 0, stderr);
  for (const [turn, line] of stdout.trim().split("\n").entries()) {
    const [theirs, ...intact] = line.split(" ");
    const header = decodeHeader(firstHeader(decodeHex(theirs!)), { checksum: true });
    const { total_size: _, algorithm: __, checksum: ___, crc32: ____, ...keys } = header;
    assertEquals([keys, ...intact], [headers[turn], "True", "False"]);
  }
});

/** A server that knows the user of RFC 7677, and has the server's half of its nonce. */
async function rfcSession(stream: ByteStream, storage: Storage): Promise<Session> {
  const { username: id, secret, salt, iterations, serverNonce } = RFC7677;
  const verifier = await createVerifier(secret, { salt, iterations });
  const grants = parseGrants(["read,write"], ["inbox/"]);
  const record = { id, name: id, created: 0, expires: null, grants, verifier };
  const tokens = tokenTable([record]);
  const authority = new Authority({ anonymous: {}, tokens, nonce: () => serverNonce });
  const limits = { handshakeTimeout: 10_000, idleTimeout: 10_000, minRate: 0 };
  const peer = { hostname: "127.0.0.1", port: 1 };
  const from = { listener: "tcp", peer, source: "source" } as const;
  return new Session(stream, {
    compressed: new Places(1),
    runtime: RUNTIME,
    storage,
    locks: new UploadLocks(),
    assembled: new AssembledUploads(),
    receipt: (stored) => new Receipts(storage, RUNTIME.clock, undefined).for(stored, "ferry"),
    authority,
    traffic: new Traffic([], RUNTIME.clock),
    ...limits,
    ...from,
  });
}

Deno.test("tokens.md shows the exchange of RFC 7677 as it takes place", async () => {
  const [shown] = blocksIn([`${EXTENSIONS}/tokens.md`], "wire");
  assert(shown);
  const { clientFirst, serverFirst, clientFinal, serverFinal } = RFC7677;
  const messages = shown.lines.slice(0, 4).map((line) => JSON.parse(line.slice(2)).scram);
  assertEquals(messages, [clientFirst, serverFirst, clientFinal, serverFinal]);
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using peer = await RawPeer.connect(listener.addr.port);
  const running = (await rfcSession(await listener.accept(), storage)).run();
  for (const line of shown.lines) {
    if (line.startsWith("> ")) {
      await peer.send(message(line.slice(2)));
      continue;
    }
    const reply = maskAgent((await readRaw(peer))!, message(line.slice(2)));
    assertEquals(new TextDecoder().decode(firstHeader(reply)), line.slice(2));
  }
  await peer.end();
  await running;
});
