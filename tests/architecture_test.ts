import { assert, assertEquals } from "@std/assert";
import { PROJECT } from "./support/programs.ts";

/** Which folders a folder may import from, beside itself. Every folder of the program has a row here. */
const FOLDERS: Readonly<Record<string, string>> = {
  // What both ends share: each folder imports only from those above it.
  "lib/core": "",
  "lib/security": "lib/core",
  "lib/cli": "lib/core",
  "lib/udp": "lib/core",
  "lib/line_exec": "lib/core",
  "lib/digest": "lib/core",
  "lib/file_system": "lib/core",
  "lib/compression": "lib/core",
  "lib/runtime": "lib/core lib/digest lib/file_system",
  "lib/delta": "lib/core lib/digest",
  "lib/files": "lib/core lib/digest lib/file_system lib/runtime",
  "lib/wire": "lib/compression lib/core lib/runtime",
  "lib/wire/operations": "lib/core lib/wire",
  "lib/transfer": "lib/core lib/delta lib/digest lib/files lib/runtime lib/wire",

  "server/storage": "lib/core lib/delta lib/digest lib/files lib/runtime",
  "server/storage/memory":
    "lib/core lib/delta lib/digest lib/file_system lib/files lib/runtime server/storage",
  "server/storage/fs":
    "lib/core lib/delta lib/digest lib/file_system lib/files lib/runtime server/storage",
  "server/storage/s3": "lib/core lib/delta lib/digest lib/files lib/runtime server/storage",
  "server/auth": "lib/cli lib/core lib/files lib/security lib/wire/operations server/storage",
  "server/files":
    "lib/core lib/delta lib/digest lib/files lib/runtime lib/transfer server/auth server/storage",
  "server/shares": "lib/core lib/wire server/auth server/files server/storage",
  "server/exec": "lib/core lib/files lib/runtime lib/wire/operations",
  "server/observe": "lib/core server/auth server/files",
  "server/scrub": "lib/core lib/runtime server/files server/observe server/storage",
  "server/admin": "lib/core server/auth server/observe server/storage",
  "server/hooks": "lib/core lib/files lib/wire/operations server/exec server/files server/observe",
  "server/net": "lib/core lib/runtime lib/wire server/observe",
  "server/observe/metrics":
    "lib/core lib/files server/files server/net server/observe server/storage",
  "server/protocols/ferry/exchange":
    "lib/core lib/runtime lib/transfer lib/wire lib/wire/operations " +
    "server/auth server/exec server/files server/observe server/shares server/storage",
  "server/protocols/ferry/handlers":
    "lib/core lib/delta lib/digest lib/files lib/runtime lib/transfer lib/wire lib/wire/operations " +
    "server/exec server/files server/protocols/ferry/exchange server/shares",
  "server/protocols/ferry": "lib/core lib/wire lib/wire/operations " +
    "server/protocols/ferry/exchange server/protocols/ferry/handlers",
  "server/protocols/line_exec":
    "lib/core lib/digest lib/line_exec lib/runtime lib/wire server/exec server/net server/observe",
  "server/protocols/echo": "lib/core lib/runtime lib/udp lib/wire server/net server/observe",
  "server/protocols/http/exchange": "lib/core lib/digest lib/runtime lib/transfer lib/wire " +
    "server/auth server/files server/observe server/shares server/storage",
  "server/protocols/http/files":
    "lib/core lib/digest lib/files lib/runtime lib/transfer lib/wire " +
    "server/auth server/files server/storage server/protocols/http/exchange " +
    "server/protocols/http/page",
  "server/protocols/http/tus": "lib/core lib/digest lib/files lib/runtime lib/transfer " +
    "server/auth server/files server/storage server/protocols/http/exchange",
  "server/protocols/http/login":
    "lib/core lib/security server/auth server/files server/protocols/http/exchange",
  "server/protocols/http/shares":
    "lib/core lib/wire server/shares server/protocols/http/exchange server/protocols/http/page",
  "server/protocols/http/page": "lib/core server/protocols/http/exchange",
  "server/protocols/http": "lib/core lib/runtime lib/wire server/auth server/net server/observe " +
    "server/protocols/http/exchange server/protocols/http/files server/protocols/http/login " +
    "server/protocols/http/page server/protocols/http/shares server/protocols/http/tus",
  "server/cli":
    "lib/cli lib/core lib/files lib/line_exec lib/security server/admin server/auth server/net",
  "server/cli/commands":
    "lib/cli lib/core lib/files server/admin server/auth server/cli server/doctor",
  "server/configuration":
    "lib/cli lib/files lib/core lib/line_exec server/admin server/auth server/cli server/exec server/hooks server/net server/observe server/storage server/storage/fs server/storage/s3",
  "server/doctor": "lib/core lib/file_system lib/files lib/runtime server/cli " +
    "server/configuration server/storage/fs server/storage/s3",
  "server":
    "lib/cli lib/core lib/line_exec lib/runtime lib/security lib/wire server/admin server/auth server/cli server/cli/commands server/configuration server/exec server/files server/hooks server/net " +
    "server/observe server/observe/metrics server/protocols/echo server/protocols/ferry server/protocols/http " +
    "server/protocols/line_exec server/scrub server/shares server/storage server/storage/fs server/storage/memory server/storage/s3",

  "client/net":
    "lib/core lib/delta lib/digest lib/runtime lib/security lib/transfer lib/wire lib/wire/operations",
  "client/transfer":
    "lib/core lib/delta lib/digest lib/files lib/runtime lib/transfer lib/wire lib/wire/operations " +
    "client/net",
  "client/api":
    "lib/core lib/digest lib/runtime lib/security lib/transfer lib/wire lib/wire/operations " +
    "client/net client/transfer",
  "client/echo": "lib/cli lib/core lib/udp lib/wire client/net",
  "client/line_exec": "lib/core lib/digest lib/line_exec lib/runtime lib/wire client/net",
  "client/cli": "lib/cli lib/core lib/line_exec lib/security lib/udp lib/wire/operations " +
    "client/api client/echo client/line_exec client/net client/transfer",
  "client/cli/commands": "lib/cli lib/core lib/files lib/line_exec lib/udp " +
    "client/api client/cli client/echo client/net client/transfer",
  "client": "lib/cli lib/core client/cli client/cli/commands",

  // For browsers: `packaging/page.ts` bundles it into a module of server/protocols/http/page.
  "page/upload": "lib/digest page/text page/widgets",
  "page/door": "",
  "page/listing": "page/door",
  "page/text": "",
  "page/widgets": "",
  "page/state": "page/door page/listing page/text",
  "page/view": "page/door page/listing page/state page/text page/upload page/widgets",
  "page": "page/door page/state page/text page/upload page/view",

  "packaging": "lib/cli lib/core lib/files",
  "packaging/debian": "lib/cli lib/core lib/files client/cli/commands packaging packaging/man " +
    "server/cli server/cli/commands",
  "packaging/man":
    "lib/cli lib/core lib/files client/cli client/cli/commands packaging server/cli server/cli/commands",
};

