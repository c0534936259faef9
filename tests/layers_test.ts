import { assert, assertEquals } from "@std/assert";
import { PROJECT } from "./support/programs.ts";

/** Which of our modules a module imports, by paths from the project's directory. */
type Imports = ReadonlyMap<string, readonly string[]>;

/** The modules of lib/, lowest first: each may import what stands in a line above its own. */
const LAYERS: readonly (readonly string[])[] = [
  [
    "buffers",
    "echo",
    "errors",
    "file_lock",
    "foreign_protocol",
    "header_checksum",
    "keep_alive",
    "md5_thread",
    "part_writer",
    "platform",
    "nameless_file",
    "same_bytes",
    "size",
    "turns",
    "version",
  ],
  ["md5", "number_option", "suggestion"],
  [
    "address",
    "checksum",
    "file_name",
    "file_system",
    "interrupts",
    "path",
    "pin",
    "quota",
    "scram",
    "sorted_names",
    "token",
    "watchdog",
  ],
  ["honesty", "privileges", "regular_file"],
  ["command_line"],
  ["completions", "datagram", "overwrite", "pieces"],
  ["classic", "header", "manifest"],
  ["storage", "wire"],
  ["digest_index", "local_file", "staging"],
  ["handles", "partial"],
  ["descriptor_file"],
  ["directory"],
  ["file_system_trial", "root", "tree_walk"],
  ["jail", "lease", "tree_listing", "tree_removal"],
  ["batch", "own_directory"],
  ["memory_tree", "parts", "transfer"],
  ["read_back"],
  ["publisher", "tree_copy"],
  ["staging_areas"],
  ["moving"],
  ["storage_fs", "storage_memory"],
];

/** The codec and the rules: they neither read nor write anything. */
const PURE = [
  "address",
  "checksum",
  "echo",
  "errors",
  "file_name",
  "foreign_protocol",
  "header",
  "header_checksum",
  "manifest",
  "md5",
  "md5_thread",
  "memory_tree",
  "overwrite",
  "pin",
  "scram",
  "size",
  "suggestion",
  "token",
];

/** The only modules that decide in what files are kept. */
const PICK_STORAGE = ["server/main.ts", "mod.ts"];

/** Sources without a test of their own name, and why. */
const TESTED_ELSEWHERE: Readonly<Record<string, string>> = {
  "client/cli/transfer_commands.ts":
    "run as programs: end_to_end_test.ts, tree_test.ts, dry_run_test.ts",
  "client/cli/options.ts": "a table: command_line_test.ts reads every command of it",
  "client/net/connection.ts": "client_test.ts, session_test.ts and end_to_end_test.ts connect",
  "client/api/connect.ts": "client_test.ts and session_test.ts connect",
  "client/echo/carrier.ts": "echo_command_test.ts sends every kind of probe",
  "client/echo/exchange.ts": "echo_command_test.ts asks for single replies",
  "client/net/dial.ts": "tls_test.ts and client_test.ts reach servers, and some that do not answer",
  "client/net/handshake.ts": "auth_session_test.ts greets servers, honest ones and others",
  "client/transfer/local_path.ts": "source_test.ts and lazy_download_test.ts give URLs",
  "client/transfer/gathered_bytes.ts": "lazy_download_test.ts and exec_test.ts gather",
  "client/transfer/options.ts": "types only",
  "client/transfer/download.ts": "client_test.ts and end_to_end_test.ts download",
  "client/cli/stdio.ts": "pipe_test.ts and exec_command_test.ts read and write them",
  "client/transfer/tree_download.ts": "tree_test.ts moves directories",
  "client/transfer/upload.ts": "client_test.ts, resume_test.ts and end_to_end_test.ts upload",
  "client/main.ts": "wiring: end_to_end_test.ts runs the program",
  "server/storage/memory/memory_tree.ts": "storage_memory_test.ts stores, lists and moves in it",
  "lib/core/paths.ts": "a choice: platform_test.ts runs the programs with either",
  "lib/std.d.ts": "types only",
  "server/storage/storage.ts": "types only: storage_conformance.ts is what they promise",
  "lib/core/version.ts": "one constant: end_to_end_test.ts prints it",
  "lib/files/partial_file.ts": "resume_test.ts cuts, damages and goes on",
  "lib/files/descriptor_file.ts": "directory_test.ts reads and writes files by descriptors",
  "server/storage/fs/directory_descriptors.ts": "directory_test.ts holds directories by them",
  "server/storage/partial_writer.ts": "storage_conformance.ts takes over from silent writers",
  "server/storage/fs/partial_uploads.ts": "resume_test.ts cuts, damages and goes on",
  "lib/files/unlinked_file.ts": "spool_test.ts and sorted_names_test.ts write to them",
  "packaging/main.ts": "wiring: standalone_test.ts makes executables and runs them",
  "packaging/install.ts": "example_test.ts installs both programs",
  "packaging/npm_package.ts": "example_test.ts runs what it makes",
  "server/protocols/ferry/uploads.ts": "session_test.ts and resume_test.ts upload",
  "server/cli/certificate.ts": "administration_test.ts makes certificates, tls_test.ts uses them",
  "server/cli/options.ts": "a table: command_line_test.ts reads it",
  "server/serve.ts": "session_test.ts and end_to_end_test.ts listen",
  "server/main.ts": "wiring: end_to_end_test.ts runs the program",
};

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
      : name.endsWith(".ts")
      ? [`${directory}/${name}`]
      : []
  ).sort();
}

