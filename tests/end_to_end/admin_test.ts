import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Status } from "../../server/admin/status.ts";
import { exchangeAt, posted, socketsIn, statusOf, statusWhen } from "../support/admin_peer.ts";
import { MIB } from "../support/bytes.ts";
import { ferry, Ferryd, ferryd, HOLDS_DIRECTORIES, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { RawPeer } from "../support/raw_peer.ts";

/** Windows has no sockets with a path in Deno. */
const ignore = Deno.build.os === "windows";

/** How much is sent of an upload that then waits, in bytes: enough to be recorded. */
const SENT = 12 * MIB;

/** A client that has sent a part of a file and no more. */
async function beginPut(server: Ferryd, filename: string): Promise<RawPeer> {
  const peer = await RawPeer.connect(server.port);
  const put = { op: "put", filename, md5: null, total_size: 2 * SENT };
  await peer.send(put, randomBytes(SENT));
  return peer;
}

/** Whether a server has recorded an upload that was begun. */
function hasUpload({ connections, partial_uploads }: Status): boolean {
  return partial_uploads.length > 0 && connections.some(({ operations }) => operations.length > 0);
}

Deno.test({
  name: "ferryd status shows who is connected, what runs and what is stored of it; kick cuts it",
  ignore,
  async fn() {
    await using dir = new TempDir();
    // Longer than the path of a socket may be.
    const root = dir.join(HOLDS_DIRECTORIES ? "r".repeat(120) : "r");
    Deno.mkdirSync(root);
    await using server = await Ferryd.start(root);
    using peer = await beginPut(server, "a\x1b[31m");
    const [connection] = (await statusWhen(server, hasUpload)).connections;
    const json = await ferryd(["status", "--json"], { cwd: root });
    const { state, pid, connections, partial_uploads, listening, ...status } = JSON.parse(
      json.stdout,
    );
    assertEquals([json.code, state, pid, status.root], [0, "serving", server.pid, root]);
    assertEquals(listening, [{ listener: "tcp", address: server.address }]);
    const { op, name, received, rate } = connections[0].operations[0];
    assertEquals([connections[0].id, op, name, rate], [connection!.id, "put", "a\x1b[31m", 0]);
    assertEquals([partial_uploads[0].size, partial_uploads[0].active], [2 * SENT, true]);
    assertEquals(received <= SENT && partial_uploads[0].received <= received, true);
    const shown = await ferryd(["status", "--root", root]);
    assertStringIncludes(shown.stdout, String.raw`"a\u001b[31m"`);
    assertMatch(shown.stdout, /^CONNECTION +LISTENER[^]*\nREQUEST +OPER[^]*\nPARTIAL UPLOAD/m);
    const kicked = await ferryd(["kick", "--root", root, "nobody", connection!.id]);
    assertEquals(kicked, {
      code: 0,
      stdout: `closed ${connection!.id} of ${connection!.peer} by tcp\n`,
      stderr: "",
    });
    assertEquals(await peer.code(), "ended");
    const again = await ferryd(["kick", "--root", root, connection!.id]);
    assertEquals([again.code, again.stdout], [4, ""]);
    const { stderr } = await server.stop();
    assertMatch(stderr, /Closes the connection \w+ of \S+: an admin has asked for it/);
    assertMatch(stderr, /put "a\\u001b\[31m": an operator of the server has closed it \(closed\)/);
  },
});

Deno.test({
  name: "ferryd drain waits for what runs, as long as it says, and for the end",
  ignore,
  async fn() {
    await using dir = new TempDir();
    await using server = await Ferryd.start(dir.path, ["--drain-timeout", "1h"]);
    using _peer = await beginPut(server, "a");
    await statusWhen(server, hasUpload);
    const drained = await ferryd(["drain", "--root", dir.path, "--timeout", "10ms"]);
    assertEquals([drained.code, drained.stdout], [0, ""]);
    assertMatch(drained.stderr, /^ferryd: process \d+ ends: (1 operation left, |nothing)/);
    assertStringIncludes(drained.stderr, `ferryd: process ${server.pid} has ended\n`);
    const { code, stderr } = await server.stop();
    assertEquals(code, 0);
    assertStringIncludes(stderr, "Ends once transfers under way have finished: an admin");
    const gone = await ferryd(["drain", "--root", dir.path]);
    assertEquals([gone.code, gone.stderr], [6, `ferryd: no ferryd serves "${dir.path}"\n`]);
  },
});

Deno.test({
  name: "no bytes on the socket of the operator harm the server, and nobody else may connect",
  ignore,
  async fn() {
    await using dir = new TempDir();
    await using server = await Ferryd.start(dir.path);
    const [socket] = socketsIn(dir.path) as [string];
    assertEquals(Deno.statSync(socket).mode! & 0o777, 0o600);
    assertEquals(Deno.statSync(`${dir.path}/.ferry/sockets`).mode! & 0o777, 0o700);
    const head = "Host: ferryd\r\nConnection: close\r\n\r\n";
    const answers: [sent: string, answer: RegExp][] = [
      ["\0\xff nonsense\r\n\r\n", /^(HTTP\/1.1 400|$)/],
      [`GET /v1/other HTTP/1.1\r\n${head}`, /^HTTP\/1.1 404 [^]*"not_found"/],
      [`DELETE /v1/status HTTP/1.1\r\n${head}`, /^HTTP\/1.1 404 /],
      [posted("/v1/kick", "{"), /^HTTP\/1.1 400 [^]*"the body is not JSON"/],
      [posted("/v1/kick", "[]"), /^HTTP\/1.1 400 [^]*"usage"/],
      [posted("/v1/kick", '{"who":[]}'), /^HTTP\/1.1 400 [^]*"who: is empty"/],
      [posted("/v1/kick", '{"who":[7]}'), /^HTTP\/1.1 400 [^]*"who.0: is not a string"/],
      [posted("/v1/drain", '{"timeout":-1}'), /^HTTP\/1.1 400 [^]*"timeout: is negative"/],
      [posted("/v1/drain", " ".repeat(70_000)), /^HTTP\/1.1 400 [^]*"the body is too large"/],
    ];
    for (const [sent, answer] of answers) {
      assertMatch(await exchangeAt(socket, sent), answer, sent.slice(0, 80));
    }
    // Half a request does not keep the server from ending.
    using half = await Deno.connect({ transport: "unix", path: socket });
    await half.write(new TextEncoder().encode("POST /v1/drain HTTP/1.1\r\nContent-Le"));
    assertEquals((await statusOf(server)).state, "serving");
    const { code, stderr } = await server.stop();
    assertEquals([code, stderr], [0, ""]);
  },
});

Deno.test({
  name: "ferryd status shows the directories that put --atomic has left for its next attempt",
  ignore,
  async fn() {
    await using dir = new TempDir();
    for (const name of ["root", "d"]) Deno.mkdirSync(dir.join(name));
    await using server = await Ferryd.start(dir.join("root"), ["--max-file-size", "1k"]);
    dir.write("d/small", new Uint8Array(700));
    dir.write("d/large", new Uint8Array(2000));
    const put = (...more: string[]) =>
      ferry(["put", "d", "--atomic", ...more], { cwd: dir.path, server: server.address });
    assertEquals((await put()).code, 5);
    const { staged_directories: [left, ...others] } = await statusOf(server);
    const { seconds, ...facts } = left!;
    assertEquals([facts, others], [{ name: "d", bytes: 700, active: false }, []]);
    assertEquals(seconds >= 0, true);
    const { stdout } = await ferryd(["status", "--root", dir.join("root")]);
    assertMatch(stdout, /\n\nSTAGED +SINCE +TOKEN +DIRECTORY\n700 B +\d+ s +- +d\n/);
    assertEquals((await put("--exclude", "large")).code, 0);
    assertEquals((await statusOf(server)).staged_directories, []);
  },
});

Deno.test({
  name: "a socket that is removed while ferryd runs is made again, with its directory",
  ignore,
  async fn() {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    Deno.mkdirSync(dir.join("sockets"));
    const path = dir.join("sockets/s");
    await using server = await Ferryd.start(dir.join("root"));
    await using other = await Ferryd.start(await Deno.makeTempDir({ dir: dir.path }), [
      ...["--admin-socket", path],
    ]);
    const reachable = async (...where: string[]) => {
      for (;;) {
        const { code, stdout, stderr } = await ferryd(["status", "--json", ...where]);
        if (code === 0) return JSON.parse(stdout).pid;
        // What the command finds where nobody listens.
        assertEquals(code, 6, stderr);
      }
    };
    Deno.removeSync(dir.join("root/.ferry"), { recursive: true });
    Deno.removeSync(dir.join("sockets"), { recursive: true });
    assertEquals(await reachable("--root", dir.join("root")), server.pid);
    const [socket] = socketsIn(dir.join("root")) as [string];
    assertEquals(Deno.statSync(socket).mode! & 0o777, 0o600);
    Deno.mkdirSync(dir.join("sockets"));
    assertEquals(await reachable("--admin-socket", path), other.pid);
    Deno.removeSync(path);
    assertEquals(await reachable("--admin-socket", path), other.pid);
    for (const each of [server, other]) {
      const { code, stderr } = await each.stop();
      assertEquals(code, 0);
      assertStringIncludes(stderr, "The socket for ferryd status, kick and drain was removed");
    }
  },
});

Deno.test({
  name: "ferryd status does not wait for ever for a ferryd that hangs, and shows the others",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using dir = new TempDir();
    await using one = await Ferryd.start(dir.path, ["--together"]);
    await using hung = await Ferryd.start(dir.path, ["--together"]);
    Deno.kill(hung.pid, "SIGSTOP");
    const status = await ferryd(["status", "--root", dir.path]);
    assertEquals(status.code, 6, status.stderr);
    assertStringIncludes(status.stdout, `process ${one.pid}, `);
    assertMatch(status.stderr, /^ferryd: Cannot ask a ferryd that runs: it has not answered for/);
    const pid = ["--root", dir.path, "--pid", `${one.pid}`];
    assertEquals((await ferryd(["drain", ...pid])).code, 0);
    Deno.kill(hung.pid, "SIGCONT");
  },
});

