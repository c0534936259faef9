import { assert, assertEquals } from "@std/assert";
import { decodeHex, encodeHex } from "@std/encoding/hex";
import { FerryError, isErrorCode } from "../../lib/core/errors.ts";
import { MAX_NAME_BYTES, MAX_PART_BYTES, RESERVED_DIRECTORY } from "../../lib/core/remote_name.ts";
import {
  decodeHeader,
  decodeLine,
  encodeHeader,
  isClosing,
  MAX_HEADER_BYTES,
  MAX_WIRE_SIZE,
  MIN_HEADER_BYTES,
  parseClosing,
  parseExecEnd,
  parseOutputStream,
  parseReply,
  parseRequest,
  PROTOCOL_VERSION,
  type Replies,
  type Request,
} from "../../lib/wire/header.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { isSignOfLife } from "../../lib/wire/keep_alive.ts";
import { ALL_BUFFERS, SMALL_BUFFER } from "../../lib/core/buffer_pool.ts";
import { md5Of } from "../../lib/digest/digest.ts";
import {
  decodeManifestLine,
  decodeManifestReply,
  MAX_LINE_BYTES,
} from "../../lib/wire/manifest.ts";
import { MAX_DATAGRAM_BYTES } from "../../lib/udp/datagram.ts";
import { OVERWRITE_POLICIES } from "../../lib/core/overwrite.ts";
import { CHECKPOINT_BYTES, RESUMABLE_BYTES } from "../../lib/files/partial_file.ts";
import { type ByteStream, MAX_DRAIN_BYTES, MAX_UNREAD_INPUT_BYTES } from "../../lib/wire/wire.ts";
import { type ExecPolicy, FsStorage, serve, type Server, type Storage } from "../../mod.ts";
import { createVerifier, MAX_SCRAM_LENGTH, SCRAM_ITERATIONS } from "../../lib/security/scram.ts";
import {
  assertAllowed,
  grantEverywhere,
  parseGrants,
  SCOPES,
} from "../../server/auth/authorization.ts";
import { Authority } from "../../server/auth/authentication.ts";
import { Session } from "../../server/protocols/ferry/session.ts";
import { tokenTable } from "../../server/auth/token_file.ts";
import { FERRYD } from "../../server/cli/options.ts";
import { COMMON } from "../../client/cli/options.ts";
import { PROJECT, TempDir } from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { RFC7677 } from "../support/scram_vector.ts";
import { BAD, bytesOf, firstHeader, message } from "../support/vectors.ts";
import { CONVERSATIONS } from "../fuzz/conversations.ts";
import { runPython } from "../support/python.ts";

const PAGE = Deno.readTextFileSync(`${PROJECT}PROTOCOL.md`);
const ascii = new TextDecoder("latin1");

/** What kind of reply each operation has. */
const REPLIES: { readonly [Op in Request["op"]]: keyof Replies } = {
  hello: "hello",
  auth: "auth",
  ping: "done",
  put: "put",
  get: "get",
  list: "done",
  stat: "entry",
  mkdir: "done",
  remove: "done",
  discard: "done",
  move: "done",
  compare: "done",
  exec: "exec",
};

