import { assert, assertEquals, assertMatch } from "@std/assert";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { ferry, Ferryd, type Outcome, outcome, spawnFerry, stagedIn } from "../support/programs.ts";
import { Pair } from "../support/pair.ts";
import { MIB } from "../support/bytes.ts";

/** The files in the staging area. */
function staged(p: Pair): string[] {
  return stagedIn(p.root);
}

/** Uploads standard input. */
async function pipe(p: Pair, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Outcome> {
  const child = spawnFerry(["put", "-", "--as", name], {
    cwd: p.cwd,
    server: p.server.address,
    stdin: "piped",
  });
  // A client whose upload was refused does not read its input to the end.
  await ReadableStream.from([bytes]).pipeTo(child.stdin).catch(() => {});
  return await outcome(child);
}

Deno.test("ferryd --max-file-size refuses larger files, announced or not", async () => {
  await using p = await Pair.start(["--max-file-size", "10MiB"]);
  p.write("fits", new Uint8Array(10 * MIB));
  p.write("small", "x");
  p.write("large", new Uint8Array(10 * MIB + 1));
  assertEquals((await p.run("put", "fits")).code, 0);
  const refusal =
    'ferry: Cannot put "NAME": files of more than 10 MiB are not taken (on the server)\n';
  const put = await p.run("put", "large", "small");
  assertEquals([put.code, put.stderr], [5, refusal.replace("NAME", "large")]);
  const piped = await pipe(p, "piped", new Uint8Array(11 * MIB));
  assertEquals([piped.code, piped.stderr], [5, refusal.replace("NAME", "piped")]);
  assertEquals(
    [...Deno.readDirSync(p.root)].map(({ name }) => name).sort(),
    [".ferry", "fits", "small"],
  );
  assertEquals(staged(p), []);
});

Deno.test("ferryd --quota counts what is there, what comes and what goes", async () => {
  await using p = await Pair.start();
  Deno.mkdirSync(`${p.root}/d`);
  Deno.writeFileSync(`${p.root}/d/there`, new Uint8Array(4 * MIB));
  await p.server.stop();
  p.server = await Ferryd.start(p.root, ["--quota", "10MiB"]);
  p.write("five", new Uint8Array(5 * MIB).fill(5));
  p.write("one", new Uint8Array(MIB).fill(1));
  p.write("two", new Uint8Array(2 * MIB).fill(2));
  const refused = /^ferry: Cannot put "two": disk quota of 10 MiB reached \(on the server\)\n$/;
  assertEquals((await p.run("put", "five")).code, 0);
  const put = await p.run("put", "two");
  assertEquals(put.code, 5);
  assertMatch(put.stderr, refused);
  // The old file counts until it has been replaced.
  p.write("one", new Uint8Array(MIB).fill(7));
  for (let n = 0; n < 3; n++) {
    p.write("one", new Uint8Array(MIB).fill(n));
    const { code, stderr } = await p.run("put", "one", "--overwrite", "always");
    assertEquals([code, stderr], [
      n === 0 ? 0 : 5,
      n === 0 ? "" : put.stderr.replace("two", "one"),
    ]);
  }
  assertEquals((await p.run("rm", "d", "-r")).code, 0);
  assertEquals((await p.run("put", "one", "two", "--overwrite", "always")).code, 0);
  assertEquals((await p.run("mv", "two", "one", "--overwrite", "always")).code, 0);
  // Seven MiB are used: five of other files, and two of the file `one`.
  p.write("three", new Uint8Array(3 * MIB).fill(3));
  p.write("byte", "x");
  assertEquals((await p.run("put", "three")).code, 0);
  assertEquals((await p.run("put", "byte")).code, 5);
  assertEquals(staged(p), []);
});

Deno.test("ferryd --quota lets two uploads at once take no more than there is", async () => {
  await using p = await Pair.start(["--quota", "30MiB"]);
  for (const name of ["a", "b", "c"]) {
    p.write(name, new Uint8Array(14 * MIB).fill(name.charCodeAt(0)));
  }
  const { code } = await p.run("put", "a", "b", "c", "--jobs", "3", "--json");
  assertEquals(code, 5);
  const names = [...Deno.readDirSync(p.root)].map(({ name }) => name).filter((n) => n !== ".ferry");
  assertEquals(names.length, 2, names.join());
  const streams = ["x", "y"].map((name) => pipe(p, name, new Uint8Array(1.5 * MIB)));
  const codes = (await Promise.all(streams)).map((outcome) => outcome.code);
  // Where both are half there at the same time, neither gets what it still needs.
  const expected = ["0,5", "5,5"];
  assert(expected.includes(codes.toSorted().join()), `two streams of 1.5 MiB in 2 MiB: ${codes}`);
});

Deno.test("ferryd --quota counts the parts of what was cut, until nobody goes on with them", async () => {
  await using p = await Pair.start(["--quota", "40MiB", "--partial-ttl", "7d"]);
  p.write("large", new Uint8Array(30 * MIB).fill(3));
  {
    await using cut = FaultyPeer.start(p.server.port, {
      faults: [{ kind: "reset", direction: "up", at: 25 * MIB }],
    });
    const args = ["put", "large", "--retries", "0"];
    assertEquals((await ferry(args, { cwd: p.cwd, server: cut.address })).code, 6);
  }
  const { stdout } = await p.run("ls", "--partial", "--json");
  const { received } = JSON.parse(stdout);
  assert(received > 12 * MIB, `${received} bytes were kept`);
  p.write("other", new Uint8Array(30 * MIB));
  assertEquals((await p.run("put", "other")).code, 5, "the part is not counted");
  await p.server.stop();
  p.server = await Ferryd.start(p.root, ["--quota", "40MiB"]);
  assertEquals((await p.run("put", "other")).code, 5, "the part is not counted after a restart");
  // Resuming it needs space only for the rest.
  assertEquals((await p.run("put", "large")).code, 0);
  await p.server.stop();
});
