import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Compressor } from "../../lib/compression/zstd.ts";
import { ByteConnection } from "../../lib/wire/connection.ts";
import { encodePieceHeader, PIECE_HEADER_BYTES } from "../../lib/wire/piece_header.ts";
import { connect, FerryError, FsStorage, serve } from "../../mod.ts";
import { md5 } from "../support/bytes.ts";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { Pair } from "../support/pair.ts";
import { ferry, ferryd, outcome, spawnFerry, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { token, TokenServer } from "../support/token_server.ts";
import { frame } from "../support/raw_peer.ts";
import { concat } from "../support/vectors.ts";

/** Text that shrinks to less than a fifth. */
function lines(count: number, seed = 7919): Uint8Array {
  const text = Array.from(
    { length: count },
    (_, line) => `the line with the number ${line * seed % 10_007}\n`,
  );
  return new TextEncoder().encode(text.join(""));
}

/** How many bytes have passed. */
function passed(peer: FaultyPeer): number {
  return peer.passed.reduce((sum, { up, down }) => sum + up + down, 0);
}

Deno.test("ferry -z sends, gets, lists and runs the same with fewer bytes on the line", async (t) => {
  await using pair = await Pair.start(["--allow-shell", "--anonymous", "read,write,exec"]);
  await using line = FaultyPeer.start(pair.server.port);
  const run = async (...args: string[]) => {
    const before = passed(line);
    const { code, stdout, stderr } = await ferry(args, { cwd: pair.cwd, server: line.address });
    assertEquals([code, stderr], [0, ""], args.join(" "));
    return { stdout, crossed: passed(line) - before };
  };
  const text = lines(100_000);
  pair.write("text", text);
  const random = randomBytes(1_000_000);
  pair.write("random", random);
  Deno.mkdirSync(`${pair.cwd}/tree`);
  for (let file = 0; file < 300; file++) pair.write(`tree/${file}.txt`, lines(100, file + 1));
  await t.step("a file in both directions", async () => {
    for (const option of ["-z", "--compress=6"]) {
      const put = await run("put", "text", option, "--overwrite", "always", "--checksum", "xxh128");
      const got = await run("get", "text", option, "--out", "got", "--overwrite", "always");
      assertEquals(md5(Deno.readFileSync(`${pair.cwd}/got`)), md5(text));
      for (const { crossed } of [put, got]) assert(crossed < text.length / 5, `${crossed} bytes`);
    }
  });
  await t.step("what does not shrink", async () => {
    const { crossed } = await run("put", "random", "-z");
    assert(crossed < random.length * 1.01, `${crossed} bytes`);
    assertEquals(md5(Deno.readFileSync(`${pair.root}/random`)), md5(random));
  });
  await t.step("a directory, and a second time", async () => {
    const put = await run("put", "tree", "-zq");
    const again = await run("put", "tree", "-zq");
    const plain = await run("put", "tree", "-q");
    const got = await run("get", "tree", "-z", "--out", "got-tree", "-q");
    const bytes = 300 * lines(100).length;
    assert(put.crossed < bytes / 5 && got.crossed < bytes / 5, `${put.crossed} ${got.crossed}`);
    assert(again.crossed < plain.crossed / 2, `${again.crossed} and ${plain.crossed} bytes`);
    for (const file of [0, 150, 299]) {
      const content = Deno.readFileSync(`${pair.cwd}/got-tree/${file}.txt`);
      assertEquals(content, lines(100, file + 1));
    }
  });
  await t.step("a list", async () => {
    const plain = await run("ls", "tree", "--json");
    const compressed = await run("ls", "tree", "--json", "-z");
    assertEquals(compressed.stdout, plain.stdout);
    assert(compressed.crossed < plain.crossed / 3, `${compressed.crossed} and ${plain.crossed}`);
  });
  await t.step("the output of a command, and its input", async () => {
    const { stdout, crossed } = await run("exec", "-z", "--shell", "cat text text");
    assertEquals(md5(stdout), md5(concat([text, text])));
    assert(crossed < text.length / 5, `${crossed} bytes`);
    const echoed = await run("exec", "-z", "--shell", "echo done");
    assertEquals(echoed.stdout, "done\n");
    const before = passed(line);
    const child = spawnFerry(["exec", "-z", "--stdin", "--shell", "md5sum; echo more"], {
      server: line.address,
      stdin: "piped",
    });
    const writer = child.stdin.getWriter();
    await writer.write(text);
    await writer.close();
    const expected = { code: 0, stdout: `${md5(text)}  -\nmore\n`, stderr: "" };
    assertEquals(await outcome(child), expected);
    const taken = passed(line) - before;
    assert(taken < text.length / 5, `${taken} bytes`);
  });
});

Deno.test("ferry -z against a server that compresses nothing says so once, and does its work", async () => {
  await using pair = await Pair.start(["--max-compressed", "0"]);
  pair.write("a", lines(10));
  pair.write("b", lines(20));
  const put = await pair.run("put", "a", "b", "-z", "--jobs", "2");
  const notice = "ferry: the server does not compress this connection\n";
  assertEquals([put.code, put.stderr], [0, notice]);
  const quiet = await pair.run("get", "a", "-z", "--json", "--out", "c");
  assertEquals([quiet.code, quiet.stderr], [0, ""]);
  assertEquals(Deno.readFileSync(`${pair.cwd}/c`), lines(10));
  const wrong = await pair.run("ls", "--compress=20");
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.stderr, "--compress takes a whole number from 1 to 19");
});

