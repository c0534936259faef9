/**
 * What a tree holds and does not travel: the real programs, and trees with all that can stand in them.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type OmissionHandlers, reportOmission } from "../../../client/transfer/omissions.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { BOUND, by, NO_BOUND, prefix } from "../../support/launched_by.ts";
import { ferry, Ferryd, type Outcome, TempDir } from "../../support/programs.ts";

/** What makes the second read of a directory fail. */
function failing(directory: string): readonly string[] | undefined {
  const inject = ["-e", "trace=getdents64", "-e", "inject=getdents64:error=EIO:when=2+"];
  return prefix("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", directory, ...inject);
}

const TRACED = Deno.build.os === "linux" ? failing("/") : undefined;

function test(
  title: string,
  { needs, why }: { needs: unknown; why: string },
  fn: () => Promise<void>,
): void {
  const ignore = needs === undefined;
  Deno.test({ name: title + (ignore ? ` (ignored: ${why})` : ""), ignore, fn });
}

const BITS = { needs: BOUND, why: NO_BOUND };
const ERRORS = { needs: TRACED, why: "there is no strace that may trace" };

/** A leftover of a download. */
const PART = `.ferry-${"0a".repeat(16)}.part`;

/** Fills a directory with all that can stand in one. */
function fill(dir: TempDir, tree: string): void {
  const script = `
    mkdir -p "$1" && cd "$1" && mkdir sub locked .ferry "$(printf 'd\\376')" && mkfifo pipe
    echo f > file; echo s > sub/file; echo l > locked/file; echo x > secret; echo i > .ferry/index.db
    echo n > "$(printf 'caf\\351')"; echo p > sub/${PART}
    ln -s sub tosub; ln -s file tofile; ln -s nowhere broken; ln -s /etc out
    chmod 000 locked secret`;
  const { success, stderr } = new Deno.Command("sh", { args: ["-c", script, "sh", dir.join(tree)] })
    .outputSync();
  assert(success, new TextDecoder().decode(stderr));
}

/** Lets it be removed. */
function unlock(dir: TempDir, tree: string): Disposable {
  return { [Symbol.dispose]: () => Deno.chmodSync(dir.join(`${tree}/locked`), 0o700) };
}

/** The events of a run with `--json`: what was named, the last line, and all the other files. */
function told({ stdout, stderr }: Outcome) {
  assertEquals(stderr, "");
  const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
  const of = (event: string) => events.filter((one) => one.event === event);
  return {
    skipped: Object.fromEntries(of("skipped").map(({ filename, reason }) => [filename, reason])),
    failed: Object.fromEntries(of("error").map(({ filename, code }) => [filename, code])),
    done: of("done").map(({ filename }) => filename).sort(),
    listed: of("entry").map(({ filename }) => filename).sort(),
    summary: events.at(-1),
    named: of("skipped").length + of("error").length,
  };
}

