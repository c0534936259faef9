/** Each line and each event with a checksum reports that of the bytes that are at its path at that moment. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { Pair } from "../support/pair.ts";
import { type Outcome, outcome, spawnFerry } from "../support/programs.ts";
import { token, TokenServer } from "../support/token_server.ts";
import { MIB } from "../support/bytes.ts";

/** Sizes of files that are sent whole, that are offered first, and that are read in pieces. */
const SIZES = { small: 100, middle: 2 * MIB, large: 9 * MIB };

const OLD = 1_600_000_000;
const NEW = 1_700_000_000;

function hash(algorithm: string, path: string): string {
  return createHash(algorithm).update(Deno.readFileSync(path)).digest("hex");
}

/** Writes a file whose bytes depend on the seed. */
function write(path: string, size: number, seed: number, mtime: number): void {
  Deno.mkdirSync(path.replace(/\/[^/]*$/, ""), { recursive: true });
  Deno.writeFileSync(path, new Uint8Array(size).fill(seed));
  Deno.utimeSync(path, mtime, mtime);
}

/** The path of the file that a line or an event is about. */
function placeOf(p: Pair, op: "put" | "get", name: string): string {
  return op === "put" ? `${p.root}/${name}` : `${p.cwd}/${name}`;
}

/** Counts the reported checksums; each has to be that of the file at its path. */
function assertTold(p: Pair, op: "put" | "get", { stdout }: Outcome, algorithm: string): number {
  let told = 0;
  for (const line of stdout.split("\n").filter(Boolean)) {
    if (line.startsWith("{")) {
      const event = JSON.parse(line);
      const sum = event[algorithm];
      if (event.event !== "done" || sum === null || sum === undefined) continue;
      const path = placeOf(p, op, op === "put" ? event.filename : event.path);
      assertEquals(
        [sum, event.total_size],
        [hash(algorithm, path), Deno.statSync(path).size],
        line,
      );
    } else {
      const [, sum, name] = /^([0-9a-f]{32,64}) {2}(.*)$/.exec(line)!;
      assertEquals(sum, hash(algorithm, placeOf(p, op, name!)), line);
    }
    told++;
  }
  return told;
}

/** A file on the server and a local one, by their seeds and times. */
interface Case {
  readonly from?: readonly [seed: number, mtime: number];
  readonly to?: readonly [seed: number, mtime: number];
  /** How many bytes larger the file to be transferred is. */
  readonly more?: number;
}

const TAKEN: Case = { from: [1, NEW], to: [2, OLD] };
const IDENTICAL: Case = { from: [1, NEW], to: [1, OLD] };
const OLDER: Case = { from: [1, OLD], to: [2, NEW] };
/** In a directory, equal size and time count as identical: such files are not read and have no checksum. */
const ALIKE: Case = { from: [1, OLD], to: [2, OLD] };

/** Arguments, the files, and the exit status; the last member is the status for a directory where it differs. */
const TABLE: [args: string[], cases: Case[], code: number, ofTree?: number][] = [
  [[], [{ from: [1, NEW] }, IDENTICAL], 0],
  [[], [TAKEN, { from: [3, NEW] }], 5],
  [[], [ALIKE], 5, 0],
  [["--overwrite", "always"], [TAKEN, IDENTICAL, OLDER, ALIKE], 0],
  [["--overwrite", "newer"], [TAKEN, IDENTICAL, OLDER, ALIKE, { ...OLDER, more: 10 }], 0],
  [["--overwrite", "different"], [TAKEN, IDENTICAL, OLDER, ALIKE], 0],
];

/** Output formats and algorithms; options after the first one do not affect which files are transferred. */
const VARIANTS = [["--json"], [], ["--json", "--checksum", "sha256"]];

for (const op of ["put", "get"] as const) {
  for (const tree of [false, true]) {
    const what = tree ? "a directory" : "files";
    Deno.test(`ferry ${op} of ${what} tells the checksums of what is there`, async () => {
      await using p = await Pair.shared(["--durability", "none"]);
      const [source, target] = op === "put" ? [p.cwd, p.root] : [p.root, p.cwd];
      let told = 0;
      for (const [at, [args, cases, code, ofTree = code]] of TABLE.entries()) {
        for (const variant of VARIANTS.slice(0, args.length === 0 ? undefined : 1)) {
          const directory = `${at}${variant.length}`;
          const names: string[] = [];
          for (const [number, { from, to, more = 0 }] of cases.entries()) {
            for (const [size, bytes] of Object.entries(SIZES)) {
              if (size === "large" && (number > 0 || variant.length !== 1)) continue;
              const name = `${directory}/${size}${number}`;
              if (from) write(`${source}/${name}`, bytes + more, ...from);
              if (to) write(`${target}/${name}`, bytes, ...to);
              names.push(name);
            }
          }
          const into = op === "put" ? ["--to", directory] : ["--out", `${directory}/`];
          const all = [op, ...(tree ? [directory] : [...names, ...into]), ...args, ...variant];
          if (variant.length === 0) {
            assertEquals(sums((await p.run(...all, "--dry-run")).stdout), "", all.join(" "));
          }
          const run = await p.run(...all);
          assertEquals(run.code, tree ? ofTree : code, `${all.join(" ")}: ${run.stderr}`);
          told += assertTold(p, op, run, variant.includes("sha256") ? "sha256" : "md5");
        }
      }
      assert(told > 30, `only ${told} checksums were told`);
    });
  }
}