/** A server in this process over an empty root. */
class Fixture implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #storage = FsStorage.open(this.#dir.path, { durability: "none" });
  readonly #server: Promise<Server>;

  constructor(exec?: Omit<ExecPolicy, "cwd">) {
    this.#server = serve({
      storage: this.#storage,
      listen: "127.0.0.1:0",
      exec: exec && { cwd: this.#dir.path, ...exec },
    });
  }

  async connect(): Promise<RawPeer> {
    const { addresses } = await this.#server;
    return await RawPeer.connect(addresses[0]!.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#server).close();
    await this.#storage[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** The fenced blocks of the page whose info string begins like this, with the rest of it. */
function blocks(kind: string): { info: string; lines: string[] }[] {
  const found = PAGE.matchAll(/^```(\S+) ?(.*)\n([^]*?)^```$/gm);
  return [...found].filter(([, first]) => first === kind)
    .map(([, , info, text]) => ({ info: info!, lines: text!.trimEnd().split("\n") }));
}

/** What stands under a heading of the page, down to the next one of the same or a higher level. */
function section(heading: string): string {
  const start = PAGE.indexOf(`\n${heading}\n`);
  assert(start >= 0, `the page has no "${heading}"`);
  const level = heading.indexOf(" ");
  const rest = PAGE.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${level}} `, "m"));
  return end < 0 ? rest : rest.slice(0, end);
}

/** The rows of the first table in a text, without its head, code marks removed. */
function rows(text: string): string[][] {
  const lines = text.split("\n");
  const head = lines.findIndex((line) => /^\| -+/.test(line));
  assert(head > 0, "there is no table");
  const table: string[][] = [];
  for (const line of lines.slice(head + 1)) {
    if (!line.startsWith("|")) break;
    table.push(line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", "")));
  }
  return table;
}

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

/** The documented value of `agent` in place of the server's own. */
function maskAgent(bytes: Uint8Array, documented: Uint8Array): Uint8Array {
  const agent = /"agent":"[^"]*"/;
  const header = new TextDecoder().decode(firstHeader(bytes));
  const [masked] = agent.exec(new TextDecoder().decode(firstHeader(documented))) ?? [];
  return masked === undefined ? bytes : message(header.replace(agent, masked));
}

/** Reads one message with its body, as the bytes that came; null at the end of the connection. */
async function readRaw(peer: RawPeer): Promise<Uint8Array | null> {
  const length = await peer.read(4);
  if (!length) return null;
  const json = (await peer.read(new DataView(length.buffer).getInt32(0, true)))!;
  const size = Number(decodeHeader(json).total_size ?? 0n);
  return message(new TextDecoder().decode(json), (await peer.read(size))!);
}

Deno.test("PROTOCOL.md shows dumps whose columns agree", () => {
  const dumps = blocks("hex");
  assert(dumps.length >= 12, `only ${dumps.length} dumps were found`);
  for (const { lines } of dumps) assertEquals(lines, readDump(lines).dump);
});

Deno.test("PROTOCOL.md shows an exchange that takes place byte by byte", async () => {
  await using server = new Fixture();
  using peer = await server.connect();
  const kinds = new Set<string>();
  for (const { info, lines } of blocks("hex")) {
    kinds.add(info);
    const { bytes } = readDump(lines);
    if (info === "client") {
      await peer.send(bytes);
      continue;
    }
    const reply = await readRaw(peer);
    assert(reply, "the server ended the connection");
    assertEquals(dumpOf(maskAgent(reply, bytes)), lines);
  }
  assertEquals(kinds, new Set(["client", "server"]));
  assertEquals(await readRaw(peer), null, "the page says that the connection ends");
});

Deno.test("PROTOCOL.md shows headers that the code understands", () => {
  let expected: keyof Replies = "done";
  let shown = 0;
  for (const { lines } of blocks("wire")) {
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
        expected = request.op === "put" && request.offer ? "offer" : REPLIES[request.op];
      } else {
        assertEquals(arrow, "< ", line);
        if (isClosing(header)) expected === "get" ? parseClosing(header) : parseExecEnd(header);
        else if (header.stream !== undefined) parseOutputStream(header);
        else if (header.status === "error") assert(isErrorCode(header.code), line);
        else parseReply(expected, header);
      }
    }
  }
  assert(shown > 20, `only ${shown} headers were found`);
  for (const { info, lines } of blocks("text")) {
    for (const line of lines) {
      if (info === "file") decodeManifestLine(line);
      else if (info === "answer") decodeManifestReply(line);
      else decodeLine(info === "part" ? "part" : info === "omitted" ? "listed" : "entry", line);
    }
  }
});

Deno.test("PROTOCOL.md shows a resumed transfer that takes place as it says", async () => {
  const text = section("### 14.1 A resumed transfer");
  // What seq prints is shown by its size and its md5.
  const lines = Array.from({ length: 1179648 }, (_, i) => String(i).padStart(7, "0"));
  const file = new TextEncoder().encode(lines.join("\n") + "\n");
  assert(text.includes(`${file.length} bytes`) && text.includes(md5Of(file)));
  await using server = new Fixture();
  const shown = blocks("wire").filter(({ info }) => info === "first" || info === "second");
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

Deno.test("PROTOCOL.md shows commands that run as it says", async () => {
  await using server = new Fixture({ allow: ["echo"] });
  using peer = await server.connect();
  const [shown, ...more] = blocks("wire").filter(({ info }) => info === "exec");
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

Deno.test("PROTOCOL.md shows checksums of headers and signs of life that are said as it says", async (t) => {
  for (const what of ["checksums", "keep-alive"]) await t.step(what, () => assertSaid(what));
});

/** Says what a client is shown to say, and looks whether a server answers as it is shown to. */
async function assertSaid(what: string): Promise<void> {
  await using server = new Fixture();
  using peer = await server.connect();
  const [shown, ...more] = blocks("wire").filter(({ info }) => info === what);
  assert(shown && more.length === 0);
  // The value of agent is the server's own, and with it the checksum of that header.
  const agent = /"agent":"[^"]*"(,"crc32":"[^"]*")?/;
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

Deno.test("PROTOCOL.md shows functions in Python that make and check checksums of headers", async () => {
  const [shown, ...more] = blocks("python");
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
  return new Session(stream, { storage, authority, ...limits, peer: "peer", source: "source" });
}

Deno.test("PROTOCOL.md shows the exchange of RFC 7677 as it takes place", async () => {
  const [shown] = blocks("wire").filter(({ info }) => info === "auth");
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

Deno.test("PROTOCOL.md names the limits on proofs that the code has", () => {
  const text = section("## 20. Tokens");
  assert(text.includes(`ask for ${SCRAM_ITERATIONS} iterations`));
  assert(text.includes(`longer than ${MAX_SCRAM_LENGTH} characters`));
  const source = Deno.readTextFileSync(`${PROJECT}server/auth/login_throttle.ts`);
  const [, first, longest] = /PAUSE = \{ first: (\d+), longest: ([\d_]+) \}/.exec(source)!;
  assert(text.includes(`${first} ms`));
  assert(text.includes(`${Number(longest!.replace("_", "")) / 1000} s at most`));
});

Deno.test("PROTOCOL.md lists every error code with its exit status", () => {
  // The source is where the codes stand as values; that each of them is one is checked beside.
  const source = Deno.readTextFileSync(`${PROJECT}lib/core/errors.ts`);
  const [, table] = /const EXIT_STATUS = \{([^}]*)\}/.exec(source)!;
  const codes = [...table!.matchAll(/^ {2}(\w+): \d+,$/gm)].map(([, code]) => code!);
  const documented = rows(section("## 7. Error codes"));
  assertEquals(documented.map(([code]) => code!).sort(), codes.sort());
  for (const [code, meaning, status] of documented) {
    assert(isErrorCode(code), code);
    assertEquals(new FerryError(code, "").exitStatus, Number(status), code);
    assert(meaning, `${code} has no meaning`);
  }
});

Deno.test("PROTOCOL.md names the limits that the code has", () => {
  const limits: Record<string, number | bigint> = {
    MIN_HEADER_BYTES,
    MAX_HEADER_BYTES,
    MAX_WIRE_SIZE,
    MAX_NAME_BYTES,
    MAX_PART_BYTES,
    MAX_DRAIN_BYTES,
    MAX_UNREAD_INPUT_BYTES,
    MAX_TIMEOUT_MS,
    MAX_LINE_BYTES,
    RESUMABLE_BYTES,
    CHECKPOINT_BYTES,
  };
  const documented = rows(section("## 15. Limits")).map(([, value, name]) => [name, value]);
  assertEquals(
    Object.fromEntries(documented),
    Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, String(value)])),
  );
  assert(section("## 8. Names").includes(`\`${RESERVED_DIRECTORY}\``));
});