test("ferry get DIR and ls name what a server's tree holds and does not travel", BITS, async () => {
  await using dir = new TempDir();
  fill(dir, "root/d");
  using _unlock = unlock(dir, "root/d");
  await using server = await Ferryd.start(dir.join("root"), [], { launch: by(BOUND!) });
  const run = (...args: string[]) => ferry(args, { cwd: dir.path, server: server.address });

  const got = await run("get", "d", "--json");
  const { summary, named, ...rest } = told(got);
  assertEquals(rest, {
    skipped: {
      "d/broken": "symbolic link",
      "d/out": "symbolic link",
      "d/pipe": "named pipe",
      [`d/sub/${PART}`]: "a part of a download",
      "d/tosub": "symbolic link",
    },
    failed: {
      "d/.ferry": "bad_name",
      "d/caf\ufffd": "bad_name",
      "d/d\ufffd": "bad_name",
      "d/locked": "denied",
      "d/secret": "denied",
    },
    done: ["d/file", "d/sub/file", "d/tofile"],
    listed: [],
  });
  assertEquals([summary.files, summary.omitted, summary.failed, named], [3, 5, 5, 10]);
  assertEquals(got.code, 5);
  // What could not be read must not pass for an empty directory, nor a link for one.
  const names = [...Deno.readDirSync(dir.join("d"))].map(({ name }) => name).sort();
  assertEquals(names, ["file", "sub", "tofile"]);
  assertEquals([...Deno.readDirSync(dir.join("d/sub"))].map(({ name }) => name), ["file"]);

  const exclude = ["locked", "secret", "caf*", "d?", ".ferry"].flatMap((one) => ["--exclude", one]);
  const again = await run("get", "d", ...exclude);
  assertEquals(again.code, 0, "what is excluded does not fail");
  assertStringIncludes(again.stderr, `ferry: skipped "d/pipe": named pipe\n`);
  assertStringIncludes(again.stderr, "3 unchanged, 5 skipped\n");
  const include = await run("get", "d", "--include", "file", "--exclude", "locked/", "--json");
  const linked = { "d/tosub": "symbolic link" };
  assertEquals([told(include).skipped, told(include).failed], [linked, { "d/.ferry": "bad_name" }]);

  const listed = await run("ls", "-R", "d", "--json");
  const shown = told(listed);
  assertEquals(Object.keys(shown.skipped), ["d/broken", "d/out", "d/pipe", "d/tosub"]);
  const bad = { "d/caf\ufffd": "bad_name", "d/d\ufffd": "bad_name" };
  assertEquals(shown.failed, { ...bad, "d/locked": "denied" });
  assert(["d/locked", "d/tosub", "d/secret"].every((name) => shown.listed.includes(name)));
  assertEquals(listed.code, 5);
  // One by one a directory is only shown.
  assertEquals(told(await run("ls", "d", "--json")).failed, bad);
  for (const [...command] of [["ls", "d/locked"], ["ls", "-R", "d/locked"], ["get", "d/locked"]]) {
    const { code, stderr } = await run(...command);
    assertEquals(code, 3, command.join(" "));
    assertStringIncludes(stderr, "d/locked");
  }
});

test("a pattern of names on the server names what it cannot look into", BITS, async () => {
  await using dir = new TempDir();
  fill(dir, "root/d");
  using _unlock = unlock(dir, "root/d");
  Deno.mkdirSync(dir.join("root/e/sub"), { recursive: true });
  dir.write("root/e/sub/file", "x");
  await using server = await Ferryd.start(dir.join("root"), [], { launch: by(BOUND!) });
  const run = (...args: string[]) => ferry(args, { cwd: dir.path, server: server.address });
  const locked = { "d/locked": "denied" };
  // What has such a name may be a directory, and one of these is.
  const all = { ...locked, "d/caf\ufffd": "bad_name", "d/d\ufffd": "bad_name" };
  const link = { "d/tosub": "symbolic link" };
  const none = {};
  const table: [args: string[], code: number, failed: object, skipped: object][] = [
    // Once, though two patterns come upon it.
    [["get", "d/*/f*", "d/*/file", "--out", "got"], 5, all, link],
    [["get", "d/s*/file", "--out", "got"], 0, none, none],
    [["get", "d/l*/*"], 3, locked, none],
    [["ls", "d/*/nope"], 5, all, link],
    [["stat", "**/file"], 5, all, link],
    [["ls", "d/c*"], 5, { "d/caf\ufffd": "bad_name" }, none],
    [["ls", "d/[op]*"], 0, none, { "d/out": "symbolic link", "d/pipe": "named pipe" }],
    [["mv", "d/*/nope", "e/"], 5, all, link],
    [["rm", "e/*/file", "d/*/nope"], 5, all, link],
  ];
  for (const [args, code, failed, skipped] of table) {
    const outcome = await run(...args, "--json");
    const seen = told(outcome);
    assertEquals([seen.failed, seen.skipped], [failed, skipped], args.join(" "));
    assertEquals(outcome.code, code, args.join(" "));
    assertEquals(seen.named, Object.keys(failed).length + Object.keys(skipped).length);
  }
  assertEquals([...Deno.readDirSync(dir.join("got"))].map(({ name }) => name), ["file"]);
  assertEquals([...Deno.readDirSync(dir.join("root/e/sub"))], []);
  const { code, stderr } = await run("get", "d/l*/*");
  assertEquals([code, stderr], [
    3,
    'ferry: Cannot list "d/locked": permission denied by the operating system (on the server)\n',
  ]);
});

