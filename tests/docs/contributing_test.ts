import { assert, assertEquals } from "@std/assert";
import { PROJECT } from "../support/programs.ts";
import { exists, read, rows, section } from "./documents.ts";

const PAGE = "CONTRIBUTING.md";

Deno.test("CONTRIBUTING.md has the folders of the architecture test, and the others", () => {
  const [, table] = /const FOLDERS[^{]*\{([^]*?)\n\};/.exec(read("tests/architecture_test.ts"))!;
  const program = [...table!.matchAll(/^ {2}"([^"]+)":/gm)].map(([, folder]) => folder!);
  assert(program.length > 20);
  const others = [...Deno.readDirSync(PROJECT)]
    .filter(({ name, isDirectory }) => isDirectory && !/^\.|^(dist|node_modules)$/.test(name))
    .map(({ name }) => name)
    .filter((name) => !program.some((folder) => folder.split("/")[0] === name));
  const documented = rows(section(PAGE, "## The folders")).map(([folder]) => folder!);
  const all = [...program, ...others];
  assertEquals(all.filter((folder) => !documented.includes(folder)), [], "these have no row");
  assertEquals(documented.filter((folder) => !all.includes(folder)), [], "these are not there");
});

Deno.test("CONTRIBUTING.md names files, functions and tasks that are there", () => {
  const page = read(PAGE);
  const named = [...page.matchAll(/`([\w./]+\/[\w./]*|\w+\.(?:ts|sh|md))`/g)].map(([, path]) =>
    path!
  );
  assert(named.length > 40);
  // A bare name is one of a file that the text has named in full, or of the folder of its row.
  const missing = named.filter((path) => path.includes("/") && !exists(path));
  assertEquals(missing, []);
  const { tasks } = JSON.parse(read("deno.json"));
  for (const [, task] of page.matchAll(/deno task ([\w:]+)/g)) assert(task! in tasks, task);
  for (const [, name, path] of page.matchAll(/`(\w+)`(?: of `\w+`)? (?:in|of) `([\w/]+\.ts)`/g)) {
    assert(new RegExp(`\\b${name}\\b`).test(read(path!)), `${path} has no ${name}`);
  }
});