/** Folders that neither read nor write anything by themselves: what they work on is handed to them. */
const PURE = [
  "lib/core",
  "lib/security",
  "lib/line_exec",
  "lib/digest",
  "lib/delta",
  "lib/runtime",
  "lib/wire",
  "lib/wire/operations",
  "lib/transfer",
  "server/storage",
  "server/storage/memory",
  "server/files",
];

/** The module names in a source's import and export statements and its dynamic imports. */
function importsIn(source: string): string[] {
  const statements = [
    // A statement begins at the start of a line, as `deno fmt` has it: a comment's text does not.
    /^(?:import|export)\s+[\w\s{},*$]*?\bfrom\s*"([^"]+)"/gm,
    /^import\s*"([^"]+)"/gm,
    /\bimport\(\s*"([^"]+)"/g,
  ];
  const code = source.replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");
  return statements.flatMap((statement) => [...code.matchAll(statement)].map(([, name]) => name!));
}

function sources(directory: string): string[] {
  return [...Deno.readDirSync(PROJECT + directory)].flatMap(({ name, isDirectory }) =>
    isDirectory
      ? sources(`${directory}/${name}`)
      : /\.tsx?$/.test(name)
      ? [`${directory}/${name}`]
      : []
  ).sort();
}

const SOURCES = ["lib", "server", "client", "packaging", "page"].flatMap(sources);

function read(path: string): string {
  return Deno.readTextFileSync(PROJECT + path);
}