Deno.test("PROTOCOL.md names the timeouts that the programs have", () => {
  const [idle, rate, greeting, handshake, begin, part] = rows(section("## 12. Timeouts"));
  assertEquals(idle!.slice(1), [FERRYD.options["idle-timeout"].default, COMMON.timeout.default]);
  assertEquals(rate![1], FERRYD.options["min-rate"].default);
  assertEquals(greeting![2], COMMON["connect-timeout"].default);
  assertEquals(handshake![1], FERRYD.options["handshake-timeout"].default);
  assertEquals(begin![1], FERRYD.options["handshake-timeout"].default);
  assertEquals(part![1], FERRYD.options["partial-ttl"].default);
  assert(
    section("## 12. Timeouts").includes(
      `kills a command after ${FERRYD.options["exec-timeout"].default} unless`,
    ),
  );
  const source = Deno.readTextFileSync(`${PROJECT}server/storage/partial_writer.ts`);
  const [, stalled] = /const STALLED_MS = (\d+);/.exec(source)!;
  assert(section("### 11.1 Going on with an upload").includes(`${Number(stalled) / 1000} seconds`));
});

Deno.test("PROTOCOL.md names the limits that the echo over UDP has", () => {
  const text = section("### 18.2 Over UDP");
  const source = Deno.readTextFileSync(`${PROJECT}server/protocols/echo/reflection_limit.ts`);
  const constant = (name: string) => {
    const [, value] = new RegExp(`const ${name} = ([\\d_]+);`).exec(source)!;
    return Number(value!.replaceAll("_", ""));
  };
  const stated = [
    `0 to ${MAX_DATAGRAM_BYTES} bytes`,
    `a port below ${constant("WELL_KNOWN_PORTS")}`,
    `${FERRYD.options["echo-rate"].default} packets a second`,
    `every ${constant("PACKET_BYTES")} bytes`,
    `the ${constant("LOOP_LENGTH")}th time`,
    `every ${constant("LOOP_MEMORY_MS") / 1000} seconds`,
  ];
  const words = text.replace(/\s+/g, " ");
  for (const limit of stated) assert(words.includes(limit), limit);
});

