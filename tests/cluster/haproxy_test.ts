import { assert, assertEquals } from "@std/assert";
import { isThere } from "../support/mount.ts";
import { ferry, ferryd, TempDir } from "../support/programs.ts";
import { Haproxy } from "./haproxy.ts";
import { Instance } from "./instance.ts";

Deno.test({
  name: "the haproxy of operating.md passes TLS on, and leaves out servers that cannot serve",
  ignore: !isThere("haproxy"),
  fn: async () => {
    await using dir = new TempDir();
    const pin = (await ferryd(["cert", "--host", "localhost"], { cwd: dir.path })).stdout.trim();
    const scope = ["--name", "all", "--scope", "read,write"];
    const made = await ferryd(["token", "new", "--token-file", "tokens", ...scope], {
      cwd: dir.path,
    });
    Deno.writeTextFileSync(dir.join("token"), made.stdout, { mode: 0o600 });
    const args = [
      ...["--tls-cert", dir.join("ferryd-cert.pem"), "--tls-key", dir.join("ferryd-key.pem")],
      ...["--token-file", dir.join("tokens")],
    ];
    await using stack = new AsyncDisposableStack();
    const instances = ["one", "two"].map((name) => {
      const root = dir.join(name);
      Deno.mkdirSync(root);
      return stack.use(new Instance(name, { root, args, env: {} }));
    });
    await Promise.all(instances.map((instance) => instance.start()));
    const [one, two] = instances as [Instance, Instance];
    const ports = new Map(instances.map(({ name, port }) => [name, port]));
    await using haproxy = await Haproxy.start(dir.path, ports);
    const run = (...args: string[]) => {
      const trust = ["--pin", pin, "--token-file", dir.join("token")];
      return ferry([...args, ...trust], { cwd: dir.path, server: haproxy.address });
    };
    const states = (one: string, two: string) =>
      haproxy.until((seen) =>
        seen.get("one")?.startsWith(one) === true && seen.get("two")?.startsWith(two) === true
      );
    await states("UP", "UP");
    dir.write("file", "content\n");

    // Its directory is gone: it still listens, and does not pass the check.
    Deno.renameSync(dir.join("one"), dir.join("elsewhere"));
    await states("DOWN", "UP");
    assertEquals((await run("put", "file")).code, 0);
    assert(Deno.statSync(dir.join("two/file")).isFile);
    Deno.renameSync(dir.join("elsewhere"), dir.join("one"));
    await states("UP", "UP");

    // An upgrade as described: nothing new goes to the server that is restarted.
    await haproxy.tell("set server ferryds/two state drain");
    await states("UP", "DRAIN");
    assertEquals(await two.end("SIGTERM"), 0);
    assertEquals((await run("put", "file", "--as", "during", "--retries", "0")).code, 0);
    assert(Deno.statSync(dir.join("one/during")).isFile);
    await two.start();
    await haproxy.tell("set server ferryds/two state ready");
    await states("UP", "UP");

    // Connections to a server that has just been killed go to the other one.
    await one.end("SIGKILL");
    const results = await Promise.all(
      [1, 2, 3, 4].map((number) => run("put", "file", "--as", `after/${number}`)),
    );
    assertEquals(results.map(({ code }) => code), [0, 0, 0, 0], results[0]!.stderr);
    await states("DOWN", "UP");
  },
});