Deno.test("ferry -z works over TLS, with a token, at a limited rate, and resumes what was cut", async () => {
  await using dir = new TempDir();
  const pair = ["--tls-cert", dir.join("cert"), "--tls-key", dir.join("key")];
  await ferryd(["cert", "--host", "127.0.0.1", ...pair]);
  const made = await ferryd([
    ...["token", "new", "--token-file", dir.join("tokens")],
    ...["--name", "t", "--scope", "read,write"],
  ]);
  assertEquals(made.code, 0, made.stderr);
  await using served = await Pair.start([...pair, "--token-file", dir.join("tokens")]);
  const content = concat([lines(300_000), randomBytes(12_000_000)]);
  served.write("file", content);
  await using line = FaultyPeer.start(served.server.portOf("tls"), {
    faults: [{ kind: "reset", direction: "up", at: 6_000_000 }],
  });
  const put = await ferry(["put", "file", "-z", "--limit-rate", "40M", "--json"], {
    cwd: served.cwd,
    server: line.address,
    env: {
      FERRY_TOKEN: made.stdout.trim().split("\n").at(-1)!,
      FERRY_CA: dir.join("cert"),
    },
  });
  assertEquals(put.code, 0, put.stderr + put.stdout);
  const events = put.stdout.trim().split("\n").map((event) => JSON.parse(event));
  assertEquals(events.filter(({ event }) => event === "retry").length, 1);
  assertEquals(md5(Deno.readFileSync(`${served.root}/file`)), md5(content));
  const up = line.passed.reduce((sum, { up }) => sum + up, 0);
  assert(up < 17_000_000, `${up} bytes`);
});

Deno.test("connect() compresses where it is asked to, and logs in inside", async () => {
  const { token: secret, record } = await token("read");
  await using server = await TokenServer.start([record]);
  await using client = await server.connect({ compress: 19, token: secret });
  assertEquals(client.compresses, true);
  assertEquals((await client.stat("")).type, "directory");
  await using plain = await server.connect({ token: secret });
  assertEquals(plain.compresses, false);
});

Deno.test("a server compresses at level 6 at most, whatever a client asks for", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const levels: number[] = [];
  const { compress } = ByteConnection.prototype;
  ByteConnection.prototype.compress = function (level, options) {
    // The client's side is the one that tells when it is idle.
    if (!options.tellsIdle) levels.push(level);
    return compress.call(this, level, options);
  };
  try {
    for (const level of [1, 6, 7, 19, true]) {
      await using client = await connect(address, { compress: level });
      assertEquals(client.compresses, true);
      // The reply shows that the server has begun.
      await client.stat("");
    }
  } finally {
    ByteConnection.prototype.compress = compress;
  }
  assertEquals(levels, [1, 6, 6, 6, 3]);
});

Deno.test("a server compresses no more connections than it is told to", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  await using server = await serve({ storage, listen: "127.0.0.1:0", maxCompressed: 1 });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const first = await connect(address, { compress: true });
  await using second = await connect(address, { compress: true });
  assertEquals([first.compresses, second.compresses], [true, false]);
  await first[Symbol.asyncDispose]();
  for (;;) {
    await using third = await connect(address, { compress: true });
    if (third.compresses) break;
  }
});

Deno.test("a server refuses a piece that expands too far, and goes on", async () => {
  await using pair = await Pair.shared();
  const compressor = new Compressor(19);
  const bomb = concat(
    await compressor.compress(concat([
      frame({ op: "put", filename: "bomb", md5: null, total_size: 64 * 1024 * 1024 }),
      new Uint8Array(64 * 1024 * 1024),
    ])),
  );
  compressor.close();
  for (
    const [content, code] of [[100_000, "checksum_mismatch"], [2 ** 24 - 1, "bad_header"]] as const
  ) {
    using peer = await pair.connect();
    await peer.send({ op: "hello", versions: [1], features: ["zstd"] });
    const reply = await peer.receive();
    assert((reply?.header.features as string[]).includes("zstd"));
    const header = new Uint8Array(PIECE_HEADER_BYTES);
    encodePieceHeader({ kind: "first", content, size: bomb.length }, header);
    await peer.send(header, bomb);
    const rest = await peer.readAll();
    assertStringIncludes(new TextDecoder().decode(rest), `"code":"${code}"`);
  }
  pair.write("a", lines(10));
  assertEquals((await pair.run("put", "a", "-z")).code, 0);
});

Deno.test("a failure of a compressed upload is that of the server", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path, { maxFileSize: 1000 });
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`, { compress: true });
  const failure = await client.put(lines(10_000), { as: "a" }).catch((error) => error);
  assert(failure instanceof FerryError && failure.code === "too_large", String(failure));
  await client.put(lines(10), { as: "a" });
  assertEquals(await client.get("a").bytes(), lines(10));
});
