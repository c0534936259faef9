/**
 * What a client does while calls of the server fail. After a failure at any point, another client can run the same
 * scenario again, with the same result.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { openDatagramSocket } from "../../lib/udp/datagram.ts";
import { type Client, connect, type ConnectOptions, FerryError } from "../../mod.ts";
import { type HttpRequest, type HttpResponse, send } from "../support/http_server.ts";
import { isErrorCode } from "../../lib/core/errors.ts";
import { encodeRanges, encodeRecipe } from "../support/delta_frames.ts";
import { frame, type RawMessage, RawPeer } from "../support/raw_peer.ts";
import { PROOF_SCENARIOS } from "./proof_scenarios.ts";
import { Received } from "./received.ts";
import { md5, text } from "../support/bytes.ts";
import { DIGESTS } from "../support/digests.ts";

/** The server that a scenario uses. */
export interface Scene {
  /** Connects a client to the server, without retries. */
  connect(options?: ConnectOptions): Promise<Client>;
  /** The address of the listener of a kind. */
  address(kind: string): string;
  /** A token that the server knows. */
  token: string;
}

/** A sequence of requests. */
export interface Scenario {
  /** What it is about. */
  readonly name: string;
  /** Whether it transfers many bytes; fewer of its calls are tried where there is little time. */
  readonly large?: boolean;
  /** The files that may exist afterwards, with their content. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Runs it; throws where the server does not do what it is asked. */
  run(scene: Scene): Promise<void>;
}

const SMALL = new TextEncoder().encode("hello\n");
const MIDDLE = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) >>> 3);
/** Partial uploads beyond 8 MiB are kept, and this file is larger. */
const LARGE = Uint8Array.from({ length: 9 * 1024 * 1024 }, (_, i) => (i * 31) >>> 5);

async function* pieces(bytes: Uint8Array) {
  for (let from = 0; from < bytes.length; from += 100_000) {
    yield bytes.subarray(from, from + 100_000);
  }
}

/** A received value; throws where the connection has ended instead. */
function came<T>(what: T | null): T {
  if (what === null) throw new FerryError("closed", "the connection ended");
  return what;
}

/** A message that reports no error; otherwise throws the error. */
function granted(message: RawMessage): RawMessage {
  const { status, code, message: reason } = message.header;
  if (status === "error" && isErrorCode(code)) throw new FerryError(code, String(reason));
  return message;
}

/** The next message; throws the error that it reports, or `closed` where the connection ends, also in the middle of it. */
async function receive(peer: RawPeer): Promise<RawMessage> {
  return granted(came(await peer.receive().catch(() => null)));
}

/** The version of a file, as the reply to a request for its signature tells it. */
async function versionOf(peer: RawPeer, filename: string): Promise<unknown> {
  await peer.send({ op: "signature", filename, block: 4096 });
  const { header } = await receive(peer);
  while (!(await receive(peer)).header.end);
  return header.version;
}

async function assertGets(client: Client, name: string, bytes: Uint8Array): Promise<void> {
  const out = new Received(bytes.length);
  await client.get(name, { out });
  assertEquals(out.bytes.length, bytes.length);
  assertEquals(out.bytes.every((byte, at) => byte === bytes[at]), true);
}

const ALWAYS = { overwrite: "always" } as const;

/** Begins to send {@linkcode LARGE} and closes the connection in the middle. */
async function cut({ address }: Scene, as: string): Promise<void> {
  const [, port] = address("tcp").split(":");
  using peer = await RawPeer.connect(Number(port));
  const put = { op: "put", filename: as, overwrite: "always", total_size: LARGE.length };
  await peer.send(frame({ ...put, size: LARGE.length, md5: null }));
  await peer.send(LARGE.subarray(0, 8_500_000));
  await peer.end();
  await peer.readAll();
}

/** Sends a request over HTTP, and returns the response; throws the error that it reports. */
async function ask(
  { address }: Scene,
  method: string,
  target: string,
  request: HttpRequest = {},
): Promise<HttpResponse> {
  const [, port] = address("http").split(":");
  const response = await send(Number(port), method, target, request);
  if (response.status < 400) return response;
  // The response to a HEAD says no more than the status.
  const { code = "io", detail } = response.text === "" ? { detail: "it failed" } : response.json;
  throw new FerryError(code, detail);
}