const SOURCES = [...["lib", "server", "client"].flatMap(sources), "mod.ts"];

/** What makes executables of them: no part of the programs. */
const TOOLS = sources("standalone");

function read(path: string): string {
  return Deno.readTextFileSync(PROJECT + path);
}

function importsOf(paths: readonly string[]): Imports {
  return new Map(paths.map((path) => [
    path,
    importsIn(read(path)).filter((name) => name.startsWith("."))
      .map((name) => new URL(name, `file:///${path}`).pathname.slice(1))
      .filter((name) => name.endsWith(".ts")),
  ]));
}

/** `lib` of lib/core/errors.ts, "" of mod.ts. */
function directoryOf(path: string): string {
  return path.slice(0, Math.max(0, path.indexOf("/")));
}

function layerOf(path: string): number {
  return LAYERS.findIndex((layer) => layer.some((name) => path === `lib/${name}.ts`));
}

/** Every import that a rule forbids, in words. */
function brokenRules(imports: Imports): string[] {
  const broken: string[] = [];
  for (const [from, targets] of imports) {
    for (const to of targets) {
      const say = (rule: string) => broken.push(`${from} imports ${to}: ${rule}`);
      const [home, target] = [directoryOf(from), directoryOf(to)];
      if (home === "lib" && target !== "lib") say("lib/ imports nothing from outside of lib/");
      if (home === "server" && target === "client" || home === "client" && target === "server") {
        say("server/ and client/ never import each other");
      }
      if (home === "standalone" && !["standalone", "lib"].includes(target)) {
        say("standalone/ runs the programs, and imports nothing of them but lib/");
      }
      if (!["lib", "server", "client", "", home].includes(target)) {
        say("that is not part of the program");
      }
      if (to === "mod.ts") say("mod.ts is for others; import what it exports from where it is");
      if (to.endsWith("/main.ts")) say("nobody imports a main.ts");
      if (/^lib\/storage_\w+\.ts$/.test(to) && !PICK_STORAGE.includes(from)) {
        say(
          `only ${
            PICK_STORAGE.join(" and ")
          } pick a storage; the rest imports server/storage/storage.ts`,
        );
      }
      if (home === "lib" && target === "lib" && layerOf(to) >= layerOf(from)) {
        say("it does not stand in a lower layer");
      }
    }
    if (directoryOf(from) === "lib" && !from.endsWith(".d.ts") && layerOf(from) < 0) {
      broken.push(`${from} has no layer: put it into LAYERS`);
    }
  }
  return broken;
}

