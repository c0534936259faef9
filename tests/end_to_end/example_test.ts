import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dirname } from "../../lib/core/paths.ts";
import { makeNpmPackage } from "../../packaging/npm_package.ts";
import { PROGRAMS, runtimeFlags } from "../../packaging/program.ts";
import { VERSION } from "../../lib/core/version.ts";
import { DENO, Ferryd, type Outcome, outcome, PROJECT, TempDir } from "../support/programs.ts";
import { Registry } from "../support/registry.ts";

const EXAMPLE = `${PROJECT}examples/release`;

/** A copy of the example outside of the checkout, and a server with the texts that it fetches. */
class Project implements AsyncDisposable {
  readonly dir = new TempDir();
  #server!: Ferryd;

  static async start(): Promise<Project> {
    const project = new Project();
    const { dir } = project;
    Deno.mkdirSync(dir.join("root/sources"), { recursive: true });
    Deno.mkdirSync(dir.join("release"));
    for (const { name } of Deno.readDirSync(EXAMPLE)) {
      if (/\.(ts|json)$/.test(name)) {
        Deno.copyFileSync(`${EXAMPLE}/${name}`, dir.join(`release/${name}`));
      }
    }
    dir.write("root/sources/welcome.txt", "All <aboard>.\n");
    dir.write("root/sources/no text.png", "?");
    project.#server = await Ferryd.start(dir.join("root"));
    return project;
  }

  /** Changes the commands by which the example runs ferry. */
  set ferry(change: (command: string) => string) {
    const config = JSON.parse(Deno.readTextFileSync(this.dir.join("release/deno.json")));
    config.tasks.ferry = change(config.tasks.ferry);
    this.dir.write("release/deno.json", JSON.stringify(config));
  }

