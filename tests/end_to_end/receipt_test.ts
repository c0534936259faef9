import { assert, assertEquals, assertMatch } from "@std/assert";
import { md5, MIB } from "../support/bytes.ts";
import { Pair } from "../support/pair.ts";
import { ferry, Ferryd, ferryd, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { frame } from "../support/raw_peer.ts";
import { rot } from "../support/rot.ts";

/** The receipts in a file. */
function receiptsIn(path: string): Record<string, unknown>[] {
  return Deno.readTextFileSync(path).trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** A pair whose server has a certificate, and the options with which a client trusts it. */
async function securePair(): Promise<{ p: Pair; tls: string[]; pin: string }> {
  const p = await Pair.start();
  await p.server.stop();
  const files = ["--tls-cert", p.dir.join("cert.pem"), "--tls-key", p.dir.join("key.pem")];
  const { stdout } = await ferryd(["cert", "--host", "127.0.0.1", ...files]);
  const [pin] = /sha256:[0-9a-f]{64}/.exec(stdout)!;
  p.server = await Ferryd.start(p.root, files);
  return { p, tls: ["--pin", pin], pin };
}

Deno.test("ferry put --receipt keeps what the server has signed, which ferry verify proves without it", async () => {
  const { p, tls, pin } = await securePair();
  await using _p = p;
  for (const name of ["a", "b"]) p.write(name, `content of ${name}`);
  Deno.mkdirSync(`${p.cwd}/dir/empty`, { recursive: true });
  p.write("dir/c", "content of c");
  const { code, stderr } = await p.run("put", "a", "b", "dir", "--receipt", "receipts", ...tls);
  assertEquals(code, 0, stderr);
  const receipts = receiptsIn(`${p.cwd}/receipts`);
  assertEquals(receipts.map(({ filename }) => filename), ["a", "b", "dir/c"]);
  const { time, signature, server, ...facts } = receipts[0]!;
  assertEquals(facts, {
    filename: "a",
    size: 12,
    digests: { md5: md5("content of a") },
    durability: "full",
  });
  assertMatch(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assertMatch(String(signature), /^[\w-]+\.\.[\w-]+$/);
  assertEquals(server, {
    agent: "ferryd/0.1.0",
    address: p.server.listening.get("tls"),
    certificate: pin,
  });
  await p.server.stop();
  const sums = ["a", "b", "dir/c"].map((name) => `${md5(`content of ${name.at(-1)}`)}  ${name}\n`)
    .join("");
  for (const trusted of [tls, ["--ca", p.dir.join("cert.pem")]]) {
    const offline = await p.run("verify", "--receipt", "receipts", "--offline", ...trusted);
    assertEquals([offline.code, offline.stdout], [0, sums], offline.stderr);
  }
  const other = await ferryd([
    "cert",
    "--host",
    "localhost",
    "--tls-cert",
    p.dir.join("other.pem"),
    "--tls-key",
    p.dir.join("other.key"),
  ]);
  assertEquals(other.code, 0);
  const stranger = await p.run(
    "verify",
    "--receipt",
    "receipts",
    "--offline",
    "--ca",
    p.dir.join("other.pem"),
  );
  assertEquals([stranger.code, stranger.stdout], [3, ""]);
  assertMatch(stranger.stderr, /it is signed by sha256:[0-9a-f]{64}, which is not trusted here/);
  const text = Deno.readTextFileSync(`${p.cwd}/receipts`);
  p.write("forged", text.replace('"size":12', '"size":13'));
  const forged = await p.run("verify", "--receipt", "forged", "--offline", ...tls);
  assertEquals(forged.code, 7);
  assertMatch(
    forged.stderr,
    /the receipt of "a": its signature is not valid: it was changed, or forged/,
  );
});

Deno.test("ferry verify --receipt finds what was changed, damaged and removed since", async () => {
  await using p = await Pair.start(["--durability", "none"]);
  for (const name of ["changed", "gone", "same"]) p.write(name, `content of ${name}`);
  assertEquals(
    (await p.run("put", "same", "--checksum", "sha256", "--receipt", "receipts")).code,
    0,
  );
  // A run that adds to the file, after one that was cut in the middle of a line.
  Deno.writeTextFileSync(`${p.cwd}/receipts`, '{"filena', { append: true });
  assertEquals((await p.run("put", "changed", "gone", "same", "--receipt", "receipts")).code, 0);
  const [first, , ...rest] = Deno.readTextFileSync(`${p.cwd}/receipts`).trimEnd().split("\n");
  assertEquals(Object.keys(JSON.parse(first!).digests), ["sha256"]);
  assertEquals(rest.map((line) => JSON.parse(line).filename), ["changed", "gone", "same"]);
  for (const line of rest) {
    const { durability, signature, server } = JSON.parse(line);
    assertEquals([durability, signature, server.certificate], ["none", undefined, undefined]);
  }
  p.write("receipts", rest.join("\n"));
  assertEquals((await p.run("verify", "--receipt", "receipts")).code, 0);
  Deno.writeTextFileSync(`${p.root}/changed`, "another content");
  Deno.removeSync(`${p.root}/gone`);
  const { code, stdout, stderr } = await p.run("verify", "--receipt", "receipts");
  assertEquals([code, stdout], [7, `${md5("content of same")}  same\n`]);
  assertMatch(stderr, /Cannot verify "changed": it was changed since the receipt of 20\d\d/);
  assertMatch(stderr, /Cannot verify "gone": no such file/);
  assertMatch(stderr, /ferry: 1 intact, 1 changed, 1 not verified\n$/);
  const unsigned = await p.run(
    "verify",
    "--receipt",
    "receipts",
    "--offline",
    "--pin",
    "0".repeat(64),
  );
  assertEquals(unsigned.code, 3);
  assertMatch(
    unsigned.stderr,
    /the receipt of "same": it is not signed: its server had no certificate/,
  );
});

Deno.test("ferry put --receipt confirms what was there, directories in pieces, deltas and what is published as one", async () => {
  await using p = await Pair.shared();
  Deno.mkdirSync(`${p.cwd}/many`);
  for (let at = 0; at < 200; at++) p.write(`many/${at}`, `content of ${at}`);
  const put = (...args: string[]) => p.run("put", "many", "--receipt", ...args);
  assertEquals((await put("first")).code, 0);
  assertEquals((await put("again")).code, 0);
  assertEquals((await put("atomic", "--atomic", "--overwrite", "always")).code, 0);
  const named = (path: string) =>
    receiptsIn(`${p.cwd}/${path}`).map(({ filename }) => filename).sort();
  const all = Array.from({ length: 200 }, (_, at) => `many/${at}`).sort();
  for (const path of ["first", "again", "atomic"]) assertEquals(named(path), all, path);
  p.write("failing", "content");
  Deno.mkdirSync(`${p.root}/failing`);
  const partly = await p.run("put", "failing", "many", "--receipt", "partly");
  assertEquals(partly.code, 5);
  assertEquals(named("partly"), all);
});

/** A large file and what becomes of it, and how the one and then the other is sent. */
const FIRST = randomBytes(40 * MIB + 3, 51);
const CHANGED = FIRST.slice();
CHANGED.set(randomBytes(500, 52), 20 * MIB);
const WAYS: readonly [name: string, content: Uint8Array, ...options: string[]][] = [
  ["streams", FIRST, "--streams", "4"],
  ["delta", CHANGED, "--overwrite", "different"],
  ["delta, compressed", FIRST, "--overwrite", "different", "-z"],
  ["streams, compressed", CHANGED, "--overwrite", "always", "--no-delta", "--streams", "4", "-z"],
];

Deno.test("ferry put --receipt confirms what came over several connections, as a delta or compressed", async (t) => {
  const { p, tls } = await securePair();
  await using _p = p;
  for (const [way, content, ...options] of WAYS) {
    await t.step(way, async () => {
      p.write("f", content);
      const put = await p.run("put", "f", "--receipt", way, "--json", ...options, ...tls);
      assertEquals([put.code, put.stderr], [0, ""]);
      const done = JSON.parse(put.stdout.trim().split("\n").at(-1)!);
      assertEquals(done.bytes_reused > 39 * MIB, way.startsWith("delta"), put.stdout);
      const [{ size, digests, signature }] = receiptsIn(`${p.cwd}/${way}`) as [
        Record<string, unknown>,
      ];
      assertEquals([size, digests], [content.length, { md5: md5(content) }]);
      assertMatch(String(signature), /^[\w-]+\.\.[\w-]+$/);
      for (const how of [["-z"], ["--offline"]]) {
        const { code, stdout, stderr } = await p.run("verify", "--receipt", way, ...how, ...tls);
        assertEquals([code, stdout], [0, `${md5(content)}  f\n`], stderr);
      }
      rot(`${p.root}/f`, 30 * MIB);
      for (const what of [["f"], ["--receipt", way]]) {
        const { code, stdout, stderr } = await p.run("verify", ...what, ...tls);
        assertEquals([code, stdout], [7, ""]);
        assertMatch(stderr, /Cannot verify "f": it is damaged/);
      }
      rot(`${p.root}/f`, 30 * MIB);
    });
  }
});

Deno.test("ferry put --receipt fails before anything is sent", async () => {
  await using p = await Pair.shared();
  p.write("a", "content");
  for (
    const [args, code, words] of [
      [["--receipt", "."], 5, /write receipts to "\.": /],
      [["--receipt", "none/receipts"], 4, /write receipts to "none\/receipts": no such file/],
      [["--receipt", "r", "--dry-run"], 2, /does not go with --dry-run/],
    ] as const
  ) {
    const put = await p.run("put", "a", ...args);
    assertMatch(put.stderr, words);
    assert(put.code === code || put.code === 2, `${put.code}`);
    assertEquals((await p.run("stat", "a")).code, 4);
  }
  for (
    const args of [[], ["a", "--receipt", "r"], ["a", "--offline"], ["--receipt", "r", "--offline"]]
  ) {
    assertEquals((await p.run("verify", ...args)).code, 2);
  }
  p.write("r", "\n\nno receipt\n");
  const none = await p.run("verify", "--receipt", "r");
  assertEquals(none.code, 8);
  assertMatch(none.stderr, /^ferry: Cannot read line 3 of "r": it is not the line of a receipt\n/);
});

Deno.test("a file of receipts may have any size, and a line of it may not", async () => {
  await using p = await Pair.shared();
  p.write("one", "1");
  p.write("two", "2");
  assertEquals((await p.run("put", "one", "--receipt", "r")).code, 0);
  // As many bytes as those of ten thousand receipts with their certificates.
  const filler = `${" ".repeat(1023)}\n`.repeat(17 * 1024);
  Deno.writeTextFileSync(`${p.cwd}/r`, filler, { append: true });
  const { code, stderr } = await p.run("put", "two", "--receipt", "r");
  assertEquals(code, 0, stderr);
  const verified = await p.run("verify", "--receipt", "r");
  assertEquals(verified.stdout, `${md5("1")}  one\n${md5("2")}  two\n`, verified.stderr);
  assertEquals(verified.code, 0);
  p.write("r", "\n" + "x".repeat(17 * 1024 * 1024));
  const long = await p.run("verify", "--receipt", "r");
  assertEquals([long.code, long.stdout], [8, ""]);
  assertMatch(long.stderr, /read the receipts in "r": line 2 is too long for a receipt\n$/);
});

Deno.test("ferry put --receipt asks no server for what it does not offer", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    await conn.write(
      frame({ status: "ok", version: 1, features: ["offer"], agent: "old/1", auth: "none" }),
    );
    assertEquals(await conn.read(new Uint8Array(1000)), null, "something was asked");
  })();
  await using dir = new TempDir();
  dir.write("a", "content");
  const server = `127.0.0.1:${listener.addr.port}`;
  const { code, stderr } = await ferry(["put", "a", "--receipt", "r"], { server, cwd: dir.path });
  await serving;
  assertEquals([code, stderr], [8, "ferry: the server, old/1, does not offer receipts\n"]);
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["a"]);
});
