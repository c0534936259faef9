import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { connect } from "../../client/api/connect.ts";
import { DIGESTS } from "../support/digests.ts";
import { type Algorithm, hexOf } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { ferry } from "../support/programs.ts";
import { Pair } from "../support/pair.ts";
import { randomBytes } from "../support/random_file.ts";
import { frame } from "../support/raw_peer.ts";
import { MIB } from "../support/bytes.ts";

const OTHERS: readonly Algorithm[] = ["sha256", "xxh128"];

const SIZES = { empty: 0, small: 2000, middle: 3 * MIB + 1, large: 20 * MIB + 7 };

for (const algorithm of OTHERS) {
  Deno.test(`ferry --checksum ${algorithm} checks files of every size with it, both ways`, async () => {
    await using p = await Pair.shared();
    const names = Object.keys(SIZES);
    const sums: string[] = [];
    for (const [name, size] of Object.entries(SIZES)) {
      const bytes = randomBytes(size);
      p.write(name, bytes);
      sums.push(hexOf(await DIGESTS.checksumOf(algorithm, bytes)));
    }
    const lines = (prefix: string) =>
      sums.map((hex, turn) => `${hex}  ${prefix}${names[turn]}\n`).join("");
    const eventsOf = async (...args: string[]) => {
      const { code, stdout } = await p.run(...args, "--checksum", algorithm, "--json");
      return { code, events: stdout.trim().split("\n").map((line) => JSON.parse(line)) };
    };
    const put = await p.run("put", ...names, "--checksum", algorithm);
    assertEquals([put.code, put.stdout, put.stderr], [0, lines(""), ""]);
    for (const [turn, name] of names.entries()) {
      const stat = await p.run("stat", name, "--checksum", algorithm);
      assertMatch(stat.stdout, new RegExp(`^${algorithm}: +${sums[turn]}$`, "m"));
    }
    Deno.mkdirSync(`${p.cwd}/got`);
    const out = ["get", ...names, "--out", "got/"];
    const get = await p.run(...out, "--checksum", algorithm);
    assertEquals([get.code, get.stdout, get.stderr], [0, lines("got/"), ""]);
    for (const name of names) {
      assertEquals(
        Deno.readFileSync(`${p.cwd}/got/${name}`),
        Deno.readFileSync(`${p.cwd}/${name}`),
      );
    }
    const again = await eventsOf("put", ...names);
    const told = again.events.slice(0, names.length)
      .map(({ skipped, md5, [algorithm]: hex }) => [skipped, md5, hex]);
    assertEquals([again.code, told], [0, sums.map((hex) => [true, null, hex])]);
    const back = await eventsOf(...out);
    const skipped = back.events.slice(0, names.length).map(({ skipped }) => skipped);
    assertEquals([back.code, skipped], [0, names.map(() => true)]);
    p.write("small", "another");
    const other = await p.run("put", "small", "--checksum", algorithm);
    assertEquals([other.code, other.stdout], [5, ""]);
  });

  Deno.test(`ferry --checksum ${algorithm} finds a bit that was flipped`, async () => {
    await using p = await Pair.shared();
    const bytes = randomBytes(10 * MIB);
    p.write("f", bytes);
    for (const [op, direction] of [["put", "up"], ["get", "down"]] as const) {
      if (op === "get") Deno.writeFileSync(`${p.root}/f`, bytes);
      await using faulty = FaultyPeer.start(p.server.port, {
        faults: [{ kind: "flip", direction, at: 5 * MIB }],
      });
      const args = [op, "f", "--checksum", algorithm, "--retries", "0", "--out", "got"];
      const { code, stderr } = await ferry(op === "put" ? args.slice(0, -2) : args, {
        cwd: p.cwd,
        server: faulty.address,
      });
      assertEquals(code, 7);
      assertStringIncludes(stderr, `the ${algorithm} of the `);
      assertEquals([...Deno.readDirSync(p.cwd)].map(({ name }) => name), ["f"]);
    }
  });

  Deno.test(`ferry --checksum ${algorithm} goes on behind parts, of whatever checksum they are`, async () => {
    await using p = await Pair.shared();
    const bytes = randomBytes(28 * MIB);
    const hex = hexOf(await DIGESTS.checksumOf(algorithm, bytes));
    for (const before of ["md5", algorithm]) {
      for (const [op, direction] of [["put", "up"], ["get", "down"]] as const) {
        const [source, target] = op === "put" ? [p.cwd, p.root] : [p.root, p.cwd];
        const name = `${op}-${before}`;
        Deno.writeFileSync(`${source}/${name}`, bytes);
        await using cut = FaultyPeer.start(p.server.port, {
          faults: [{ kind: "reset", direction, at: 20 * MIB }],
        });
        const first = await ferry([op, name, "--checksum", before, "--retries", "0"], {
          cwd: p.cwd,
          server: cut.address,
        });
        assertEquals(first.code, 6, first.stderr);
        await p.uploadsEnded();
        const { code, stdout } = await p.run(op, name, "--checksum", algorithm, "--json");
        const { resumed_from, [algorithm]: told } = JSON.parse(stdout);
        assertEquals([code, told], [0, hex]);
        // A partial download that was made with md5 has no proof that this server could compare.
        const lost = op === "get" && before === "md5";
        if (lost) assertEquals(resumed_from, 0);
        else assert(resumed_from >= 12 * MIB, `${name}: from ${resumed_from}`);
        assertEquals(Deno.readFileSync(`${target}/${name}`), bytes);
      }
    }
  });

  Deno.test(`ferry --checksum ${algorithm} moves directories and pipes`, async () => {
    await using p = await Pair.shared();
    Deno.mkdirSync(`${p.cwd}/t/sub`, { recursive: true });
    for (const [name, size] of Object.entries(SIZES)) p.write(`t/sub/${name}`, randomBytes(size));
    const put = await p.run("put", "t", "--checksum", algorithm);
    assertEquals(put.code, 0, put.stderr);
    const hex = hexOf(await DIGESTS.checksumOf(algorithm, randomBytes(SIZES.small)));
    assertStringIncludes(put.stdout, `${hex}  t/sub/small\n`);
    // The times differ, so that files are compared by content alone.
    Deno.utimeSync(`${p.cwd}/t/sub/small`, 1, 1);
    const args = ["--checksum", algorithm, "--checksum-compare", "--overwrite", "different"];
    const again = await p.run("put", "t", ...args);
    assertEquals([again.code, again.stdout], [0, ""]);
    assertStringIncludes(again.stderr, "0 transferred (0 B), 4 unchanged");
    const get = await p.run("get", "t", "--out", "back", "--checksum", algorithm);
    assertStringIncludes(get.stdout, `${hex}  back/sub/small\n`);
    const { stdout } = await p.run("get", "t/sub/small", "--out", "-", "--checksum", algorithm);
    assertEquals(stdout, new TextDecoder().decode(randomBytes(SIZES.small)));
  });
}

