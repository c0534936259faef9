import { RUNTIME } from "../../support/runtime.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { localFailure } from "../../../client/transfer/local_failure.ts";
import { type ErrorCode, FerryError } from "../../../lib/core/errors.ts";
import { Wire } from "../../../lib/wire/frames.ts";
import { type Client, connect, FsStorage, serve } from "../../../mod.ts";
import { TempDir } from "../../support/programs.ts";

/** A server that greets, and refuses everything else with one code, about the name that it was asked for. */
class Refuser implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<void>;
  readonly address = `127.0.0.1:${this.#listener.addr.port}`;

  constructor(code: ErrorCode) {
    this.#serving = this.#serve(code);
  }

  async #serve(code: ErrorCode): Promise<void> {
    for await (const conn of this.#listener) {
      const wire = new Wire(conn, { runtime: RUNTIME, idleTimeout: () => 10_000 });
      for (let frame; (frame = await wire.readFrame().catch(() => null));) {
        const { op, filename = "?" } = frame.header as Record<string, unknown>;
        await frame.body.drain().catch(() => false);
        const refusal = { status: "error", code, message: `Cannot ${op} "${filename}": no luck` };
        const hello = { status: "ok", version: 1, features: ["compare"] };
        await wire.writeFrame(op === "hello" ? hello : refusal).catch(() => {});
        await wire.flush().catch(() => {});
      }
      wire.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving.catch(() => {});
  }
}

/** What each command is, with the name that its message has to have. */
const ASKED: Readonly<
  Record<string, (client: Client, dir: TempDir) => Promise<unknown>>
> = {
  'put "f"': (client) => client.put(new Uint8Array(3), { as: "f" }),
  'get "f"': (client, dir) => client.get("f", { out: dir.join("new/f") }),
  'stat "f"': (client) => client.stat("f"),
  'remove "f"': (client) => client.remove("f"),
  'move "f" to "g"': (client) => client.move("f", "g"),
  'make the directory "f"': (client) => client.mkdir("f"),
  'list "f"': async (client) => {
    for await (const _ of client.list("f"));
  },
  'get "d"': (client, dir) => client.getTree("d", { out: dir.join("d") }),
};

Deno.test("a failure of the server is said to be that, with the name, for every code and request", async (t) => {
  const codes: ErrorCode[] = [
    "internal",
    "io",
    "denied",
    "not_found",
    "exists",
    "bad_name",
    "too_large",
    "quota",
    "no_space",
    "not_a_file",
    "busy",
  ];
  for (const code of codes) {
    await t.step(code, async () => {
      await using dir = new TempDir();
      await using server = new Refuser(code);
      await using client = await connect(server.address, { retries: 0 });
      for (const [action, ask] of Object.entries(ASKED)) {
        const error = await assertRejects(() => ask(client, dir), FerryError);
        assertEquals([error.code, error.message], [
          code,
          `Cannot ${action}: no luck (on the server)`,
        ]);
      }
      // The name there is another than the path here.
      const path = dir.write("local", "x");
      const error = await assertRejects(() => client.put(path, { as: "far/f" }), FerryError);
      assertEquals(error.message, `Cannot put "${path}": no luck (on the server, "far/f")`);
      // In a directory it is one file's failure.
      if (code === "denied") return;
      Deno.mkdirSync(dir.join("tree"));
      const tree = dir.write("tree/a", "x");
      const said: string[] = [];
      await client.putTree(dir.join("tree"), {
        as: "far",
        onError: (_, { message }) => said.push(message),
      }).catch(({ message }) => said.push(message));
      assertEquals(said.length, 1);
      assertStringIncludes(said[0]!, "no luck (on the server");
      assertStringIncludes(said[0]!, dir.join("tree"));
      assert(tree.length > 0);
    });
  }
});

Deno.test("a failure of this machine is said to be that, with the path, in both directions", async (t) => {
  await using dir = new TempDir();
  for (const name of ["root/t/sub", "here/taken/f", "out"]) {
    Deno.mkdirSync(dir.join(name), { recursive: true });
  }
  const file = dir.write("here/file", "x");
  const long = "x".repeat(256);
  await using storage = FsStorage.open(dir.join("root"));
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  await using client = await connect(address, { retries: 0 });
  await client.put(new Uint8Array(3), { as: "f" });
  await client.put(new Uint8Array(3), { as: "t/f" });
  await client.put(new Uint8Array(3), { as: "t/sub/g" });
  const at = (name: string) => dir.join(name);
  const put = (path: string) => client.put(path, { as: "x" });
  const get = (out: string) => client.get("f", { out });
  const table: [string, () => Promise<unknown>, ErrorCode, string][] = [
    ["put of nothing", () => put(at("nope")), "not_found", at("nope")],
    ["put of a directory", () => put(at("here")), "not_a_file", at("here")],
    ["put below a file", () => put(`${file}/x`), "not_a_file", `${file}/x`],
    ["put of a long name", () => put(at(long)), "bad_name", at("x")],
    [
      "put of a directory that is missing",
      () => client.putTree(at("nope")),
      "not_found",
      at("nope"),
    ],
    ["put of a file as a directory", () => client.putTree(file), "not_a_file", file],
    ["get below a file", () => get(`${file}/x`), "not_a_file", `${file}/x`],
    ["get below a file, made", () => get(`${file}/x/y`), "not_a_file", `${file}/x/y`],
    ["get where a directory is", () => get(at("here")), "not_a_file", at("here")],
    ["get where another file is", () => get(file), "exists", file],
    ["get into a long name", () => get(at(`here/${long}`)), "bad_name", at("here/x")],
    [
      "get of a directory below a file",
      () => client.getTree("t", { out: `${file}/x` }),
      "not_a_file",
      `${file}/x`,
    ],
  ];
  for (const [name, run, code, path] of table) {
    await t.step(name, async () => {
      const error = await assertRejects(run, FerryError);
      assertEquals(error.code, code, error.message);
      assertStringIncludes(error.message, "(on this machine");
      assertStringIncludes(error.message, path);
      assertStringIncludes(error.message, "Cannot ");
    });
  }
  await t.step("files of a directory", async () => {
    const said: string[] = [];
    const onError = (_: string, { message }: FerryError) => said.push(message);
    Deno.mkdirSync(at("out/f"));
    dir.write("out/sub", "in the way");
    await client.getTree("t", { out: at("out"), onError });
    assertEquals(said.length, 3);
    for (const path of ["out/f", "out/sub", "out/sub/g"]) {
      assert(said.some((message) => message.includes(at(path))), said.join("\n"));
    }
    for (const message of said) assertStringIncludes(message, "(on this machine");
  });
});

Deno.test("localFailure() leaves alone what is of the connection, and what says where it was", () => {
  for (
    const code of ["closed", "timeout", "unreachable", "checksum_mismatch", "bad_header"] as const
  ) {
    assertEquals(localFailure(new FerryError(code, "why"), "a").message, "why");
  }
  assertEquals(
    localFailure(FerryError.reported("io", "why", "server"), "a").message,
    "why (on the server)",
  );
  assertEquals(
    localFailure(new Deno.errors.NotFound(), "a").message,
    'no such file or directory (on this machine, "a")',
  );
});