test("ferry put DIR names what a local tree holds and does not travel", BITS, async () => {
  await using dir = new TempDir();
  fill(dir, "cwd/d");
  using _unlock = unlock(dir, "cwd/d");
  Deno.mkdirSync(dir.join("root"));
  await using server = await Ferryd.start(dir.join("root"));
  const run = (...args: string[]) =>
    ferry(args, { cwd: dir.join("cwd"), server: server.address, launch: by(BOUND!) });

  const put = await run("put", "d", "--json");
  const { summary, named, ...rest } = told(put);
  assertEquals(rest, {
    skipped: {
      "d/.ferry": "ferryd's own directory",
      "d/broken": "symbolic link",
      "d/out": "symbolic link",
      "d/pipe": "named pipe",
      [`d/sub/${PART}`]: "a part of a download",
      "d/tofile": "symbolic link",
      "d/tosub": "symbolic link",
    },
    failed: {
      "d/caf\ufffd": "bad_name",
      "d/d\ufffd": "bad_name",
      "d/locked": "denied",
      "d/secret": "denied",
    },
    done: ["d/file", "d/sub/file"],
    listed: [],
  });
  assertEquals([summary.files, summary.omitted, summary.failed, named], [2, 7, 4, 11]);
  assertEquals(put.code, 5);
  const exclude = ["locked", "secret", "caf*", "d?"].flatMap((one) => ["--exclude", one]);
  const again = await run("put", "d", ...exclude);
  assertEquals(again.code, 0, "what is excluded does not fail");
  assertStringIncludes(again.stderr, "2 unchanged, 7 skipped\n");
  // A pattern that cannot be looked into is no pattern that matches nothing.
  const glob = await run("put", "d/locked/*", "d/fi*", "--json");
  assertEquals([glob.code, told(glob).failed], [3, { "d/locked/": "denied" }]);
});

test(
  "a directory whose reading breaks off is named, and not taken for a smaller one",
  ERRORS,
  async () => {
    await using dir = new TempDir();
    for (const tree of ["root/d", "cwd/e"]) {
      Deno.mkdirSync(dir.join(`${tree}/broken`), { recursive: true });
      dir.write(`${tree}/whole`, "x");
      dir.write(`${tree}/broken/file`, "x");
    }
    const cwd = dir.join("cwd");
    const traced = by(failing(dir.join("root/d/broken"))!);
    await using server = await Ferryd.start(dir.join("root"), [], { launch: traced });
    const get = await ferry(["get", "d", "--json"], { cwd, server: server.address });
    assertEquals([get.code, told(get).done, told(get).failed], [1, ["d/whole"], {
      "d/broken": "io",
    }]);
    const get2 = await ferry(["get", "d/broken", "--json"], { cwd, server: server.address });
    assertEquals([get2.code, told(get2).failed], [1, { "d/broken": "io" }]);
    const launch = by(failing(dir.join("cwd/e/broken"))!);
    const put = await ferry(["put", "e", "--json"], { cwd, server: server.address, launch });
    assertEquals([put.code, told(put).done, told(put).failed], [1, ["e/whole"], {
      "e/broken": "io",
    }]);
  },
);