  /** Runs one of its tasks. */
  task(name: string, env: Record<string, string> = {}): Promise<Outcome> {
    return outcome(
      new Deno.Command(DENO, {
        args: ["task", "--quiet", name],
        cwd: this.dir.join("release"),
        env: { FERRY_SERVER: this.#server.address, NO_COLOR: "1", ...env },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
  }

  /** Runs the whole example, and checks what is on the server. */
  async release(env: Record<string, string> = {}): Promise<void> {
    const { code, stdout, stderr } = await this.task("release", env);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "  sources/welcome.txt\n");
    assertStringIncludes(stdout, "published  index.html\n");
    const published = Deno.readTextFileSync(this.dir.join("root/site/welcome.html"));
    assertStringIncludes(published, "All &lt;aboard>.");
    assertEquals([...Deno.readDirSync(this.dir.join("root/site"))].length, 2);
  }

  /** Stops the server. */
  stop(): Promise<unknown> {
    return this.#server.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

const fromCheckout = (command: string) => command.replaceAll("../../", PROJECT);

Deno.test("examples/release works with ferry from a checkout, and tells by its exit status what failed", async () => {
  await using project = await Project.start();
  project.ferry = fromCheckout;
  await project.release();
  const again = await project.task("release");
  assertEquals([again.code, again.stdout.includes("was there  index.html")], [0, true]);

  const receipt = project.dir.join("release/receipt.jsonl");
  const lines = Deno.readTextFileSync(receipt);
  Deno.writeTextFileSync(receipt, lines.split("\n").slice(1).join("\n"));
  const missing = await project.task("check");
  assertEquals([missing.code, missing.stderr], [
    1,
    "1 files are not on the server as they were built\n",
  ]);

  await project.stop();
  const failed = await project.task("release", { FERRY_RETRIES: "0" });
  assertEquals([failed.code, failed.stdout], [6, ""]);
});

Deno.test("examples/release gives ferry no permission that it does not need", async (t) => {
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${EXAMPLE}/deno.json`));
  const flags: string[] = tasks.ferry.match(/--allow-\S+/g);
  const names = flags.map((flag) => flag.replace(/^--allow-|=.*$/g, ""));
  assertEquals(names, ["net", "read", "write", "env"]);
  await using project = await Project.start();
  for (const flag of flags) {
    await t.step(flag, async () => {
      project.ferry = (command) => fromCheckout(command).replace(flag, "");
      assertEquals((await project.task("release")).code, 3);
    });
    project.ferry = () => tasks.ferry;
  }
  project.ferry = fromCheckout;
  await project.release();
});

Deno.test("deno task install puts both programs where --root says, and examples/release works with them", async () => {
  await using project = await Project.start();
  const root = project.dir.join("installed");
  const { code, stderr } = await outcome(
    new Deno.Command(DENO, {
      args: ["run", "--quiet", "-A", `${PROJECT}packaging/install.ts`, "--quiet", "--root", root],
      cwd: project.dir.path,
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
  assertEquals(code, 0, stderr);
  const suffix = Deno.build.os === "windows" ? ".cmd" : "";
  // Installed programs start the Deno that is on the PATH.
  const PATH = [`${root}/bin`, dirname(DENO), Deno.env.get("PATH")]
    .join(Deno.build.os === "windows" ? ";" : ":");
  for (const { name } of PROGRAMS) {
    const version = await new Deno.Command(`${root}/bin/${name}${suffix}`, {
      args: ["--version"],
      env: { PATH },
    })
      .output();
    assertEquals(new TextDecoder().decode(version.stdout), `${name} ${VERSION}\n`);
    const shim = Deno.readTextFileSync(`${root}/bin/${name}${suffix}`);
    assert(!shim.includes("--allow-all") && shim.includes("--no-prompt"), shim);
  }
  project.ferry = () => "ferry";
  await project.release({ PATH });
});

Deno.test("examples/release works with ferry from JSR and from npm", async (t) => {
  await using dir = new TempDir();
  await makeNpmPackage(dir.join("npm"));
  await using registry = await Registry.start(dir.join("npm"));
  // A Deno cache of its own, which shares the downloaded packages.
  const { stdout } = await new Deno.Command(DENO, { args: ["info", "--json"] }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(stdout));
  Deno.mkdirSync(dir.join("cache"));
  Deno.symlinkSync(npmCache, dir.join("cache/npm"), { type: "junction" });
  const env = { DENO_DIR: dir.join("cache"), JSR_URL: registry.url };
  const modules = { JSR: "jsr:@ferry/ferry/ferry", npm: "npm:@ferry/ferry/ferry" };
  const readme = Deno.readTextFileSync(`${EXAMPLE}/README.md`);
  for (const [origin, module] of Object.entries(modules)) {
    await t.step(origin, async () => {
      assertStringIncludes(readme, `\`${module}\``);
      await using project = await Project.start();
      project.ferry = (command) =>
        command.replace("--config ../../deno.json ", "").replace("../../client/main.ts", module);
      project.dir.write("release/.npmrc", `@ferry:registry=${registry.url}\n`);
      await project.release(env);
    });
  }
});

Deno.test("operating.md names the permissions of each program", () => {
  const page = Deno.readTextFileSync(`${PROJECT}docs/operating.md`).replaceAll(/\\\n\s*/g, "");
  for (const program of PROGRAMS) {
    const { name } = program;
    const flags = runtimeFlags(program)
      .filter((flag) => flag !== "--no-prompt" && flag !== "--deny-import")
      .map((flag) => flag.includes("*") ? flag.replace(/=(.*)/, "='$1'") : flag);
    assertStringIncludes(
      page,
      `deno install -g --name ${name} ${flags.join(" ")} jsr:@ferry/ferry/${name}`,
    );
  }
});

Deno.test("mod.ts is imported from a checkout as its documentation says", async () => {
  const [, documented] = /```json\n \* (.+)\n \* ```/.exec(
    Deno.readTextFileSync(`${PROJECT}mod.ts`),
  )!;
  const config = JSON.parse(documented!);
  assertEquals(config.links, ["../ferry"]);
  await using dir = new TempDir();
  dir.write("deno.json", JSON.stringify({ ...config, links: [PROJECT] }));
  dir.write(
    "main.ts",
    `import { connect, MemoryStorage, serve } from "@ferry/ferry";
    await using server = await serve({ storage: new MemoryStorage(), listen: "127.0.0.1:0" });
    await using client = await connect("127.0.0.1:" + server.addresses[0]!.port);
    await client.put(new File(["hello"], "greeting.txt"));
    console.log(await client.get("greeting.txt").text());
    `,
  );
  const child = new Deno.Command(DENO, {
    args: ["run", "--quiet", "--no-lock", "--allow-all", "main.ts"],
    cwd: dir.path,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  assertEquals(await outcome(child), { code: 0, stdout: "hello\n", stderr: "" });
});