/** The modules of ours that a module imports, by paths from the project's directory. */
function ownImportsOf(path: string): string[] {
  return importsIn(read(path)).filter((name) => name.startsWith("."))
    .map((name) => new URL(name, `file:///${path}`).pathname.slice(1))
    .filter((name) => /\.tsx?$/.test(name));
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Why a module may not import another one; undefined where it may. */
function brokenRule(from: string, to: string): string | undefined {
  const [home, target] = [folderOf(from), folderOf(to)];
  const allowed = FOLDERS[home];
  if (allowed === undefined) return `${home} has no row in FOLDERS`;
  if (to.endsWith("/main.ts")) return `${from} imports ${to}: a program is imported by nobody`;
  if (home === target || allowed.split(" ").includes(target)) return undefined;
  return `${from} imports ${to}: ${home} may not import from ${target || "mod.ts"}`;
}

/** The folders that a folder imports from, and those that they import from, and so on. */
function reachedFrom(folder: string, seen: Set<string> = new Set()): Set<string> {
  for (const next of FOLDERS[folder]!.split(" ").filter((name) => name !== "")) {
    if (seen.has(next)) continue;
    seen.add(next);
    reachedFrom(next, seen);
  }
  return seen;
}

Deno.test("importsIn() sees every form of import, and no text that looks like one", () => {
  const source = `/**
 * import { no } from "./comment.ts";
 */
import "./a.ts";
import b from "./b.ts";
import type { C } from "./c.ts";
import { type D, e as f } from "./d.ts";
import {
  g,
  type H,
} from "./g.ts";
import * as i from "./i.ts";
import j, { k } from "./j.ts";
import config from "./config.json" with { type: "json" };
export * from "./l.ts";
export * as m from "./m.ts";
export { n } from "./n.ts";
export type { O } from "./o.ts";
// import { no } from "./line.ts";
export const text = "from";
export function p(from: string): string {
  return from + "./no.ts";
}
const q = await import("./q.ts");
  // await import("./no.ts")
`;
  assertEquals(
    importsIn(source).sort(),
    [..."abcdgijlmnoq"].map((letter) => `./${letter}.ts`).concat("./config.json").sort(),
  );
});

Deno.test("FOLDERS has no cycles, and no rows for what is not there", () => {
  const folders = new Set(SOURCES.map(folderOf));
  for (const [folder, allowed] of Object.entries(FOLDERS)) {
    assert(folders.has(folder), `${folder} is not there`);
    for (const name of allowed.split(" ")) {
      assert(name === "" || name in FOLDERS, `${folder} may import from ${name}: it has no row`);
    }
    assert(!reachedFrom(folder).has(folder), `${folder} imports itself by way of others`);
  }
});

Deno.test("client and server never meet, and the folders for both know neither", () => {
  const crossing = {
    lib: /^(server|client|page)/,
    server: /^(client|page)/,
    client: /^(server|page)/,
    page: /^(server|client)/,
  };
  for (const folder of Object.keys(FOLDERS)) {
    const forbidden = crossing[folder.split("/")[0] as keyof typeof crossing];
    if (!forbidden) continue;
    assertEquals([...reachedFrom(folder)].filter((name) => forbidden.test(name)), [], folder);
  }
});

Deno.test("brokenRule() finds what is forbidden, and only that", () => {
  const cases: [from: string, to: string, rule: string | undefined][] = [
    ["lib/core/errors.ts", "lib/core/version.ts", undefined],
    ["lib/wire/frames.ts", "lib/core/errors.ts", undefined],
    ["lib/core/errors.ts", "lib/wire/frames.ts", "may not import"],
    ["client/api/client.ts", "server/serve.ts", "may not import"],
    ["client/api/client.ts", "mod.ts", "may not import from mod.ts"],
    ["server/serve.ts", "server/main.ts", "imported by nobody"],
    ["lib/new/thing.ts", "lib/core/errors.ts", "no row"],
  ];
  for (const [from, to, rule] of cases) {
    const broken = brokenRule(from, to);
    if (rule === undefined) assertEquals(broken, undefined);
    else assert(broken?.includes(rule), `${from} imports ${to}: ${broken}`);
  }
});

Deno.test("each folder imports only what its row allows", () => {
  // What is known to be there is seen: a parser that sees nothing would forbid nothing.
  assert(ownImportsOf("server/main.ts").includes("server/serve.ts"));
  const broken = SOURCES.flatMap((from) =>
    ownImportsOf(from).flatMap((to) => {
      assert(SOURCES.includes(to), `${from} imports ${to}: it is not there`);
      return brokenRule(from, to) ?? [];
    })
  );
  assertEquals(broken.join("\n"), "");
});

Deno.test("pure folders do no input and output", () => {
  const impure =
    /\bDeno\.(open|read|write|create|stat|lstat|mkdir|remove|rename|listen|connect|env|run|Command|std)\w*|"node:(?!crypto|timers)[\w/]+"|\bfetch\(|\bconsole\./g;
  assert("await Deno.open(path)".match(impure) && 'from "node:fs"'.match(impure));
  for (const path of SOURCES.filter((path) => PURE.includes(folderOf(path)))) {
    const code = read(path).replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");
    assertEquals(code.match(impure) ?? [], [], `${path} is to be pure`);
  }
});

Deno.test("a file of more than 450 lines says in its first lines why it is one", () => {
  for (const path of [...SOURCES, ...sources("tests")]) {
    const lines = read(path).split("\n");
    const says = /one file because/i.test(lines.slice(0, 20).join(" "));
    assert(lines.length <= 451 || says, `${path} has ${lines.length - 1} lines`);
  }
});

Deno.test("unit tests stand where their sources stand", () => {
  const mirrored = sources("tests").filter((path) =>
    /^tests\/(lib|server|client|packaging|page)\//.test(path)
  );
  assert(mirrored.length > 100);
  for (const path of mirrored) {
    const folder = folderOf(path).slice("tests/".length);
    assert(folder in FOLDERS, `${path} stands in no folder of the program`);
  }
});

/** What a program loads when it begins: modules of ours and of others. */
function loadedAtStart(entry: string): { ours: Set<string>; others: Set<string> } {
  const ours = new Set([entry]);
  const others = new Set<string>();
  for (const path of ours) {
    const source = read(path);
    const later = [/\bimport\("([^"]+)"\)/g, /^import type [^"]*"([^"]+)"/gm]
      .flatMap((form) => [...source.matchAll(form)].map(([, name]) => name!));
    for (const name of importsIn(source).filter((name) => !later.includes(name))) {
      if (!name.startsWith(".")) others.add(name);
      else ours.add(new URL(name, `file:///${path}`).pathname.slice(1));
    }
  }
  return { ours, others };
}

