import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { bundle } from "../../packaging/bundle.ts";
import { assertBaseBinary, compile, howToProvide, NoBaseBinary } from "../../packaging/compile.ts";
import { PROGRAMS, PROJECT } from "../../packaging/program.ts";
import { hostTarget, parseTarget } from "../../packaging/target.ts";
import { NO_BASE_BINARY } from "../support/executables.ts";
import { TempDir } from "../support/programs.ts";
import { assertCode } from "../support/assertions.ts";

const HOST = hostTarget();

Deno.test({
  name: "compile() bakes in the permissions of deno.json, and no prompt",
  ignore: HOST === undefined,
  fn: async () => {
    await using dir = new TempDir();
    for (const program of PROGRAMS) {
      const directory = dir.join(program.name);
      Deno.mkdirSync(directory);
      const files = await bundle(PROJECT + program.entry, directory);
      const output = dir.join(`${program.name}.out`);
      const making = { program, directory, files, target: HOST!, base: NO_BASE_BINARY };
      // Any executable will do for what is put behind it.
      await compile(making, output);
      const baked = permissionsIn(Deno.readFileSync(output));
      const set = JSON.parse(Deno.readTextFileSync(`${PROJECT}deno.json`))
        .permissions[program.permissions];
      for (const kind of ["read", "write", "net", "env", "run", "sys", "ffi"]) {
        const allowed = set[kind] === true ? [] : set[kind] || null;
        assertEquals([kind, baked[`allow_${kind}`]], [kind, allowed]);
      }
      assertEquals([baked.deny_import, baked.prompt], [[], false]);
    }
  },
});

/** The permissions in the JSON that `deno compile` puts into an executable. */
function permissionsIn(bytes: Uint8Array): Record<string, unknown> {
  const text = new TextDecoder("latin1").decode(bytes);
  const start = text.lastIndexOf(`"permissions":{"allow_env"`);
  assert(start >= 0);
  const end = text.indexOf("}", start);
  return JSON.parse(text.slice(start + `"permissions":`.length, end + 1));
}

Deno.test("compile() without a base binary says so in one line", async () => {
  await using dir = new TempDir();
  dir.write("main.js", "");
  const making = { program: PROGRAMS[0]!, directory: dir.path, files: ["main.js"], target: HOST! };
  let failure: unknown;
  try {
    await compile({ ...making, base: dir.join("none") }, dir.join("out"));
  } catch (error) {
    failure = error;
  }
  assert(failure instanceof NoBaseBinary);
  assertEquals(failure.message.includes("\n"), false);
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["main.js"]);
});

Deno.test("compile() of what does not compile is io", async () => {
  await using dir = new TempDir();
  dir.write("main.js", `import "./missing.js";`);
  const making = { program: PROGRAMS[0]!, directory: dir.path, files: ["main.js"], target: HOST! };
  const { message } = await assertCode("io", () => {
    return compile({ ...making, base: NO_BASE_BINARY }, dir.join("out"));
  });
  assertStringIncludes(message, `Cannot compile "ferry": `);
  assertStringIncludes(message, "missing.js");
});

Deno.test("assertBaseBinary() takes an executable for the target, and says what another one is", async () => {
  await using dir = new TempDir();
  if (HOST) assertBaseBinary(NO_BASE_BINARY, [HOST]);
  const [arm, windows] = [parseTarget("macos-arm64"), parseTarget("windows-x64")];
  const macho = dir.write("macho", new Uint8Array(64));
  Deno.writeFileSync(
    macho,
    Uint8Array.of(0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1, ...new Uint8Array(56)),
  );
  assertBaseBinary(macho, [arm]);
  const cases: [string, string[], string][] = [
    [macho, ["windows-x64"], "it is for macos-arm64, and not for windows-x64"],
    [macho, ["macos-arm64", "linux-x64"], "it is for macos-arm64, and not for linux-x64"],
    [dir.write("text", "no executable"), ["linux-x64"], "it is no executable"],
  ];
  for (const [path, names, says] of cases) {
    const { message } = await assertCode("usage", () => {
      assertBaseBinary(path, names.map(parseTarget));
    });
    assertStringIncludes(message, says);
  }
  await assertCode("not_found", () => assertBaseBinary(dir.join("none"), [windows]));
});

Deno.test("howToProvide() names the archive, the version and the variable", () => {
  const sentence = howToProvide(parseTarget("linux-arm64"));
  for (const part of ["denort-aarch64-unknown-linux-gnu.zip", Deno.version.deno, "DENORT_BIN"]) {
    assertStringIncludes(sentence, part);
  }
});