/** A cycle of imports, as a path that ends where it began; undefined where there is none. */
function cycleIn(imports: Imports): string[] | undefined {
  const finished = new Set<string>();
  const visit = (path: string, above: readonly string[]): string[] | undefined => {
    if (above.includes(path)) return [...above.slice(above.indexOf(path)), path];
    if (finished.has(path)) return undefined;
    for (const target of imports.get(path) ?? []) {
      const cycle = visit(target, [...above, path]);
      if (cycle) return cycle;
    }
    finished.add(path);
    return undefined;
  };
  for (const path of imports.keys()) {
    const cycle = visit(path, []);
    if (cycle) return cycle;
  }
  return undefined;
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

Deno.test("brokenRules() finds what is forbidden, and only that", () => {
  const table: [string, string, string | undefined][] = [
    ["lib/core/errors.ts", "lib/core/version.ts", "lower layer"],
    ["lib/core/errors.ts", "lib/core/remote_name.ts", "lower layer"],
    ["lib/wire/header.ts", "lib/wire/wire.ts", "lower layer"],
    ["server/storage/storage.ts", "lib/files/staged_file.ts", "lower layer"],
    ["lib/digest/checksum.ts", "lib/core/overwrite.ts", "lower layer"],
    ["lib/wire/wire.ts", "server/protocols/ferry/session.ts", "nothing from outside"],
    ["lib/wire/wire.ts", "client/api/client.ts", "nothing from outside"],
    ["lib/wire/wire.ts", "mod.ts", "nothing from outside"],
    ["lib/wire/wire.ts", "tests/support/programs.ts", "nothing from outside"],
    ["server/protocols/ferry/session.ts", "client/api/client.ts", "never import each other"],
    ["client/api/client.ts", "server/auth/authorization.ts", "never import each other"],
    ["client/api/client.ts", "mod.ts", "mod.ts is for others"],
    ["client/api/client.ts", "tests/support/programs.ts", "not part of the program"],
    ["client/api/client.ts", "packaging/target.ts", "not part of the program"],
    ["packaging/main.ts", "client/api/client.ts", "nothing of them but lib/"],
    ["packaging/main.ts", "packaging/target.ts", undefined],
    ["packaging/main.ts", "lib/core/errors.ts", undefined],
    ["server/serve.ts", "server/main.ts", "nobody imports a main.ts"],
    ["mod.ts", "client/main.ts", "nobody imports a main.ts"],
    ["server/protocols/ferry/session.ts", "server/storage/fs/fs_storage.ts", "pick a storage"],
    ["client/api/client.ts", "server/storage/fs/fs_storage.ts", "pick a storage"],
    ["server/serve.ts", "server/storage/memory/memory_storage.ts", "pick a storage"],
    ["lib/files/group_commit.ts", "server/storage/fs/fs_storage.ts", "pick a storage"],
    ["lib/new.ts", "lib/core/errors.ts", "has no layer"],
    ["lib/wire/header.ts", "lib/core/errors.ts", undefined],
    ["server/storage/fs/fs_storage.ts", "lib/files/group_commit.ts", undefined],
    ["server/main.ts", "server/storage/fs/fs_storage.ts", undefined],
    ["server/main.ts", "server/serve.ts", undefined],
    ["mod.ts", "server/storage/fs/fs_storage.ts", undefined],
    ["mod.ts", "server/storage/memory/memory_storage.ts", undefined],
    ["mod.ts", "client/api/client.ts", undefined],
    ["client/api/client.ts", "lib/wire/wire.ts", undefined],
  ];
  for (const [from, to, rule] of table) {
    const broken = brokenRules(new Map([[from, [to]]]));
    if (rule === undefined) assertEquals(broken, []);
    else assert(broken.some((line) => line.includes(rule)), `${from} imports ${to}: ${broken}`);
  }
});

Deno.test("cycleIn() finds a cycle, and none where there is none", () => {
  const imports: [string, string[]][] = [["a", ["b", "c"]], ["b", ["c"]], ["c", ["d"]], ["d", []]];
  assertEquals(cycleIn(new Map(imports)), undefined);
  assertEquals(cycleIn(new Map([...imports, ["d", ["b"]]])), ["b", "c", "d", "b"]);
  assertEquals(cycleIn(new Map([["a", ["a"]]])), ["a", "a"]);
});

Deno.test("imports run one way", () => {
  const imports = importsOf([...SOURCES, ...TOOLS]);
  // What is known to be there is seen: a parser that sees nothing would forbid nothing.
  assert(imports.get("server/storage/fs/fs_storage.ts")!.includes("lib/files/group_commit.ts"));
  assert(imports.get("mod.ts")!.includes("server/storage/fs/fs_storage.ts"));
  for (const [from, targets] of imports) {
    for (const to of targets) {
      assert([...SOURCES, ...TOOLS].includes(to), `${from} imports ${to}: it is not there`);
    }
  }
  assertEquals(brokenRules(imports).join("\n"), "");
  assertEquals(cycleIn(imports)?.join(" imports ") ?? "", "", "a cycle of imports");
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
  const ferryd = loadedAtStart("server/main.ts");
  assert(ferry.ours.has("lib/digest/md5.ts") && ferry.others.has("valibot"));
  assert(ferryd.ours.has("server/auth/token_file.ts") && ferryd.others.has("@logtape/logtape"));
  // Of what Node has, Deno sets most up with any of it; prompt-secret asks for `process`.
  const slow = /^node:|^@std\/cli\/prompt-secret$|^(hash-wasm|ignore|string-width)$|^@peculiar/;
  for (const { others } of [ferry, ferryd]) {
    assertEquals([...others].filter((name) => slow.test(name)), []);
  }
});

Deno.test("every layer is a module of lib/", () => {
  for (const name of [...LAYERS.flat(), ...PURE]) {
    assert(
      SOURCES.includes(`lib/${name}.ts`),
      `LAYERS or PURE names lib/${name}.ts: it is not there`,
    );
  }
});

Deno.test("lib/core/errors.ts imports nothing of ours", () => {
  assertEquals(importsIn(read("lib/core/errors.ts")).filter((name) => name.startsWith(".")), []);
});

Deno.test("the codec and the rules do no input and output", () => {
  const impure = /\bDeno\.(?!errors\b)\w+|"node:(?!crypto")[\w/]+"|\bfetch\(|\bconsole\./g;
  assert("await Deno.open(path)".match(impure) && 'from "node:fs"'.match(impure));
  for (const name of PURE) {
    const code = read(`lib/${name}.ts`).replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");
    assertEquals(code.match(impure) ?? [], [], `lib/${name}.ts is to be pure`);
  }
});