/** The lines with a checksum. */
function sums(stdout: string): string {
  return stdout.split("\n").filter((line) => /^[0-9a-f]{32}|"md5":"/.test(line)).join("\n");
}

Deno.test("ferry put of standard input tells the checksum of what has the name then", async () => {
  await using p = await Pair.start();
  write(`${p.root}/there`, 100, 2, OLD);
  const put = async (...args: string[]) => {
    const child = spawnFerry(["put", "-", ...args], {
      cwd: p.cwd,
      server: p.server.address,
      stdin: "piped",
    });
    await ReadableStream.from([new Uint8Array(50).fill(9)]).pipeTo(child.stdin);
    return await outcome(child);
  };
  for (const args of [["--as", "new"], ["--as", "there", "--overwrite", "newer"]]) {
    const run = await put(...args, "--json");
    assertEquals([run.code, assertTold(p, "put", run, "md5")], [0, 1], run.stderr);
  }
  assertEquals(Deno.statSync(`${p.root}/there`).size, 100, "a stream without a time is newer");
});

Deno.test("putTree() tells the checksum of a file that stays, also where it cannot compare before", async () => {
  const { token: shown, record } = await token("write:inbox/");
  await using f = await TokenServer.start([record]);
  await using client = await f.connect({ token: shown });
  await using p = await Pair.start();
  write(`${p.cwd}/d/mine`, 200, 1, OLD);
  const results: unknown[] = [];
  await client.putTree(`${p.cwd}/d`, {
    as: "inbox",
    overwrite: "newer",
    onFile: ({ filename, checksum, size, skipped }) => {
      results.push([filename, checksum, size, skipped]);
    },
  });
  const path = `${f.path}/inbox/mine`;
  assertEquals(results, [["inbox/mine", hash("md5", path), Deno.statSync(path).size, true]]);
});

Deno.test("an upload for which a file stays tells what that is when the upload has come", async () => {
  await using p = await Pair.start();
  write(`${p.root}/f`, 100, 2, NEW);
  await p.run("stat", "f");
  using peer = await p.connect();
  const body = new Uint8Array(2 * MIB);
  const put = { op: "put", filename: "f", overwrite: "newer", mtime: OLD * 1000 };
  await peer.send({ ...put, md5: null, total_size: body.length }, body.subarray(0, MIB));
  // The reply on another connection shows that the server has read what the first one has sent so far.
  using other = await p.connect();
  await other.ask({ op: "ping" });
  write(`${p.root}/f`, 50, 3, NEW);
  const md5 = createHash("md5").update(body).digest("hex");
  await peer.send(body.subarray(MIB), { end: true, md5, size: body.length });
  const { header } = (await peer.receive())!;
  assertEquals([header.unchanged, header.md5, Number(header.size)], [
    true,
    hash("md5", `${p.root}/f`),
    50,
  ]);
  await peer.send({ ...put, md5: null, total_size: body.length }, body);
  Deno.removeSync(`${p.root}/f`);
  await peer.send({ end: true, md5, size: body.length });
  assert(["busy", "ok"].includes(await peer.code()), "what vanished is told to be there");
});

Deno.test("several sources that would end at one path are refused before anything moves", async () => {
  await using p = await Pair.start();
  for (const side of [p.root, p.cwd]) {
    for (const name of ["a/f", "b/f", "d/x", "c/d/x", "e"]) write(`${side}/${name}`, 10, 1, OLD);
  }
  const table: string[][] = [
    ["put", "a/f", "b/f", "--to", "new"],
    ["put", "a/f", "b/f", "--to", "new", "-n"],
    ["put", "d", "c/d", "--to", "new"],
    ["put", "*/f", "--to", "new"],
    ["get", "a/f", "b/f", "--out", "new"],
    ["get", "d", "c/d", "--out", "new"],
    ["get", "d", "c/d", "--out", "new", "-n"],
    ["get", "*/f", "--out", "new"],
    ["get", ".", "c/d", "--out", "new"],
    ["get", "e", ".", "--out", "new"],
    ["mv", "a/f", "b/f", "new/"],
  ];
  for (const args of table) {
    const { code, stdout, stderr } = await p.run(...args);
    assertEquals([code, stdout], [2, ""], `${args.join(" ")}: ${stderr}`);
    assertStringIncludes(stderr, "become");
    for (const side of [p.root, p.cwd]) {
      assertEquals(
        [...Deno.readDirSync(side)].some(({ name }) => name === "new"),
        false,
        `${args}`,
      );
    }
  }
});
