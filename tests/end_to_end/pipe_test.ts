import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect, FsStorage, serve } from "../../mod.ts";
import { ferry, Ferryd, outcome, spawnFerry, stagedIn, TempDir } from "../support/programs.ts";
import { frame } from "../support/raw_peer.ts";
import { md5 } from "../support/bytes.ts";

async function pipe(
  dir: TempDir,
  server: string,
  args: string[],
  input: Uint8Array,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawnFerry(args, { cwd: dir.path, server, stdin: "piped" });
  const writer = child.stdin.getWriter();
  const writing = (async () => {
    await writer.write(input);
    await writer.close();
  })();
  writing.catch(() => {});
  return await outcome(child);
}

Deno.test("ferry put - takes standard input of any length, get --out - gives it back", async (t) => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  await using server = await Ferryd.start(dir.join("root"));
  for (const size of [0, 1, 300_000, 5_000_001]) {
    await t.step(`${size} bytes`, async () => {
      const bytes = Uint8Array.from({ length: size }, (_, i) => i * 31);
      const put = await pipe(dir, server.address, ["put", "-", "--as", `d/${size}`], bytes);
      assertEquals(put, { code: 0, stdout: `${md5(bytes)}  d/${size}\n`, stderr: "" });
      const child = spawnFerry(["get", `d/${size}`, "--out", "-"], { server: server.address });
      const { code, stdout, stderr } = await child.output();
      assertEquals([code, md5(stdout), stderr.length], [0, md5(bytes), 0]);
    });
  }
  const unnamed = await pipe(dir, server.address, ["put", "-"], new Uint8Array());
  assertEquals(unnamed.code, 2);
  assertStringIncludes(unnamed.stderr, "say with --as what it is to be called");
  const taken = await pipe(dir, server.address, ["put", "-", "--as", "d/1"], new Uint8Array(2));
  assertEquals(taken.code, 5);
});

Deno.test("ferry get --out - that turns out wrong ends with exit status 7 and says so", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const child = spawnFerry(["get", "f", "--out", "-"], {
    server: `127.0.0.1:${listener.addr.port}`,
  });
  using conn = await listener.accept();
  const scratch = new Uint8Array(4096);
  await conn.read(scratch);
  await conn.write(frame({ status: "ok", version: 1 }));
  await conn.read(scratch);
  const header = { status: "ok", filename: "f", size: 5, mtime: 0, mode: 0o644, total_size: 5 };
  await conn.write(frame({ ...header, md5: md5("other") }));
  await conn.write(new TextEncoder().encode("hello"));
  await conn.closeWrite();
  const { code, stdout, stderr } = await outcome(child);
  assertEquals([code, stdout], [7, "hello"]);
  assertStringIncludes(stderr, 'ferry: Cannot get "f": the md5 of the 5 bytes that came is ');
});

Deno.test("ferry --limit-rate moves files all the same", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  await using server = await Ferryd.start(dir.join("root"));
  const bytes = new Uint8Array(400_000).fill(3);
  dir.write("f", bytes);
  const options = { cwd: dir.path, server: server.address };
  const put = await ferry(["put", "f", "--limit-rate", "2M", "--json"], options);
  const { md5: sent, seconds } = JSON.parse(put.stdout);
  assertEquals([put.code, sent], [0, md5(bytes)]);
  // The token bucket is full at the start, so the data of the first tenth of a second passes at once.
  assert(seconds >= 0.05, `${seconds} s`);
  assertEquals((await ferry(["get", "f", "--limit-rate", "0"], options)).code, 2);
});

Deno.test("Client.put() of a stream that fails leaves nothing, and the connection goes on", async () => {
  await using dir = new TempDir();
  await using storage = FsStorage.open(dir.path);
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
  const broken = new Error("the source broke");
  async function* failing() {
    yield new Uint8Array(1000);
    await Promise.resolve();
    throw broken;
  }
  assertEquals(await assertRejects(() => client.put(failing(), { as: "f" }), Error), broken);
  await client.ping();
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), [".ferry"]);
  assertEquals(stagedIn(dir.path), []);
});