Deno.test("the programs begin without what is slow to load and seldom needed", () => {
  const ferry = loadedAtStart("client/main.ts");
  const connected = loadedAtStart("client/cli/clients.ts");
  const ferryd = loadedAtStart("server/main.ts");
  assert(ferry.ours.has("client/cli/run.ts") && ferry.others.has("@std/cli/parse-args"));
  assert(connected.ours.has("client/api/client.ts") && connected.others.has("valibot"));
  // Help texts and versions need no client.
  assert(!ferry.ours.has("client/api/client.ts") && !ferry.others.has("valibot"));
  assert(ferryd.ours.has("server/auth/token_file.ts") && ferryd.others.has("@logtape/logtape"));
  // Neither kind of storage is loaded where the other one is served.
  assert(![...ferryd.ours].some((path) => /^server\/storage\/(fs|s3)\//.test(path)));
  // Of what Node has, Deno sets most up with any of it; prompt-secret asks for `process`.
  const slow = /^node:|^@std\/cli\/prompt-secret$|^(hash-wasm|ignore|string-width)$|^@peculiar/;
  for (const { others } of [ferry, connected, ferryd]) {
    assertEquals([...others].filter((name) => slow.test(name)), []);
  }
});

Deno.test("packages are imported under the names that deno.json maps", () => {
  const mapped = Object.keys(JSON.parse(read("deno.json")).imports);
  for (const path of [...SOURCES, "mod.ts", ...sources("tests")]) {
    for (const name of importsIn(read(path))) {
      const known = /^(\.|node:)/.test(name) || mapped.includes(name) || name === "@ferry/ferry";
      assert(known, `${path} imports "${name}": deno.json does not map that name`);
    }
  }
});

Deno.test("no file is a drawer for odds and ends", () => {
  for (const path of [...SOURCES, "mod.ts", ...sources("tests")]) {
    assert(
      !/(^|[/_])(utils?|helpers?|common|misc|shared)(_|\.|\/)/.test(path),
      `${path}: a function lives where its subject lives`,
    );
  }
});