Deno.test("a server is not asked for a checksum that it does not have", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using conn = await listener.accept();
    await conn.read(new Uint8Array(1000));
    await conn.write(frame({ status: "ok", version: 1, features: ["offer"], agent: "old/1" }));
    assertEquals(await conn.read(new Uint8Array(1000)), null, "something was asked");
  })();
  {
    await using client = await connect(`127.0.0.1:${listener.addr.port}`, { retries: 0 });
    const put = () => client.put(new Uint8Array(3), { as: "f", algorithm: "sha256" });
    const codes: unknown[] = [];
    for (
      const ask of [
        put,
        () => client.get("f", { algorithm: "xxh128" }),
        () => client.stat("f", { algorithm: "sha256" }),
        () => client.getTree("d", { algorithm: "sha256" }),
      ]
    ) {
      await ask().catch((error) => codes.push(error instanceof FerryError && error.message));
    }
    assertEquals(codes, [
      'Cannot put "f": the server, old/1, does not offer sha256',
      'Cannot get "f": the server, old/1, does not offer xxh128',
      'Cannot stat "f": the server, old/1, does not offer sha256',
      'Cannot get "d": the server, old/1, does not offer sha256',
    ]);
  }
  await serving;
});

Deno.test("a checksum that was asked for is what sha256sum prints", async () => {
  await using p = await Pair.shared();
  p.write("f", "hello\n");
  const { stdout } = await p.run("put", "f", "--checksum", "sha256");
  assertEquals(stdout, `${createHash("sha256").update("hello\n").digest("hex")}  f\n`);
});
