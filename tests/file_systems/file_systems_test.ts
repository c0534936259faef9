import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { CHECKS } from "./checks.ts";
import { Mounted } from "./mounted.ts";
import { FILE_SYSTEMS } from "./mounts.ts";
import { differences, documented, PAGE, parse, render } from "./table.ts";
import { SAID } from "./trial.ts";
import { testWithMount } from "../support/mount.ts";
import { DENO, outcome, PROJECT, TempDir } from "../support/programs.ts";

const NAMES = FILE_SYSTEMS.map(({ name }) => name);

function filesystems(args: string[], tmp?: string): Deno.ChildProcess {
  return new Deno.Command(DENO, {
    args: ["run", "--quiet", "-P=programs", "tests/file_systems/main.ts", ...args],
    cwd: PROJECT,
    env: { NO_COLOR: "1", ...(tmp === undefined ? {} : { TMPDIR: tmp }) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The mount points below a directory. */
function mountedIn(directory: string): string[] {
  const { stdout } = new Deno.Command("findmnt", { args: ["-rn", "-o", "TARGET"] }).outputSync();
  return new TextDecoder().decode(stdout).split("\n")
    .filter((path) => path.startsWith(`${directory}/`));
}

Deno.test("the documented table has a column for each check and a row for each file system that was tried", () => {
  const page = Deno.readTextFileSync(PROJECT + PAGE);
  const table = documented();
  for (const [system, cells] of table) {
    assertEquals([...cells.keys()], CHECKS.map(({ name }) => name), system);
    assert([...cells.values()].every((cell) => cell !== ""), system);
  }
  assertEquals([...table.keys()], NAMES.filter((name) => table.has(name)));
  assertStringIncludes(page, render(table));
  for (const name of NAMES) {
    assert(table.has(name) || page.includes(`\`${name}\``), `nothing of ${name}`);
  }
  const text = page.replaceAll(/\s+/g, " ");
  for (const { name, meaning } of CHECKS) assertStringIncludes(text, `- **${name}**: ${meaning}`);
  for (const [sentence, word] of SAID) {
    assertMatch(page, new RegExp(`^\\| ${word} +\\| ${sentence}`, "m"));
  }
});

Deno.test("a table is read as it was rendered", () => {
  const row = new Map(CHECKS.map(({ name }, at) => [name, at === 3 ? "gap" : "yes"]));
  const table = new Map([["one", row], ["another", row]]);
  assertEquals(parse(`# Title\n\n${render(table)}\n\n| other |\n`).get("another"), row);
});

Deno.test("what differs from the documented cells is told, and what fails where none are", () => {
  const found = new Map([["put", "yes"], ["mv", "no"], ["times", "seconds"]]);
  assertEquals(differences(found, found), []);
  const said = new Map([["put", "yes"], ["mv", "yes"], ["times", "exact"]]);
  assertEquals(differences(found, said), [
    `mv: ${PAGE} says "yes", this is "no"`,
    `times: ${PAGE} says "exact", this is "seconds"`,
  ]);
  assertEquals(differences(found), [`mv: ${PAGE} says "yes", this is "no"`]);
  const better = new Map([...found, ["mv", "yes"]]);
  assertEquals(differences(better, found), [`mv: ${PAGE} says "no", this is "yes"`]);
});

Deno.test("deno task filesystems explains itself, and names what may have been meant", async () => {
  const help = await outcome(filesystems(["--help"]));
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const name of NAMES) assertStringIncludes(help.stdout, name);
  const wrong = await outcome(filesystems(["--only", "btrsf"]));
  assertEquals([wrong.code, wrong.stdout], [1, ""]);
  assertStringIncludes(wrong.stderr, 'Did you mean "btrfs"?');
});

testWithMount("a file system is mounted, filled, mounted anew and removed", async () => {
  const mounted = await Mounted.open(FILE_SYSTEMS.find(({ name }) => name === "ext4")!);
  {
    await using _ = mounted;
    const path = `${mounted.path}/file`;
    mounted.fill(512 * 1024);
    const { message } = await Deno.writeFile(path, new Uint8Array(8 * 1024 * 1024))
      .then(() => new Error("it was not full"), (error: Error) => error);
    assertStringIncludes(message, "No space left");
    mounted.drain();
    Deno.writeTextFileSync(path, "kept");
    await mounted.unmount();
    assertEquals([...Deno.readDirSync(mounted.path)], []);
    await mounted.mount();
    assertEquals(Deno.readTextFileSync(path), "kept");
  }
  assertEquals(mountedIn(mounted.path.replace(/\/mounted$/, "")), []);
}, ["mkfs.ext4"]);

testWithMount(
  "deno task filesystems unmounts what it has mounted when it is interrupted",
  async () => {
    await using tmp = new TempDir();
    const child = filesystems(["--only", "tmpfs"], tmp.path);
    const ended = outcome(child);
    while (!mountedIn(tmp.path).some((path) => path.endsWith("/mounted"))) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    assertEquals([code, stderr], [130, ""]);
    assertEquals(mountedIn(tmp.path), []);
    // A new ferryd removes what a killed one has left.
    const left = [...Deno.readDirSync(tmp.path)].map(({ name }) => name);
    assertEquals(left.filter((name) => !/^ferry-(fd|bundles)-/.test(name)), []);
  },
);
