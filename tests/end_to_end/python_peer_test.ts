import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { ferry, Ferryd, type Outcome, outcome, stagedIn, TempDir } from "../support/programs.ts";
import { spawnPython } from "../support/python.ts";
import { writeRandomFile } from "../support/random_file.ts";
import { md5 } from "../support/bytes.ts";

const SIZES = [0, 1, 65537, 9_000_000];
const NAMES = ["文件 名.txt", "🚢🌊/Ünïcödé.bin", "a \"b\" 'c' \\d"];

const md5Of = (path: string) => md5(Deno.readFileSync(path));

/** A working directory, and a ferryd over another directory. */
class Place implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly cwd = this.dir.join("cwd");
  server!: Ferryd;

  static async start(): Promise<Place> {
    const place = new Place();
    Deno.mkdirSync(place.root);
    Deno.mkdirSync(place.cwd);
    place.server = await Ferryd.start(place.root);
    return place;
  }

  /** Runs python_peer.py against the server. */
  python(command: string, ...args: string[]): Promise<Outcome> {
    return outcome(
      spawnPython("python_peer.py", [command, this.server.address, ...args], { cwd: this.cwd }),
    );
  }

  /** Runs ferry against the server. */
  ferry(...args: string[]): Promise<Outcome> {
    return ferry(args, { cwd: this.cwd, server: this.server.address });
  }

  /** Makes a file of random bytes; returns its md5. */
  async random(name: string, size: number): Promise<string> {
    await writeRandomFile(`${this.cwd}/${name}`, size, { seed: size + 1 });
    return md5Of(`${this.cwd}/${name}`);
  }

  /** The temporary files in the staging area and the working directory, except those with the given names. */
  leftovers(...names: string[]): string[] {
    const entries = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);
    return [
      ...stagedIn(this.root),
      ...entries(this.cwd).filter((name) => !names.includes(name)),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** A python_server.py that serves a directory. */
class PythonServer implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly cwd = this.dir.join("cwd");
  address = "";
  #child!: Deno.ChildProcess;
  #stderr!: Promise<string>;
  #rest!: Promise<void>;

  static async start(): Promise<PythonServer> {
    const server = new PythonServer();
    Deno.mkdirSync(server.root);
    Deno.mkdirSync(server.cwd);
    server.#child = spawnPython("python_server.py", ["127.0.0.1:0", server.root], {
      cwd: server.cwd,
    });
    server.#stderr = new Response(server.#child.stderr).text();
    const lines = server.#child.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())
      .getReader();
    const { value } = await lines.read();
    server.address = /^listening (127\.0\.0\.1:\d+)$/.exec(value ?? "")?.[1] ?? "";
    server.#rest = (async () => {
      while (!(await lines.read()).done);
    })();
    if (server.address === "") throw new Error(`It did not start: ${await server.stop()}`);
    return server;
  }

  /** Runs ferry against it. */
  ferry(...args: string[]): Promise<Outcome> {
    return ferry(args, { cwd: this.cwd, server: this.address });
  }

  /** Stops it; returns its standard error. */
  async stop(): Promise<string> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has already ended.
    }
    await this.#child.status;
    await this.#rest;
    return await this.#stderr;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("python_peer.py put and ferry get bring every size to ferryd and back", async (t) => {
  await using p = await Place.start();
  for (const size of SIZES) {
    const sum = await p.random(`f${size}`, size);
    for (const how of [[], ["--stream"]]) {
      await t.step([`${size} bytes`, ...how].join(" "), async () => {
        const name = `d${how.join("")}/${size}`;
        assertEquals(await p.python("put", `f${size}`, name, ...how), {
          code: 0,
          stdout: `${sum}  ${name}\n`,
          stderr: "",
        });
        assertEquals(md5Of(`${p.root}/${name}`), sum);
        const got = await p.ferry("get", name, "--out", "back", "--overwrite", "always");
        assertEquals([got.code, got.stderr], [0, ""]);
        assertEquals(md5Of(`${p.cwd}/back`), sum);
      });
    }
  }
  assertEquals(p.leftovers("back", ...SIZES.map((size) => `f${size}`)), []);
});

Deno.test("python_peer.py get and stat read what ferry put stored, at every size", async (t) => {
  await using p = await Place.start();
  for (const size of SIZES) {
    await t.step(`${size} bytes`, async () => {
      const sum = await p.random("f", size);
      assertEquals((await p.ferry("put", "f", "--as", `d/${size}`)).code, 0);
      const expected = { code: 0, stdout: `${sum}  d/${size}\n`, stderr: "" };
      assertEquals(await p.python("get", `d/${size}`, "back"), expected);
      assertEquals(md5Of(`${p.cwd}/back`), sum);
      assertEquals(await p.python("stat", `d/${size}`), expected);
      Deno.removeSync(`${p.cwd}/f`);
    });
  }
  assertEquals(p.leftovers("back"), []);
});

