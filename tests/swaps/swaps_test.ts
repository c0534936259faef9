/**
 * A second process swaps directories, files and the state directory for symbolic links that lead out of the root, as
 * fast as it can, while requests of every kind run. `FERRY_SWAPS` sets the number of swaps.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { CHECKPOINT_BYTES } from "../../lib/files/partial_file.ts";
import { extentOf } from "../support/extent.ts";
import { Ferryd, HOLDS_DIRECTORIES, TempDir } from "../support/programs.ts";
import { type RawMessage, RawPeer } from "../support/raw_peer.ts";
import { Swapper } from "./swapper.ts";

/** The least number of swaps, in all tests together. */
const SWAPS = extentOf("FERRY_SWAPS") ?? 4000;

/** The least number of rounds of requests, on each connection of a test. */
const ROUNDS = Math.max(5, SWAPS / 1000);

/** How many connections there are at the same time. */
const CONNECTIONS = 3;

/** The content of the files outside of the root, which must never be in a reply. */
const SECRET = "SECRET ";
const SECRET_SIZE = 424_242;
const SECRET_TIME = 1_111_111_111_000;
const SECRET_BYTES = new TextEncoder().encode(SECRET.repeat(SECRET_SIZE).slice(0, SECRET_SIZE));
const SECRET_MD5 = createHash("md5").update(SECRET_BYTES).digest("hex");
const MARKS = [SECRET, String(SECRET_SIZE), String(SECRET_TIME), SECRET_MD5];

/** The names of a directory and all that is in it, with the metadata of each. */
function snapshot(path: string): string[] {
  const seen: string[] = [];
  const look = (path: string) => {
    const { isFile, isDirectory, ino, nlink, mode, size, mtime, ctime } = Deno.lstatSync(path);
    const digest = isFile ? createHash("md5").update(Deno.readFileSync(path)).digest("hex") : "";
    const times = [mtime, ctime].map((time) => time?.getTime());
    seen.push([path, ino, nlink, mode, size, ...times, digest].join(" "));
    if (!isDirectory) return;
    for (const name of [...Deno.readDirSync(path)].map(({ name }) => name).sort()) {
      look(`${path}/${name}`);
    }
  };
  look(path);
  return seen;
}

