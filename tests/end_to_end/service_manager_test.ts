import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Ferryd, TempDir } from "../support/programs.ts";

/** A service manager of one server: the socket on which it is told how that is. */
class Manager implements Disposable {
  readonly #socket: {
    receive(): Promise<[Uint8Array, unknown]>;
    close(): void;
  };

  /** @param path the path of the socket; an abstract name begins with a zero byte */
  constructor(path: string) {
    this.#socket = Deno.listenDatagram({ transport: "unixpacket", path } as never) as never;
  }

  /** The next message, by its keys. */
  async told(): Promise<Map<string, string>> {
    const [bytes] = await this.#socket.receive();
    const lines = new TextDecoder().decode(bytes).trimEnd().split("\n");
    return new Map(lines.map((line) => line.split("=", 2) as [string, string]));
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

const NEEDS_LINUX = Deno.build.os !== "linux";

for (const kind of ["path", "abstract name"]) {
  Deno.test({
    name: `ferryd tells its service manager how it is, over a socket with a ${kind}`,
    ignore: NEEDS_LINUX,
    fn: async () => {
      await using dir = new TempDir();
      Deno.mkdirSync(dir.join("root"));
      const token = "ferry-tokens 1\n";
      dir.write("tokens", token);
      const name = kind === "path" ? dir.join("notify") : `ferryd-test-${crypto.randomUUID()}`;
      using manager = new Manager(kind === "path" ? name : `\0${name}`);
      const env = { NOTIFY_SOCKET: kind === "path" ? name : `@${name}` };
      const options = ["--drain-timeout", "20s"];
      await using server = await Ferryd.start(dir.join("root"), options, { env });
      const ready = await manager.told();
      assertEquals(ready.get("READY"), "1");
      assertStringIncludes(ready.get("STATUS")!, "root");
      Deno.kill(server.pid, "SIGHUP");
      const reloading = await manager.told();
      assertEquals(reloading.get("RELOADING"), "1");
      const since = Number(reloading.get("MONOTONIC_USEC"));
      assert(since % 1e6 === 0 && since / 1e6 <= Deno.osUptime() + 1, `${since}`);
      assertEquals((await manager.told()).get("READY"), "1");
      const stopped = server.stop();
      const stopping = await manager.told();
      assertEquals(stopping.get("STOPPING"), "1");
      assertEquals(stopping.get("EXTEND_TIMEOUT_USEC"), "25000000");
      await stopped;
    },
  });
}

Deno.test({
  name: "ferryd gives its watchdog signs of life, unless that waits for another process",
  ignore: NEEDS_LINUX,
  fn: async () => {
    await using dir = new TempDir();
    using manager = new Manager(dir.join("notify"));
    const env = { NOTIFY_SOCKET: dir.join("notify"), WATCHDOG_USEC: "20000" };
    const server = await Ferryd.start(dir.path, [], { env });
    for (let signs = 0; signs < 3;) if ((await manager.told()).get("WATCHDOG") === "1") signs++;
    // What is not read meanwhile fills the socket, and the server ends all the same.
    await server.stop();
    const other = { ...env, NOTIFY_SOCKET: dir.join("other"), WATCHDOG_PID: "1" };
    using of = new Manager(other.NOTIFY_SOCKET);
    const unwatched = await Ferryd.start(dir.path, [], { env: other });
    assert((await of.told()).has("READY"));
    await unwatched.stop();
    assert((await of.told()).has("STOPPING"));
  },
});

Deno.test({
  name: "ferryd serves without a service manager that it cannot tell, and says so once",
  ignore: NEEDS_LINUX,
  fn: async () => {
    await using dir = new TempDir();
    for (
      const [named, says] of [
        [dir.join("nothing"), /cannot be told READY=1: no such file or directory/],
        ["relative", /NOTIFY_SOCKET=relative cannot be used: it is neither a path nor/],
      ] as const
    ) {
      const server = await Ferryd.start(dir.path, [], { env: { NOTIFY_SOCKET: named } });
      const { stderr } = await server.stop();
      assertMatch(stderr, says);
      assertEquals(stderr.match(/service manager|NOTIFY_SOCKET/g)!.length, 1);
    }
  },
});
