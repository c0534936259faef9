import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  isStandardOutput,
  isStream,
  kindOfSpecial,
  openDestination,
} from "../../../client/transfer/destination.ts";
import { connect, FerryError, FsStorage, serve } from "../../../mod.ts";
import { DENO, outcome, programArgs, spawnFerry, TempDir } from "../../support/programs.ts";
import { Pair } from "../../support/pair.ts";
import { md5 } from "../../support/bytes.ts";

/** Whether there are named pipes and `/dev/fd`. */
const unix = Deno.build.os !== "windows";

/** Whether there is `/dev/full`. */
const linux = Deno.build.os === "linux";

function mkfifo(path: string): void {
  assert(new Deno.Command("mkfifo", { args: [path] }).outputSync().success);
}

Deno.test({
  name: "isStream() knows devices, pipes and descriptors, also behind links" +
    (unix ? "" : " (ignored: needs named pipes)"),
  ignore: !unix,
  async fn() {
    await using dir = new TempDir();
    dir.write("file", "x");
    mkfifo(dir.join("pipe"));
    Deno.symlinkSync("pipe", dir.join("to-pipe"));
    Deno.symlinkSync("file", dir.join("to-file"));
    Deno.symlinkSync("/proc/self/fd/1", dir.join("to-stdout"));
    Deno.symlinkSync("to-stdout", dir.join("to-to-stdout"));
    Deno.symlinkSync("loop", dir.join("loop"));
    for (const name of ["pipe", "to-pipe", "to-stdout", "to-to-stdout"]) {
      assert(isStream(dir.join(name)), name);
    }
    for (const name of ["file", "to-file", "missing", "loop", ""]) {
      assert(!isStream(dir.join(name)), name);
    }
    for (const path of ["/dev/null", "/dev/stdout", "/dev/fd/7", `/proc/${Deno.pid}/fd/1`]) {
      assert(isStream(path), path);
    }
    assert(!isStream("/proc/1/fd/1x"));
    assert(isStandardOutput(dir.join("to-to-stdout")) && isStandardOutput("/dev/fd/1"));
    assert(!isStandardOutput("/dev/stderr") && !isStandardOutput(dir.join("pipe")));
    assertEquals(kindOfSpecial(Deno.statSync("/dev/null")), "character device");
    assertEquals(kindOfSpecial(Deno.statSync(dir.join("pipe"))), "named pipe");
  },
});

Deno.test({
  name: "ferry get --out writes into a pipe, a device and what stands for standard output" +
    (unix ? "" : " (ignored: needs named pipes)"),
  ignore: !unix,
  async fn(t) {
    await using p = await Pair.start();
    Deno.writeTextFileSync(`${p.root}/f`, "content\n");
    await t.step("a named pipe, whatever --overwrite says", async () => {
      mkfifo(`${p.cwd}/pipe`);
      for (const policy of ["never", "always"]) {
        const reading = new Deno.Command("cat", { args: ["pipe"], cwd: p.cwd }).output();
        const { code, stdout, stderr } = await p.run(
          "get",
          "f",
          "-o",
          "pipe",
          "--overwrite",
          policy,
        );
        assertEquals([code, stdout, stderr], [0, `${md5("content\n")}  pipe\n`, ""]);
        assertEquals(new TextDecoder().decode((await reading).stdout), "content\n");
      }
      assert(Deno.lstatSync(`${p.cwd}/pipe`).isFifo);
    });
    await t.step("a pipe that nobody reads from, given up", async () => {
      const child = spawnFerry(["get", "f", "-o", "pipe"], {
        cwd: p.cwd,
        server: p.server.address,
      });
      // It is waiting for a reader when it has connected; before that it ends the same way.
      child.kill("SIGINT");
      assertEquals((await child.output()).signal ?? "SIGINT", "SIGINT");
    });
    await t.step("the null device", async () => {
      const { code, stdout } = await p.run("get", "f", "f", "--out", "/dev/null");
      assertEquals([code, stdout], [0, `${md5("content\n")}  /dev/null\n`]);
      assert(Deno.statSync("/dev/null").isCharDevice);
    });
    await t.step("a link to standard output, which is a file", async () => {
      Deno.symlinkSync("/proc/self/fd/1", `${p.cwd}/stdout`);
      for (const out of ["/dev/stdout", "stdout", "-"]) {
        const child = spawnFerry(["get", "f", "--out", out, "--overwrite", "always"], {
          cwd: p.cwd,
          server: p.server.address,
        });
        assertEquals(await outcome(child), { code: 0, stdout: "content\n", stderr: "" });
      }
      assert(Deno.lstatSync(`${p.cwd}/stdout`).isSymlink);
    });
    await t.step("a directory does not go there", async () => {
      Deno.mkdirSync(`${p.root}/d`);
      const { code, stderr } = await p.run("get", "d", "--out", "/dev/null");
      assertEquals(code, 5);
      assertStringIncludes(stderr, "it is a directory");
    });
    await t.step("a pipe in the way of a file of a directory stays", async () => {
      Deno.writeTextFileSync(`${p.root}/d/pipe`, "x");
      Deno.mkdirSync(`${p.cwd}/d`);
      mkfifo(`${p.cwd}/d/pipe`);
      const { code, stderr } = await p.run("get", "d", "--overwrite", "always");
      assertEquals(code, 5);
      assertStringIncludes(stderr, '"d/pipe" is a named pipe');
      assert(Deno.lstatSync(`${p.cwd}/d/pipe`).isFifo);
    });
  },
});