/**
 * A root, and a directory outside of it that contains secrets under the names that requests use. The root contains
 * pairs of names that are swapped: one is the real entry, the other a link to its counterpart outside.
 */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly outside = this.dir.join("outside");

  constructor() {
    for (const name of ["root/d/tree", "root/e", "root/.ferry/staging"]) {
      Deno.mkdirSync(this.dir.join(name), { recursive: true });
    }
    for (const name of ["outside/tree/deep", "outside/x/y", "outside/own/staging"]) {
      Deno.mkdirSync(this.dir.join(name), { recursive: true });
    }
    const secrets = ["both", "only-outside", "tree/secret", "tree/deep/secret", "x/y/z"];
    for (const name of [...secrets, "own/lock", "own/index.db", "own/staging/kept"]) {
      const path = this.dir.write(`outside/${name}`, SECRET_BYTES);
      Deno.utimeSync(path, SECRET_TIME / 1000, SECRET_TIME / 1000);
    }
    this.dir.write("root/f", "inside");
    const links: Record<string, string> = {
      "d.link": "../outside",
      "e.link": "hop",
      "hop": `${this.root}/hop2`,
      "hop2": this.outside,
      "f.link": `${this.outside}/both`,
      "ferry.link": "../outside/own",
      ".ferry/staging.link": "../../outside/own/staging",
    };
    for (const [link, target] of Object.entries(links)) {
      Deno.symlinkSync(target, `${this.root}/${link}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dir[Symbol.asyncDispose]();
  }
}

/** A complete reply. */
interface Answer {
  header: Record<string, unknown>;
  /** All received bytes, as text. */
  text: string;
}

async function message(peer: RawPeer): Promise<RawMessage> {
  const message = await peer.receive();
  assert(message, "the server ended the connection");
  return message;
}

async function answer(peer: RawPeer): Promise<Answer> {
  const messages = [await message(peer)];
  const { header } = messages[0]!;
  const streamed = header.total_size === null;
  const unknown = Number(header.total_size ?? 0) > 0 && !header.md5;
  while ((streamed || unknown) && !messages.at(-1)!.header.end) messages.push(await message(peer));
  const decoder = new TextDecoder();
  const text = messages.map(({ header, body }) => JSON.stringify(header) + decoder.decode(body));
  return { header, text: text.join("\n") };
}

interface Ask {
  request: Record<string, unknown>;
  body?: string;
  /** A check of the answer; the request need not succeed. */
  check?: (answer: Answer) => void;
}

/** A name that exists only outside of the root was not found. */
function isNotFound({ header, text }: Answer): void {
  assertEquals(header.code, "not_found", text);
}

/** The requests of one round; names that end in `mine` belong to this connection. */
function requests(mine: string): Ask[] {
  const put = (filename: string, body = "inside", keys = {}): Ask => ({
    request: { op: "put", filename, overwrite: "always", total_size: body.length, ...keys },
    body: `${body}${closing(body)}`,
  });
  const ask = (op: string, filename: string, keys = {}): Ask => ({
    request: { op, filename, ...keys },
  });
  const absent = (asked: Ask): Ask => ({ ...asked, check: isNotFound });
  const manifest = JSON.stringify({
    filename: "d/only-outside",
    size: SECRET_SIZE,
    mtime: SECRET_TIME,
  }) + "\n";
  return [
    put("d/both"),
    put(`d/new-${mine}`),
    put(`d/x/y/z-${mine}`),
    put("e/both", "inside ".repeat(50_000)),
    put(`e/deep-${mine}/er/file`),
    ask("get", "d/both"),
    ask("get", "e/both"),
    ask("get", "f"),
    absent(ask("get", "d/only-outside")),
    absent(ask("get", "ferry.link/lock")),
    ask("stat", "d/both"),
    ask("stat", "e/both"),
    ask("stat", "f"),
    absent(ask("stat", "d/only-outside")),
    absent(ask("stat", "d/tree/deep/secret")),
    {
      ...ask("list", "d", { recursive: true }),
      check: ({ text }) => assert(!/only-outside|deep\/secret|tree\/secret/.test(text), text),
    },
    {
      ...ask("list", "", { recursive: true }),
      check: ({ text }) => {
        assert(!/only-outside|deep\/secret|tree\/secret|lock|index.db|staging/.test(text), text);
      },
    },
    {
      ...ask("put", "d/only-outside", { offer: true, size: SECRET_SIZE, md5: SECRET_MD5 }),
      check: ({ header, text }) => assert(header.decision !== "have", text),
    },
    {
      request: { op: "compare", overwrite: "never", total_size: manifest.length },
      body: `${manifest}${closing(manifest)}`,
      check: ({ text }) => assert(/"decision":"(send|error)"|"code":/.test(text), text),
    },
    ask("link", `d/link-${mine}`, { target: "tree/secret", overwrite: "always" }),
    ask("link", `d/tree/link-${mine}`, { target: "../both", overwrite: "always" }),
    absent(ask("stat", `d/tree/deep/secret`)),
    { ...ask("list", "d", { recursive: true, links: true, omitted: true }) },
    ask("mkdir", `d/made-${mine}/deep`),
    ask("mkdir", `d/tree/made-${mine}`),
    ask("move", "d/both", { to: `both-${mine}`, overwrite: "always" }),
    ask("move", `both-${mine}`, { to: "e/both", overwrite: "always" }),
    ask("move", `both-${mine}`, { to: "d/both", overwrite: "always" }),
    absent(ask("move", "d/only-outside", { to: `stolen-${mine}` })),
    absent(ask("move", "d/tree/deep", { to: `stolen-tree-${mine}` })),
    absent(ask("remove", "d/only-outside")),
    absent(ask("remove", "d/tree/deep", { recursive: true })),
    ask("remove", "d/both"),
    ask("remove", `d/made-${mine}`, { recursive: true }),
    ask("remove", `d/x`, { recursive: true }),
    ask("remove", "e/both"),
  ];
}

/** The closing header of a body whose md5 was not sent in advance. */
function closing(body: string): string {
  const md5 = createHash("md5").update(body).digest("hex");
  const json = JSON.stringify({ end: true, md5, size: body.length });
  return String.fromCharCode(json.length, 0, 0, 0) + json;
}

/** Sends all requests once, pipelined, and checks the answers. */
async function round(peer: RawPeer, mine: string, found: Set<string>): Promise<void> {
  const asked = requests(mine);
  const sending = (async () => {
    for (const { request, body = "" } of asked) await peer.send(request, body);
  })();
  for (const { request, check } of asked) {
    const answered = await answer(peer);
    const what = `${request.op} ${request.filename ?? ""}`;
    for (const mark of MARKS) {
      if (answered.text.includes(mark)) found.add(`${what} gave away ${mark}`);
    }
    try {
      check?.(answered);
    } catch {
      found.add(`${what} came to ${answered.text.slice(0, 200)}`);
    }
  }
  await sending;
}

/** A file that is large enough for the server to keep its partial upload when the connection is cut. */
const LARGE = new Uint8Array(9 * 1024 * 1024).map((_, at) => at * 31 >> 7);
const LARGE_MD5 = createHash("md5").update(LARGE).digest("hex");
const CUT_AT = 5 * 1024 * 1024;

/** Uploads a file with a cut, and resumes it. */
async function resume(port: number, mine: string): Promise<void> {
  const header = { op: "put", filename: `large-${mine}`, overwrite: "always", size: LARGE.length };
  {
    using peer = await RawPeer.connect(port);
    await peer.send({ ...header, md5: LARGE_MD5, total_size: LARGE.length });
    await peer.send(LARGE.subarray(0, CUT_AT));
    await peer.end();
    assertEquals(await peer.code(), "closed");
  }
  using peer = await RawPeer.connect(port);
  await peer.send({ ...header, offer: true });
  const { header: { status, decision, offset } } = await message(peer);
  assertEquals({ status, decision }, { status: "ok", decision: "send" });
  assert(Number(offset) >= CHECKPOINT_BYTES && Number(offset) <= CUT_AT, `goes on at ${offset}`);
  const rest = LARGE.subarray(Number(offset));
  await peer.send({ ...header, offset, md5: LARGE_MD5, total_size: rest.length }, rest);
  assertEquals((await message(peer)).header.md5, LARGE_MD5);
}

/** What is swapped, pair by pair, and what else runs besides the requests of every kind. */
const CASES: Readonly<
  Record<string, { pairs: string[]; meanwhile?: (port: number, mine: string) => Promise<void> }>
> = {
  "directories, files and its own directory": {
    pairs: ["d", "d.link", "e", "e.link", "f", "f.link", ".ferry", "ferry.link"],
  },
  "its staging area": {
    pairs: [".ferry/staging", ".ferry/staging.link"],
    meanwhile: resume,
  },
};

const TESTS = Object.keys(CASES).length;

const notHeld = HOLDS_DIRECTORIES ? "" : " (ignored: no directory can be held here)";

for (const [what, { pairs, meanwhile }] of Object.entries(CASES)) {
  Deno.test({
    name: `ferryd leaves alone what links lead to that are swapped in for ${what}${notHeld}`,
    ignore: !HOLDS_DIRECTORIES,
    async fn() {
      await using f = new Fixture();
      const before = snapshot(f.outside);
      const found = new Set<string>();
      {
        await using server = await Ferryd.start(f.root, ["--durability", "none", "--allow-links"]);
        {
          await using swapper = new Swapper(pairs.map((name) => `${f.root}/${name}`));
          await Promise.all(Array.from({ length: CONNECTIONS }, async (_, turn) => {
            using peer = await RawPeer.connect(server.port);
            for (let rounds = 0; rounds < ROUNDS || swapper.count < SWAPS / TESTS; rounds++) {
              await round(peer, String(turn), found);
              await meanwhile?.(server.port, String(turn));
            }
          }));
          await swapper.stop();
        }
        // The server is still serving.
        using peer = await RawPeer.connect(server.port);
        await round(peer, "last", found);
        await meanwhile?.(server.port, "last");
        const { code, stderr } = await server.stop();
        assertEquals(code, 0, stderr);
        assert(!stderr.includes("internal"), stderr);
      }
      assertEquals([...found], []);
      assertEquals(snapshot(f.outside), before);
      assertEquals(secretsIn(f.root), []);
    },
  });
}

/** The files in a directory that contain a secret. */
function secretsIn(path: string): string[] {
  return [...Deno.readDirSync(path)].flatMap(({ name, isFile, isDirectory }) => {
    const child = `${path}/${name}`;
    if (isDirectory) return secretsIn(child);
    return isFile && Deno.readTextFileSync(child).includes(SECRET) ? [child] : [];
  });
}
