import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { bundle, ENTRY } from "../../packaging/bundle.ts";
import { DENO, PROJECT, TempDir } from "../support/programs.ts";
import { text } from "../support/bytes.ts";
import { assertCode } from "../support/assertions.ts";

Deno.test("bundle() keeps what is imported later in files of its own", async () => {
  await using dir = new TempDir();
  for (const name of ["source", "into"]) Deno.mkdirSync(dir.join(name));
  dir.write("source/deno.json", "{}");
  dir.write("source/said.ts", `export const said: string = "said ";`);
  dir.write(
    "source/later.ts",
    `import { said } from "./said.ts";
     export function later() { return said + "later" satisfies string; }`,
  );
  dir.write(
    "source/begin.ts",
    `const { later } = await import("./later.ts");
     console.log(later());`,
  );
  const files = await bundle(dir.join("source/begin.ts"), dir.join("into"));
  assertEquals(files.at(-1), ENTRY);
  assert(files.some((name) => name.startsWith("later-")), files.join(" "));
  // Nothing of the sources is needed any more.
  Deno.removeSync(dir.join("source"), { recursive: true });
  const { stdout, stderr } = await new Deno.Command(DENO, {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-config",
      "--allow-read",
      dir.join(`into/${ENTRY}`),
    ],
  }).output();
  assertEquals([text(stdout), text(stderr)], ["said later\n", ""]);
});

Deno.test({
  name: "bundle() keeps whole what is sent to threads as text",
  ignore: navigator.hardwareConcurrency < 2,
  fn: async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("into"));
    dir.write("deno.json", "{}");
    dir.write(
      "main.ts",
      `import { Md5Thread } from "${new URL("../../lib/digest/md5_thread.ts", import.meta.url)}";
       using thread = Md5Thread.start();
       console.log(await thread.started);`,
    );
    await bundle(dir.join("main.ts"), dir.join("into"));
    const { stdout } = await new Deno.Command(DENO, {
      args: ["run", "--quiet", "--no-prompt", "--no-config", dir.join(`into/${ENTRY}`)],
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "true\n");
  },
});

Deno.test("bundle() keeps disposals, also of what is used once", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("into"));
  dir.write("deno.json", "{}");
  dir.write(
    "main.ts",
    `class Held {
       constructor(readonly name: string, readonly more: object = {}) {}
       use() { console.log("use", this.name); }
       [Symbol.dispose]() { console.log("dispose", this.name); }
       async [Symbol.asyncDispose]() { console.log("dispose later", this.name); }
     }
     const held = (name: string) => new Held(name);
     function once() { using it = held("once"); it.use(); }
     function alias(other: Held) { using it = other; return it.use(); }
     async function later() { await using it = held("later"); it.use(); }
     function long() {
       using it = new Held("long", { a: [1, 2, 3], f: () => { return ";"; }, text: "a long one", });
       it.use();
     }
     once(); alias(held("alias")); long(); await later();`,
  );
  await bundle(dir.join("main.ts"), dir.join("into"));
  const { stdout } = await new Deno.Command(DENO, {
    args: ["run", "--quiet", "--no-prompt", "--no-config", dir.join(`into/${ENTRY}`)],
  }).output();
  assertEquals(text(stdout).trim().split("\n"), [
    "use once",
    "dispose once",
    "use alias",
    "dispose alias",
    "use long",
    "dispose long",
    "use later",
    "dispose later later",
  ]);
});

Deno.test("bundle() says in one line why a program cannot be bundled", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("into"));
  dir.write("deno.json", "{}");
  dir.write("main.ts", `import "./missing.ts";`);
  const { message } = await assertCode("io", () => bundle(dir.join("main.ts"), dir.join("into")));
  assert(message.startsWith(`Cannot bundle "${dir.join("main.ts")}": `), message);
  assertStringIncludes(message, "missing.ts");
  assertEquals(message.includes("\n"), false);
});

Deno.test("bundle() of the client has nothing of the packages that are seldom needed in its entry", async () => {
  await using dir = new TempDir();
  await bundle(`${PROJECT}client/main.ts`, dir.path);
  const entry = Deno.readTextFileSync(dir.join(ENTRY));
  // hash-wasm, string-width, ignore
  for (const text of ["xxhash128", "RGI_Emoji", "ignorecase"]) {
    assertEquals(entry.includes(text), false, text);
  }
});