Deno.test("python_peer.py get takes an md5 that ferryd does not know before the last byte", async (t) => {
  await using p = await Place.start();
  for (const size of SIZES) {
    await t.step(`${size} bytes`, async () => {
      // These files were not uploaded through ferryd, so it has no checksums of them.
      await writeRandomFile(`${p.root}/${size}`, size);
      const sum = md5Of(`${p.root}/${size}`);
      assertEquals((await p.python("get", `${size}`, "back")).stdout, `${sum}  ${size}\n`);
      assertEquals(md5Of(`${p.cwd}/back`), sum);
    });
  }
});

Deno.test("python_peer.py put streams its standard input to ferryd", async () => {
  await using p = await Place.start();
  const child = spawnPython("python_peer.py", ["put", p.server.address, "-", "piped", "--stream"], {
    cwd: p.cwd,
    stdin: "piped",
  });
  const writer = child.stdin.getWriter();
  for (const text of ["hel", "lo", "\n"]) await writer.write(new TextEncoder().encode(text));
  await writer.close();
  assertEquals(await outcome(child), {
    code: 0,
    stdout: "b1946ac92492d2347c6235b4d2611184  piped\n",
    stderr: "",
  });
  assertEquals(Deno.readTextFileSync(`${p.root}/piped`), "hello\n");
});

Deno.test("python_peer.py put and get keep names of every script", async (t) => {
  await using p = await Place.start();
  for (const name of NAMES) {
    await t.step(name, async () => {
      Deno.writeTextFileSync(`${p.cwd}/f`, name);
      const expected = { code: 0, stdout: `${md5(name)}  ${name}\n`, stderr: "" };
      assertEquals(await p.python("put", "f", name), expected);
      assertEquals(Deno.readTextFileSync(`${p.root}/${name}`), name);
      assertEquals(await p.python("get", name, "back"), expected);
      assertEquals(Deno.readTextFileSync(`${p.cwd}/back`), name);
      const got = await p.ferry("get", name, "--out", "back", "--overwrite", "always");
      assertEquals([got.code, got.stderr], [0, ""]);
    });
  }
});

Deno.test("python_peer.py put follows ferryd's policies for a name that is taken", async () => {
  await using p = await Place.start();
  const put = async (content: string, ...args: string[]) => {
    Deno.writeTextFileSync(`${p.cwd}/f`, content);
    const { code } = await p.python("put", "f", "f", ...args);
    return [code, Deno.readTextFileSync(`${p.root}/f`)];
  };
  assertEquals(await put("one"), [0, "one"]);
  assertEquals(await put("one"), [0, "one"]);
  assertEquals(await put("one", "--stream"), [0, "one"]);
  assertEquals(await put("two"), [1, "one"]);
  assertEquals(await put("two", "--overwrite", "different"), [0, "two"]);
  assertEquals(await put("six", "--overwrite", "always", "--stream"), [0, "six"]);
  Deno.utimeSync(`${p.root}/f`, 4e9, 4e9);
  assertEquals(await put("old", "--overwrite", "newer"), [0, "six"]);
  Deno.utimeSync(`${p.root}/f`, 1000, 1000);
  assertEquals(await put("new", "--overwrite", "newer"), [0, "new"]);
});

Deno.test("python_peer.py says what ferryd refuses", async (t) => {
  await using p = await Place.start();
  Deno.mkdirSync(`${p.root}/dir`);
  Deno.writeTextFileSync(`${p.root}/taken`, "other");
  Deno.writeTextFileSync(`${p.cwd}/f`, "x");
  await p.random("large", 9_000_000);
  const cases: [string, string[], string][] = [
    ["a file that is missing", ["get", "nope", "back"], "not_found"],
    ["a name without a file", ["stat", "nope"], "not_found"],
    ["a directory", ["get", "dir", "back"], "not_a_file"],
    ["a name that is taken", ["put", "f", "taken"], "exists"],
    ["a name that is taken, for a stream", ["put", "f", "taken", "--stream"], "exists"],
    ["a name that is taken, for a large file", ["put", "large", "taken"], "exists"],
    ["a name that is taken, for a large stream", ["put", "large", "taken", "--stream"], "exists"],
    ["a name that is a directory's", ["put", "f", "dir", "--overwrite", "always"], "not_a_file"],
    ["a name that leads out", ["put", "f", "../x"], "bad_name"],
    ["a name that leads out, of a large file", ["put", "large", "../x"], "bad_name"],
    ["ferryd's own directory", ["get", ".Ferry/x", "back"], "bad_name"],
    ["an empty name", ["put", "f", ""], "bad_name"],
    ["a part that is too long", ["put", "f", "é".repeat(128)], "bad_name"],
    ["a policy that is none", ["put", "f", "g", "--overwrite", "maybe"], "bad_header"],
    ["a local file that is missing", ["put", "nope", "g"], "not_found"],
  ];
  for (const [name, [command, ...args], code] of cases) {
    await t.step(name, async () => {
      const result = await p.python(command!, ...args);
      assertEquals([result.code, result.stdout], [1, ""]);
      assertMatch(result.stderr, new RegExp(`^python_peer: .+ \\(${code}\\)\\n$`));
    });
  }
  assertEquals(Deno.readTextFileSync(`${p.root}/taken`), "other");
  assertEquals(p.leftovers("f", "large"), []);
});