Deno.test("packages are imported under the names that deno.json maps", () => {
  const mapped = Object.keys(JSON.parse(read("deno.json")).imports);
  for (const path of [...SOURCES, ...TOOLS, ...sources("tests")]) {
    for (const name of importsIn(read(path))) {
      const known = /^(\.|node:)/.test(name) || mapped.includes(name) || name === "@ferry/ferry";
      assert(known, `${path} imports "${name}": deno.json does not map that name`);
    }
  }
});

Deno.test("every source has its test", () => {
  const tests = sources("tests");
  const problems: string[] = [];
  for (const path of [...SOURCES, ...TOOLS].filter((path) => path !== "mod.ts")) {
    const test = `tests/${path.replace(/^.*\//, "").replace(/\.ts$/, "_test.ts")}`;
    const reason = TESTED_ELSEWHERE[path];
    if (reason === undefined) {
      if (!tests.includes(test)) problems.push(`${path} has no test: ${test} is missing`);
      continue;
    }
    if (tests.includes(test)) problems.push(`${path} has ${test}: it is no exception any more`);
    for (const [name] of reason.matchAll(/\w+\.ts/g)) {
      if (!tests.includes(`tests/${name}`)) problems.push(`${path}: ${name} is not there`);
    }
  }
  for (const path of Object.keys(TESTED_ELSEWHERE)) {
    if (![...SOURCES, ...TOOLS].includes(path)) {
      problems.push(`TESTED_ELSEWHERE names ${path}: it is not there`);
    }
  }
  assertEquals(problems.join("\n"), "");
});

Deno.test("no file is a drawer for odds and ends", () => {
  for (const path of [...SOURCES, ...TOOLS, ...sources("tests")]) {
    assert(
      !/(^|[/_])(utils?|helpers?|common|misc|shared)(_|\.|\/)/.test(path),
      `${path}: a function lives where its subject lives`,
    );
  }
});