/** All scenarios. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: "greeting, token, ping",
    files: {},
    async run({ connect, token }) {
      await using client = await connect({ token });
      await client.ping();
    },
  },
  {
    name: "small files",
    files: { "small/a": SMALL, "small/b": SMALL, "small/c": new Uint8Array() },
    async run({ connect }) {
      await using client = await connect();
      await client.put(SMALL, { as: "small/a" });
      await client.put(SMALL, { as: "small/b", ...ALWAYS });
      await client.put(new Uint8Array(), { as: "small/c", overwrite: "different" });
      await assertGets(client, "small/a", SMALL);
      await assertGets(client, "small/c", new Uint8Array());
      assertEquals((await client.stat("small/b")).size, SMALL.length);
    },
  },
  {
    name: "a file that is offered, and one that is streamed",
    files: { "middle/a": MIDDLE, "middle/b": MIDDLE },
    async run({ connect }) {
      await using client = await connect();
      await client.put(MIDDLE, { as: "middle/a", ...ALWAYS });
      await client.put(pieces(MIDDLE), { as: "middle/b", ...ALWAYS });
      await assertGets(client, "middle/a", MIDDLE);
    },
  },
  {
    name: "a file that goes on where it was cut",
    files: { large: LARGE },
    large: true,
    async run(scene) {
      await cut(scene, "large");
      await using client = await scene.connect();
      await client.put(LARGE, { as: "large", ...ALWAYS });
      await client.remove("large");
    },
  },
  {
    name: "a file that is made from another one, of which then only ranges are fetched",
    files: { "delta/old": MIDDLE, "delta/new": MIDDLE.subarray(100) },
    large: true,
    async run({ connect, address }) {
      await using client = await connect();
      await client.put(MIDDLE, { as: "delta/old", ...ALWAYS });
      const [, port] = address("tcp").split(":");
      using peer = await RawPeer.connect(Number(port));
      const content = MIDDLE.subarray(100);
      const recipe = encodeRecipe({ from: 100, size: content.length });
      const version = await versionOf(peer, "delta/old");
      await peer.send({
        op: "put",
        filename: "delta/new",
        overwrite: "always",
        basis: "delta/old",
        basis_version: version,
        size: content.length,
        md5: md5(content),
        total_size: recipe.length,
      }, recipe);
      await receive(peer);
      const ranges = encodeRanges([10, 20], [1000, 70_000]);
      const body = { md5: md5(ranges), total_size: ranges.length };
      const newVersion = await versionOf(peer, "delta/new");
      await peer.send({ op: "get", filename: "delta/new", version: newVersion, ...body }, ranges);
      const reply = await receive(peer);
      assertEquals(reply.body.length, 70_020);
      const { header } = reply.header.md5 === null ? await receive(peer) : reply;
      assertEquals(header.md5, md5(content));
      const of = { filename: "delta/new", version: newVersion };
      await peer.send({ op: "stat", ...of });
      assertEquals((await receive(peer)).header.md5, md5(content));
      await peer.send({ op: "get", ...of, start: 1000, count: 70_000, checksum: "xxh128" });
      assertEquals((await receive(peer)).body, content.subarray(1000, 71_000));
      await receive(peer);
    },
  },
  {
    name: "the part of a file that is not gone on with",
    files: {},
    large: true,
    async run(scene) {
      await cut(scene, "large");
      await using client = await scene.connect();
      await client.discardParts("large");
      assertEquals(await Array.fromAsync(client.listParts()), []);
    },
  },
  {
    name: "directories, lists, moves and removals",
    files: { "tree/a": SMALL, "tree/deep/b": SMALL, "tree/c": SMALL },
    async run({ connect }) {
      await using client = await connect();
      await client.mkdir("tree/deep");
      await client.put(SMALL, { as: "tree/a", ...ALWAYS });
      await client.move("tree/a", "tree/deep/b", ALWAYS);
      const names: string[] = [];
      for await (const { filename } of client.list("tree", { recursive: true })) {
        names.push(filename);
      }
      assertEquals(names.includes("tree/deep/b"), true);
      for await (const _part of client.listParts());
      await client.remove("tree", { recursive: true });
    },
  },
  {
    name: "a directory that is compared",
    files: { "compared/one": SMALL, "compared/two": MIDDLE },
    async run({ connect }) {
      await using dir = new TemporaryTree({ one: SMALL, two: MIDDLE });
      await using client = await connect();
      // An earlier, failed run may have left the same file with another time.
      for (const overwrite of ["always", "different"] as const) {
        await client.putTree(dir.path, { as: "compared", overwrite });
      }
    },
  },
  {
    name: "symbolic links",
    files: { "symlinks/a": SMALL },
    async run({ connect }) {
      await using client = await connect();
      await client.put(SMALL, { as: "symlinks/a", ...ALWAYS });
      await client.link("symlinks/l", "a", ALWAYS);
      await client.link("symlinks/l", "b", ALWAYS);
      const { unchanged } = await client.link("symlinks/l", "b");
      assertEquals(unchanged, true);
      await client.remove("symlinks/l");
    },
  },
  {
    name: "a directory that is mirrored, with backups",
    files: { "mirror/gone": SMALL, "kept/gone": SMALL, "kept/one": SMALL },
    async run({ connect }) {
      await using dir = new TemporaryTree({ one: MIDDLE });
      await using client = await connect();
      for (const name of ["one", "gone"]) {
        await client.put(SMALL, { as: `mirror/${name}`, ...ALWAYS });
      }
      await client.remove("kept", { recursive: true }).catch(() => {});
      await client.putTree(dir.path, { as: "mirror", delete: true, backup: "kept" });
    },
  },
  {
    name: "a file in pieces",
    large: true,
    files: { "pieces": LARGE },
    async run({ address, connect }) {
      const port = Number(address("tcp").split(":")[1]);
      using control = await RawPeer.connect(port);
      using peer = await RawPeer.connect(port);
      const [filename, size] = ["pieces", LARGE.length];
      await control.send({ op: "assemble", filename, size, ...ALWAYS });
      const { header: { id } } = await receive(control);
      const half = Math.floor(size / 2);
      for (const [offset, end] of [[half, size], [0, half]] as const) {
        const body = LARGE.subarray(offset, end);
        const checksum = await DIGESTS.checksumOf("xxh128", body);
        const piece = { op: "piece", filename, id, offset, checksum, total_size: body.length };
        await peer.send(piece, body);
        await receive(peer);
      }
      const put = { op: "put", filename, size, offset: size, md5: md5(LARGE), total_size: 0 };
      await control.send({ ...put, ...ALWAYS });
      await receive(control);
      await using client = await connect();
      await assertGets(client, filename, LARGE);
    },
  },
  {
    name: "a directory that is published as one",
    files: { "published/one": SMALL, "published/two": MIDDLE, "published/three": SMALL },
    async run({ connect }) {
      await using first = new TemporaryTree({ one: SMALL, two: MIDDLE });
      await using second = new TemporaryTree({ one: SMALL, three: SMALL });
      await using client = await connect();
      for (const [dir, overwrite] of [[first, "always"], [second, "different"]] as const) {
        await client.putTree(dir.path, { as: "published", overwrite, atomic: true });
      }
      const { type } = await client.stat("published");
      assertEquals(type, "directory");
    },
  },
  {
    name: "a directory of which the server knows the contents",
    files: { "known/one": SMALL, "known/two": MIDDLE, "copied/one": SMALL, "copied/two": MIDDLE },
    async run({ connect }) {
      await using dir = new TemporaryTree({ one: SMALL, two: MIDDLE });
      await using client = await connect();
      for (const as of ["known", "copied"]) {
        await client.putTree(dir.path, { as, overwrite: "always" });
      }
    },
  },
  {
    name: "links that are made, listed, and taken back",
    files: { linked: SMALL },
    async run({ connect, token }) {
      await using client = await connect({ token });
      await client.put(SMALL, { as: "linked", ...ALWAYS });
      const { id } = await client.share("linked", { downloads: 3 });
      const ids: string[] = [];
      for await (const link of client.listShares()) ids.push(link.id);
      assertEquals(ids.includes(id), true);
      // Links of runs that failed go, too: otherwise each run would have more to do than the one before.
      for (const each of ids) await client.unshare(each);
    },
  },
  ...PROOF_SCENARIOS,
  {
    name: "files over HTTP",
    files: { "web/a": SMALL, "web/b": MIDDLE, "web/c": SMALL },
    async run(scene) {
      await ask(scene, "POST", "/web/");
      await ask(scene, "PUT", "/web/a", { body: SMALL });
      await ask(scene, "PUT", "/web/b", { body: [MIDDLE.subarray(0, 9), MIDDLE.subarray(9)] });
      assertEquals((await ask(scene, "GET", "/web/a")).bytes, SMALL);
      const range = { headers: { range: "bytes=9-" } };
      assertEquals((await ask(scene, "GET", "/web/b", range)).bytes.length, MIDDLE.length - 9);
      const { json } = await ask(scene, "GET", "/web/");
      assertEquals(json.entries.length >= 2, true);
      await ask(scene, "GET", "/web/?archive=zip");
      await ask(scene, "POST", "/.ferry/api/move", {
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ from: "web/a", to: "web/c", overwrite: true }),
      });
      await ask(scene, "DELETE", "/web/c");
      await ask(scene, "DELETE", "/web/");
    },
  },
  {
    name: "an upload by tus that goes on where it was cut",
    files: { tus: LARGE },
    large: true,
    async run(scene) {
      const tus = { "tus-resumable": "1.0.0", "content-type": "application/offset+octet-stream" };
      const { headers: { location } } = await ask(scene, "POST", "/.tus/", {
        headers: {
          ...tus,
          "upload-length": String(LARGE.length),
          "upload-metadata": `filename ${btoa("tus")},overwrite ${btoa("always")}`,
        },
        body: LARGE.subarray(0, 100_000),
      });
      const state = await ask(scene, "HEAD", String(location), { headers: tus });
      const offset = String(state.headers["upload-offset"]);
      const headers = { ...tus, "upload-offset": offset };
      await ask(scene, "PATCH", String(location), {
        headers,
        body: LARGE.subarray(Number(offset)),
      });
      assertEquals((await ask(scene, "GET", "/tus")).bytes.length, LARGE.length);
      await ask(scene, "DELETE", "/tus");
    },
  },
  {
    name: "commands",
    files: {},
    async run({ connect }) {
      await using client = await connect();
      const { stdout } = await client.exec(["cat"], { stdin: pieces(SMALL) });
      assertEquals(text(stdout), "hello\n");
      const { exitCode, stderr } = await client.exec({ shell: "echo err >&2; exit 3" });
      assertEquals([exitCode, text(stderr)], [3, "err\n"]);
    },
  },
  {
    name: "classic exec",
    files: {},
    async run({ address }) {
      using peer = await RawPeer.connect(Number(address("classic-exec").split(":")[1]));
      await peer.send("echo hello");
      const { header, body } = came(await peer.receive());
      if (text(body).startsWith("ferryd: ")) throw new FerryError("io", text(body));
      assertEquals([header.total_size, text(body)], [6, "hello\n"]);
      await peer.end();
      assertEquals((await peer.readAll()).length, 0);
    },
  },
  {
    name: "the echo over TCP",
    files: {},
    async run({ address }) {
      using peer = await RawPeer.connect(Number(address("tcp-echo").split(":")[1]));
      await peer.send("hello");
      assertEquals(text(came(await peer.read(5))), "HELLO");
      await peer.end();
      assertEquals((await peer.readAll()).length, 0);
    },
  },
  {
    name: "the echo over UDP",
    files: {},
    async run({ address }) {
      const [hostname, port] = address("udp-echo").split(":");
      using socket = await openDatagramSocket({ hostname: "127.0.0.1", port: 0 });
      const to = { hostname: hostname!, port: Number(port) };
      // A datagram may be lost, and one with a fault is; the next one is not.
      await socket.send(SMALL, to);
      await socket.send(SMALL, to);
      assertEquals(text(came(await socket.receive()).bytes), "HELLO\n");
    },
  },
];

/** A directory with files in it. */
class TemporaryTree implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "ferry-" });

  constructor(files: Readonly<Record<string, Uint8Array>>) {
    for (const [name, bytes] of Object.entries(files)) {
      Deno.writeFileSync(`${this.path}/${name}`, bytes);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** How the scenarios' clients connect: without retries, which would hide the fault. */
export function connector(server: string): Scene["connect"] {
  return (options = {}) => connect(server, { retries: 0, timeout: 20_000, ...options });
}