Deno.test("python_server.py takes and gives what ferry puts and gets", async (t) => {
  await using p = await PythonServer.start();
  for (const size of SIZES) {
    await t.step(`${size} bytes`, async () => {
      await writeRandomFile(`${p.cwd}/f`, size, { seed: size + 1 });
      const sum = md5Of(`${p.cwd}/f`);
      const put = await p.ferry("put", "f", "--as", `d/${size}`);
      assertEquals(put, { code: 0, stdout: `${sum}  d/${size}\n`, stderr: "" });
      assertEquals(md5Of(`${p.root}/d/${size}`), sum);
      const again = await p.ferry("put", "f", "--as", `d/${size}`, "--json");
      assertEquals([again.code, JSON.parse(again.stdout).skipped], [0, true]);
      const got = await p.ferry("get", `d/${size}`, "--out", "back", "--overwrite", "always");
      assertEquals([got.code, got.stderr], [0, ""]);
      assertEquals(md5Of(`${p.cwd}/back`), sum);
      assertStringIncludes((await p.ferry("stat", `d/${size}`)).stdout, sum);
      Deno.removeSync(`${p.cwd}/f`);
    });
  }
  for (const name of NAMES) {
    await t.step(name, async () => {
      Deno.writeTextFileSync(`${p.cwd}/f`, name);
      const put = await p.ferry("put", "f", "--as", name);
      assertEquals([put.code, put.stderr], [0, ""]);
      assertEquals(Deno.readTextFileSync(`${p.root}/${name}`), name);
      const got = await p.ferry("get", name, "--out", "back", "--overwrite", "always");
      assertEquals([got.code, got.stderr], [0, ""]);
      assertEquals(Deno.readTextFileSync(`${p.cwd}/back`), name);
    });
  }
  await t.step("many files in one go", async () => {
    const names = Array.from({ length: 50 }, (_, i) => `many${i}`);
    for (const name of names) Deno.writeTextFileSync(`${p.cwd}/${name}`, name);
    const put = await p.ferry("put", "--to", "m/", ...names);
    assertEquals([put.code, put.stderr], [0, ""]);
    for (const name of names) assertEquals(Deno.readTextFileSync(`${p.root}/m/${name}`), name);
  });
  await t.step("ping", async () => {
    assertMatch((await p.ferry("ping")).stdout, /^python_server answered in [\d.]+ ms\n$/);
  });
  assertEquals([...Deno.readDirSync(`${p.root}/.ferry`)], []);
  assertEquals(await p.stop(), "");
});

Deno.test("python_server.py refuses, and ferry exits with the status of the code", async (t) => {
  await using p = await PythonServer.start();
  Deno.mkdirSync(`${p.root}/dir`);
  Deno.writeTextFileSync(`${p.root}/taken`, "other");
  Deno.writeTextFileSync(`${p.cwd}/f`, "x");
  await writeRandomFile(`${p.cwd}/large`, 9_000_000);
  const cases: [string, string[], number][] = [
    ["a file that is missing", ["get", "nope"], 4],
    ["a name without a file", ["stat", "nope"], 4],
    ["a directory, which it cannot list", ["get", "dir"], 8],
    ["a name that is taken", ["put", "f", "--as", "taken"], 5],
    ["a name that is taken, for a large file", ["put", "large", "--as", "taken"], 5],
    ["a name below a file", ["put", "f", "--as", "taken/f"], 5],
    ["a directory in the way of a large file", ["put", "large", "--as", "dir"], 5],
    ["an operation that it does not know", ["ls"], 8],
  ];
  for (const [name, args, code] of cases) {
    await t.step(name, async () => {
      const result = await p.ferry(...args);
      assertEquals([result.code, result.stdout], [code, ""]);
      assert(result.stderr.startsWith("ferry: Cannot "), result.stderr);
    });
  }
  await t.step("but takes several files in one go", async () => {
    const { code, stdout } = await p.ferry("put", "f", "large", "--to", "dir/");
    assertEquals([code, stdout.split("\n").length], [0, 3]);
  });
  assertEquals(Deno.readTextFileSync(`${p.root}/taken`), "other");
  assertEquals([...Deno.readDirSync(`${p.root}/.ferry`)], []);
  assertEquals(await p.stop(), "");
});