Deno.test({
  name: "ferry get --out names a socket" +
    (unix ? "" : " (ignored: needs sockets among files)"),
  ignore: !unix,
  async fn() {
    await using p = await Pair.start();
    Deno.writeTextFileSync(`${p.root}/f`, "content\n");
    using _socket = Deno.listen({ transport: "unix", path: `${p.cwd}/socket` });
    const { code, stderr } = await p.run("get", "f", "--out", "socket", "--overwrite", "always");
    assertEquals(code, 5);
    assertStringIncludes(stderr, 'it is a socket (on this machine, "socket")');
  },
});

Deno.test({
  name:
    "ferry says where standard output takes nothing, and goes on where standard error does not" +
    (linux ? "" : " (ignored: needs /dev/full)"),
  ignore: !linux,
  async fn() {
    await using p = await Pair.start();
    p.write("f", "content\n");
    const shell = async (line: string) => {
      const command = `"$0" "$@" ${line}`;
      const args = ["-c", command, DENO, ...programArgs("ferry"), "put", "f", "none", "--to", "d"];
      const env = { FERRY_SERVER: p.server.address };
      const { code, stdout, stderr } = await new Deno.Command("sh", { args, env, cwd: p.cwd })
        .output();
      const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: decode(stdout), stderr: decode(stderr) };
    };
    const out = await shell(">/dev/full");
    assertEquals(out.code, 5);
    assertStringIncludes(out.stderr, "Cannot write to standard output: no space left");
    const err = await shell("2>/dev/full");
    assertEquals([err.code, err.stdout], [4, `${md5("content\n")}  d/f\n`]);
  },
});

Deno.test({
  name: "Client.get() into a pipe whose reader leaves fails once, and the client goes on" +
    (unix ? "" : " (ignored: needs named pipes)"),
  ignore: !unix,
  async fn() {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    await using storage = FsStorage.open(dir.join("root"));
    await using server = await serve({ storage, listen: "127.0.0.1:0" });
    await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
    await client.put(new Uint8Array(5_000_000), { as: "f" });
    mkfifo(dir.join("pipe"));
    const reader = new Deno.Command("head", { args: ["-c", "1", dir.join("pipe")] }).output();
    const error = await assertRejects(
      () => client.get("f", { out: dir.join("pipe") }),
      FerryError,
    );
    await reader;
    assertEquals(error.code, "io");
    assertStringIncludes(error.message, `(on this machine, "${dir.join("pipe")}")`);
    await client.ping();
  },
});

Deno.test({
  name: "openDestination() gives up with its signal" +
    (unix ? "" : " (ignored: needs named pipes)"),
  ignore: !unix,
  async fn() {
    await using dir = new TempDir();
    mkfifo(dir.join("pipe"));
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const waiting = openDestination(dir.join("pipe"), { dryRun: false, signal });
    const error = await assertRejects(() => waiting, Error, "enough");
    assertEquals(error, reason);
    // The open that nobody waits for any more ends with its reader.
    await new Deno.Command("timeout", { args: ["5", "cat", dir.join("pipe")] }).output();
  },
});