Deno.test({
  name: "ferryds that serve together are all shown, and each can be drained by its process id",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using dir = new TempDir();
    await using killed = await Ferryd.start(dir.path, ["--together"]);
    await killed.stop("SIGKILL");
    assertEquals(socketsIn(dir.path).length, 1);
    await using one = await Ferryd.start(dir.path, ["--together"]);
    await using other = await Ferryd.start(dir.path, ["--together"]);
    assertEquals(socketsIn(dir.path).length, 2, "the socket of the one that was killed is gone");
    const pids = async () => {
      const { stdout } = await ferryd(["status", "--json", "--root", dir.path]);
      return stdout.trim().split("\n").map((line) => JSON.parse(line).pid);
    };
    assertEquals(await pids(), [one.pid, other.pid].sort((a, b) => a - b));
    const which = ["--root", dir.path, "--pid", `${one.pid}`];
    assertEquals((await ferryd(["drain", ...which])).code, 0);
    assertEquals(await pids(), [other.pid]);
    const { code, stderr } = await ferryd(["status", ...which]);
    assertEquals([code, stderr.includes(`as process ${one.pid}`)], [6, true], stderr);
  },
});

Deno.test({
  name: "--admin-socket takes a free path that a socket may have, and replaces a dead one",
  ignore,
  async fn() {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    const socket = dir.join("s");
    // Each over a root of its own, since they run at the same time.
    const at = (path: string) => {
      const root = Deno.makeTempDirSync({ dir: dir.path });
      return ["--root", root, "--listen", "127.0.0.1:0", "--admin-socket", path];
    };
    await using killed = await Ferryd.start(dir.join("root"), ["--admin-socket", socket]);
    await killed.stop("SIGKILL");
    await using _server = await Ferryd.start(dir.join("root"), ["--admin-socket", socket]);
    const status = await ferryd(["status", "--admin-socket", socket]);
    assertMatch(status.stdout, /^ferryd \S+, process \d+, serves /);
    const refusals: [args: string[], code: number, said: string][] = [
      [at(socket), 6, "another process listens there"],
      [at(dir.write("file", "x")), 5, "something that is no socket has that name"],
      [at(dir.join("s".repeat(120))), 2, "longer than a socket's may be"],
      [at(dir.join("none/s")), 4, "no such file or directory"],
      [["status", "--root", "s3://bucket/prefix"], 2, "give --admin-socket"],
      [["status", "--admin-socket", dir.join("none")], 6, "no ferryd answers at"],
      [["kick"], 2, "kick"],
    ];
    await Promise.all(refusals.map(async ([args, code, said]) => {
      const refused = await ferryd(args);
      assertEquals([refused.code, refused.stdout], [code, ""], refused.stderr);
      assertStringIncludes(refused.stderr, said);
    }));
    assertEquals(Deno.readTextFileSync(dir.join("file")), "x");
  },
});