Deno.test("one name of a server's tree that is too long fails itself, and nothing else", async () => {
  await using dir = new TempDir();
  const part = "d".repeat(200);
  Deno.mkdirSync(dir.join(`root/deep/${Array(15).fill(part).join("/")}`), { recursive: true });
  dir.write("root/deep/ok", "x");
  Deno.mkdirSync(dir.join("half"));
  Deno.writeTextFileSync(dir.join("half/file"), "x");
  const last = `root/deep/${Array(15).fill(part).join("/")}`;
  Deno.renameSync(dir.join("half"), dir.join(`${last}/${part}`));
  await using server = await Ferryd.start(dir.join("root"));
  const got = await ferry(["get", "deep", "--json"], { cwd: dir.path, server: server.address });
  const { done, failed } = told(got);
  assertEquals([got.code, done, Object.values(failed)], [5, ["deep/ok"], ["bad_name"]]);
});

Deno.test("reportOmission() tells rules and failures apart, and shows what it does not know as it is", () => {
  const seen: unknown[] = [];
  const handlers: OmissionHandlers = {
    onSkip: (skipped) => seen.push(skipped),
    onError: (filename, { code, message }) => seen.push({ filename, code, message }),
  };
  for (const omitted of ["socket", "wormhole\x1b", new FerryError("io", "it broke")]) {
    reportOmission(handlers, "get", { filename: "f", omitted });
    reportOmission({}, "get", { filename: "f", omitted });
  }
  assertEquals(seen, [
    { path: "f", reason: "socket" },
    { path: "f", reason: `"wormhole\\u001b"` },
    { filename: "f", code: "io", message: `Cannot get "f": it broke` },
  ]);
});

test("ferry put DIR --dry-run names the files that cannot be read", BITS, async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  Deno.mkdirSync(dir.join("t"));
  for (const name of ["open", "secret"]) dir.write(`t/${name}`, name);
  Deno.chmodSync(dir.join("t/secret"), 0);
  await using server = await Ferryd.start(dir.join("root"));
  const options = { cwd: dir.path, server: server.address, launch: by(BOUND!) };
  assertEquals(await ferry(["put", "t", "--dry-run"], options), {
    code: 3,
    stdout: "would put t/open\n",
    stderr:
      'ferry: Cannot put "t/secret": permission denied by the operating system (on this machine)\n' +
      "ferry: 1 would be transferred, 0 unchanged, 1 failed\n",
  });
});

Deno.test("the last line of ferry put and get counts what all arguments and patterns have come to", async () => {
  await using dir = new TempDir();
  for (const path of ["root/d/e/a", "root/d/b", "t/1", "u/2"]) {
    Deno.mkdirSync(dir.join(path).replace(/\/[^/]*$/, ""), { recursive: true });
    dir.write(path, path);
  }
  for (const path of ["root/d/out", "root/d/e/out", "t/link", "u/link"]) {
    Deno.symlinkSync("/", dir.join(path));
  }
  await using server = await Ferryd.start(dir.join("root"));
  const last = async (...args: string[]) => {
    const { code, stderr } = await ferry(args, { cwd: dir.path, server: server.address });
    return [code, stderr.split("\n").at(-2)];
  };
  const table: [args: string[], code: number, last: string][] = [
    [["put", "t", "u", "nothing"], 4, "2 transferred (6 B), 0 unchanged, 2 skipped, 1 failed"],
    [["put", "t", "u"], 0, "0 transferred (0 B), 2 unchanged, 2 skipped"],
    [["get", "d/*", "nothing"], 4, "2 transferred (18 B), 0 unchanged, 2 skipped, 1 failed"],
    // Only files, and what the pattern leaves out.
    [["get", "d/[bo]*"], 0, "0 transferred (0 B), 1 unchanged, 1 skipped"],
    [["get", "d/[bo]*", "--out", "-"], 0, "1 transferred (8 B), 0 unchanged, 1 skipped"],
    [["get", "d/*", "--dry-run"], 0, "0 would be transferred, 2 unchanged, 2 skipped"],
  ];
  for (const [args, code, line] of table) {
    assertEquals(await last(...args), [code, `ferry: ${line}`], args.join(" "));
  }
});