Deno.test("PROTOCOL.md describes every operation and no other", () => {
  const source = Deno.readTextFileSync(`${PROJECT}lib/wire/header.ts`);
  const ops = [...source.matchAll(/op: v\.literal\("(\w+)"\)/g)].map(([, op]) => op!).sort();
  assert(ops.includes("ping"));
  const text = section("## 9. Operations");
  assertEquals(rows(text).map(([op]) => op!).sort(), ops);
  assertEquals([...text.matchAll(/^### [\d.]+ `(\w+)`$/gm)].map(([, op]) => op!).sort(), ops);
});

Deno.test("the fuzzer has a conversation for every operation", () => {
  const said = new Set(
    CONVERSATIONS.flatMap(({ parts }) => parts.map((part) => "op" in part ? part.op : undefined)),
  );
  assertEquals(Object.keys(REPLIES).filter((op) => !said.has(op)), []);
});

Deno.test("PROTOCOL.md describes every overwrite policy and no other", () => {
  const documented = rows(section("## 10. Overwrite policies")).map(([policy]) => policy!);
  assertEquals(documented, [...OVERWRITE_POLICIES]);
});

Deno.test("PROTOCOL.md says which scopes each operation needs, as the server does", () => {
  for (const [op, needs] of rows(section("## 9. Operations"))) {
    const needed = SCOPES.filter((scope) => {
      try {
        const grants = grantEverywhere(SCOPES.filter((other) => other !== scope));
        assertAllowed({ grants, mayAuthenticate: false }, { op: op as Request["op"] });
        return false;
      } catch {
        return true;
      }
    });
    assertEquals(needs, needed.join(", ") || "–", op);
  }
});

Deno.test("PROTOCOL.md is about the version that the code speaks", () => {
  assert(PAGE.startsWith(`# The ferry protocol, version ${PROTOCOL_VERSION}\n`));
});

Deno.test("PROTOCOL.md links only to headings and files that are there", async () => {
  const anchor = (heading: string) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
  const anchorsOf = (page: string) =>
    new Set([...page.matchAll(/^#+ (.*)$/gm)].map(([, text]) => anchor(text!)));
  const links = [...PAGE.matchAll(/\]\(([^)]*)\)/g)].map(([, target]) => target!);
  assert(links.length > 10);
  for (const target of links) {
    if (target.startsWith("https:")) continue;
    const [file, heading] = target.split("#");
    const page = file === "" ? PAGE : await Deno.readTextFile(PROJECT + file);
    assert(heading === undefined || anchorsOf(page).has(heading), target);
  }
});

Deno.test("serve() answers every bad vector with its code, and goes on where it may", async () => {
  await using server = new Fixture();
  for (const { name, hex, code, ends } of BAD) {
    using peer = await server.connect();
    await peer.send(bytesOf(hex));
    if (code !== "closed") await peer.send({ op: "ping" });
    await peer.end();
    const codes: string[] = [];
    for (;;) {
      const reply = await readRaw(peer);
      if (!reply) break;
      const header = decodeHeader(firstHeader(reply));
      codes.push(header.status === "ok" ? "ok" : String(header.code));
    }
    // What is good in front of the fault is answered as well.
    const good = name.startsWith("garbage") ? ["ok"] : [];
    // Where nothing was begun when the connection ended there is nothing to refuse.
    const refused = code === "closed" && /^cut-(in-length|behind-length|in-header)$/.test(name)
      ? []
      : [code];
    assertEquals(codes, [...good, ...refused, ...(ends ? [] : ["ok"])], name);
  }
  // None of them has left a file, but for the one that was good.
  using peer = await server.connect();
  await peer.send({ op: "list", recursive: true });
  const opening = await peer.receive();
  assertEquals(opening?.header.status, "ok");
  const piece = await peer.receive();
  const names = new TextDecoder().decode(piece!.body).trim().split("\n")
    .map((line) => decodeLine("entry", line).filename);
  assertEquals(names, ["whole"]);
});

Deno.test("serve() keeps the connection where at most 1 MiB of a refused body is left", async () => {
  await using server = new Fixture();
  const limit = Number(MAX_DRAIN_BYTES);
  const put = { op: "put", filename: "../outside", md5: "0".repeat(32) };
  using kept = await server.connect();
  await kept.send({ ...put, total_size: limit }, new Uint8Array(limit), { op: "ping" });
  assertEquals([await kept.code(), await kept.code()], ["bad_name", "ok"]);

  using ended = await server.connect();
  // The refusal comes although the body does not.
  await ended.send({ ...put, total_size: limit + 1 });
  assertEquals([await ended.code(), await ended.code()], ["bad_name", "ended"]);
});

Deno.test("SECURITY.md names the limits that ferryd has", () => {
  const text = Deno.readTextFileSync(`${PROJECT}SECURITY.md`).replace(/ +/g, " ");
  const { options } = FERRYD;
  const count = options["max-connections"].default;
  const ofSource = options["max-connections-per-source"].default;
  const seconds = (time: string) => time.replace("s", " s");
  const output = options["exec-output-limit"].default.replace("MiB", " MiB");
  for (
    const row of [
      `| connections | ${count}, of one address elsewhere ${ofSource} |`,
      `| TLS handshake, and then the first request or the token | ${
        seconds(options["handshake-timeout"].default)
      } |`,
      `| silence | ${seconds(options["idle-timeout"].default)} |`,
      `| bytes a second in the middle of a message | ${options["min-rate"].default}, on`,
      `| a command | ${seconds(options["exec-timeout"].default)} and ${output} of output |`,
      `after ${options["partial-ttl"].default.replace("d", " days")}`,
      `${options["echo-rate"].default} a second |`,
      `${ALL_BUFFERS / 1024 ** 2} MiB; beyond that each gets ${SMALL_BUFFER / 1024} KiB |`,
    ]
  ) assert(text.includes(row), row);
});
