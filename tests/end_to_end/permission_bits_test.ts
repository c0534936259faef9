import { assertEquals } from "@std/assert";
import { connect } from "../../client/api/connect.ts";
import type { Client } from "../../client/api/client.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { Pair } from "../support/pair.ts";
import { ferry, filesBelow } from "../support/programs.ts";
import { MIB } from "../support/bytes.ts";

/** Windows has no permission bits. */
const ignore = Deno.build.os === "windows";

function bitsOf(path: string): string {
  return (Deno.statSync(path).mode! & 0o777).toString(8);
}

function write(path: string, content: string | Uint8Array, mode?: number): void {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  if (typeof content === "string") Deno.writeTextFileSync(path, content);
  else Deno.writeFileSync(path, content);
  if (mode !== undefined) Deno.chmodSync(path, mode);
}

/** Transfers of a tree of small files and of a single file, over existing files. */
const TRANSFERS: Readonly<
  Record<string, (client: Client, cwd: string, options: Transfer) => Promise<unknown>>
> = {
  "put FILE": (client, cwd, options) => client.put(`${cwd}/tree/a`, { ...options, as: "tree/a" }),
  "put DIR": (client, cwd, options) => client.putTree(`${cwd}/tree`, { ...options, as: "tree" }),
  "get FILE": (client, cwd, options) => {
    return client.get("tree/a", { ...options, out: `${cwd}/tree/a` });
  },
  "get DIR": (client, cwd, options) => client.getTree("tree", { ...options, out: `${cwd}/tree` }),
};

interface Transfer {
  overwrite: Overwrite;
  preserve: boolean;
}

Deno.test({
  name: "a file that is replaced keeps its permission bits, unless -p takes over the other side's",
  ignore,
  async fn() {
    await using p = await Pair.shared();
    await using client = await connect(p.server.address);
    for (const [name, run] of Object.entries(TRANSFERS)) {
      for (const overwrite of ["always", "newer", "different"] as const) {
        for (const [bits, preserve] of [[0o600, false], [0o751, false], [0o600, true]] as const) {
          const [from, to] = name.startsWith("put") ? [p.cwd, p.root] : [p.root, p.cwd];
          write(`${to}/tree/a`, "old", bits);
          const past = new Date(1_000_000_000_000);
          Deno.utimeSync(`${to}/tree/a`, past, past);
          write(`${from}/tree/a`, "the new one", 0o644);
          await run(client, p.cwd, { overwrite, preserve });
          const what = `${name}, ${overwrite}, onto ${bits.toString(8)}`;
          assertEquals(Deno.readTextFileSync(`${to}/tree/a`), "the new one", what);
          assertEquals(bitsOf(`${to}/tree/a`), preserve ? "644" : bits.toString(8), what);
          Deno.removeSync(`${from}/tree`, { recursive: true });
          Deno.removeSync(`${to}/tree`, { recursive: true });
        }
      }
    }
  },
});

Deno.test({
  name: "a link to a file is replaced by a file of its permission bits",
  ignore,
  async fn() {
    await using p = await Pair.shared();
    for (const [op, from, to] of [["put", p.cwd, p.root], ["get", p.root, p.cwd]] as const) {
      write(`${from}/name`, "new");
      write(`${to}/secret`, "old", 0o600);
      Deno.symlinkSync("secret", `${to}/name`);
      assertEquals((await p.run(op, "name", "--overwrite", "always")).code, 0);
      assertEquals([bitsOf(`${to}/name`), Deno.lstatSync(`${to}/name`).isFile], ["600", true]);
      assertEquals(Deno.readTextFileSync(`${to}/secret`), "old");
      for (const side of [from, to]) Deno.removeSync(`${side}/name`);
    }
  },
});

/** The number of bytes after which a connection is cut, so that a partial transfer is kept. */
const CUT = 10 * MIB;

Deno.test({
  name:
    "what is kept of a cut transfer is for one user alone, and what becomes of it keeps the bits",
  ignore,
  async fn() {
    const large = new Uint8Array(14 * MIB).map((_, at) => at >> 10);
    for (const op of ["put", "get"] as const) {
      await using p = await Pair.shared();
      const [from, to] = op === "put" ? [p.cwd, p.root] : [p.root, p.cwd];
      write(`${from}/f`, large, 0o644);
      write(`${to}/f`, "old", 0o600);
      const args = [op, "f", "--overwrite", "always"];
      const faults = [
        { kind: "close", direction: op === "put" ? "up" : "down", at: CUT } as const,
      ];
      await using cutting = FaultyPeer.start(p.server.port, { faults });
      const options = { cwd: p.cwd, server: cutting.address };
      assertEquals((await ferry([...args, "--retries", "0"], options)).code, 6);
      const parts = filesBelow(to).filter((path) => path.endsWith(".part"));
      assertEquals(parts.map((part) => bitsOf(`${to}/${part}`)), ["600"]);
      await p.uploadsEnded();
      const { code, stdout } = await p.run(...args, "--json");
      const event = JSON.parse(stdout.trim().split("\n").at(-1)!);
      assertEquals([code, event.resumed_from > 0, bitsOf(`${to}/f`)], [0, true, "600"]);
    }
  },
});

Deno.test({
  name: "a download that goes on with a private part for a new file gives it the bits of new files",
  ignore,
  async fn() {
    await using p = await Pair.shared();
    write(`${p.root}/f`, new Uint8Array(14 * MIB), 0o640);
    const faults = [{ kind: "close", direction: "down", at: CUT } as const];
    await using cutting = FaultyPeer.start(p.server.port, { faults });
    const options = { cwd: p.cwd, server: cutting.address };
    assertEquals((await ferry(["get", "f", "-p", "--retries", "0"], options)).code, 6);
    const [part] = filesBelow(p.cwd).filter((path) => path.endsWith(".part"));
    assertEquals(bitsOf(`${p.cwd}/${part}`), "600");
    assertEquals((await p.run("get", "f")).code, 0);
    write(`${p.cwd}/new`, "");
    assertEquals(bitsOf(`${p.cwd}/f`), bitsOf(`${p.cwd}/new`));
  },
});
