/**
 * What the first release of ferry has left in a root, and its token file, served by this version.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { cpSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { VERSION } from "../../lib/core/version.ts";
import { identityOf } from "../../server/storage/fs/checksum_cache.ts";
import { sealOfText } from "../../server/storage/fs/row_seal.ts";
import { md5, MIB } from "../support/bytes.ts";
import {
  ferry,
  Ferryd,
  ferryd,
  filesBelow,
  PROJECT,
  stagedIn,
  TempDir,
} from "../support/programs.ts";

const FIXTURE = `${PROJECT}fixtures/state_directory/first_release`;

/** The files that were uploaded to it, by their names. */
const FILES: Readonly<Record<string, string>> = {
  a: "content of a\n",
  "inbox/b": "content of b\n",
};

/** The file whose upload was interrupted, and its name. */
const LARGE = new Uint8Array(9 * MIB).map((_, at) => at * 7 >> 4);
const LARGE_NAME = "inbox/large";

/** What was received of it, and recorded. */
const RECEIVED = 4 * MIB;

/** Such a root, a directory of a client with the large file, and its tokens. */
class FirstRelease extends TempDir {
  readonly root: string = this.join("root");

  constructor() {
    super();
    for (const name of ["root", "root/inbox", "cwd", "cwd/inbox"]) Deno.mkdirSync(this.join(name));
    for (const [name, content] of Object.entries(FILES)) this.write(`root/${name}`, content);
    cpSync(`${FIXTURE}/ferry`, `${this.root}/.ferry`, { recursive: true });
    const [record] = stagedIn(this.root).map((name) => `root/.ferry/staging/${name}`);
    // It fills a page.
    const text = JSON.stringify(JSON.parse(Deno.readTextFileSync(this.join(record!))));
    this.write(record!, text.padEnd(4096));
    // More than was recorded had come.
    this.write(record!.replace(/\.json$/, ".part"), LARGE.subarray(0, RECEIVED + 1000));
    this.write(`cwd/${LARGE_NAME}`, LARGE);
    for (const name of ["tokens", "token"]) {
      Deno.copyFileSync(`${FIXTURE}/${name}`, this.join(name));
      Deno.chmodSync(this.join(name), 0o600);
    }
  }

  run(server: Ferryd, ...args: string[]) {
    return ferry(args, { cwd: this.join("cwd"), server: server.address });
  }

  /** The checksums in its index of digests. */
  index(): DatabaseSync {
    return new DatabaseSync(`${this.root}/.ferry/index.db`);
  }

  /** The key and the version of a file in the index. */
  identity(name: string) {
    return identityOf(Deno.statSync(`${this.root}/${name}`));
  }

  /** Asserts that the files are as they were, and the large one is complete. */
  assertWhole(): void {
    const names = filesBelow(this.root).filter((name) => !name.startsWith(".ferry/"));
    assertEquals(names.sort(), [...Object.keys(FILES), LARGE_NAME]);
    for (const [name, content] of Object.entries(FILES)) {
      assertEquals(Deno.readTextFileSync(`${this.root}/${name}`), content);
    }
    assertEquals(md5(Deno.readFileSync(`${this.root}/${LARGE_NAME}`)), md5(LARGE));
  }
}

Deno.test("ferryd serves the state of the first release, and goes on with its partial upload", async () => {
  await using first = new FirstRelease();
  await using server = await Ferryd.start(first.root);
  const version = JSON.parse(Deno.readTextFileSync(`${first.root}/.ferry/version`));
  assertEquals(version, { format: 1, ferry: VERSION });
  for (const [name, content] of Object.entries(FILES)) {
    const got = await first.run(server, "get", name, "--out", "-");
    assertEquals([got.code, got.stdout], [0, content], got.stderr);
  }
  const partial = await first.run(server, "ls", "--partial", "--json");
  const { filename, total_size, received } = JSON.parse(partial.stdout);
  assertEquals([filename, total_size, received], [LARGE_NAME, LARGE.length, RECEIVED]);
  const put = await first.run(server, "put", LARGE_NAME, "--as", LARGE_NAME, "--json");
  const done = JSON.parse(put.stdout.trim().split("\n").at(-1)!);
  assertEquals([put.code, done.resumed_from, done.md5], [0, RECEIVED, md5(LARGE)], put.stderr);
  assertEquals(stagedIn(first.root), []);
  first.assertWhole();
});

Deno.test("ferryd goes on with the index of digests of the first release, and believes none of its rows", async () => {
  await using first = new FirstRelease();
  const { key, version } = first.identity("a");
  {
    using index = first.index();
    const rows = index.prepare("SELECT checksum FROM checksums ORDER BY checksum").all();
    const sums = Object.values(FILES).map((content) => md5(content)).sort();
    assertEquals(rows.map(({ checksum }) => checksum), sums);
    // The row of `a`, as if it were still that file, with another checksum. The first release would believe it.
    const wrong = md5("other content");
    const seal = sealOfText(`${key} ${version} ${wrong}`);
    index.prepare(
      "UPDATE checksums SET key = ?, version = ?, checksum = ?, seal = ? WHERE checksum = ?",
    )
      .run(key, version, wrong, seal, md5(FILES.a!));
  }
  {
    await using server = await Ferryd.start(first.root);
    const { stdout } = await first.run(server, "verify", "a", "inbox/b");
    assertEquals(
      stdout,
      Object.entries(FILES).map(([name, content]) => `${md5(content)}  ${name}\n`).join(""),
    );
    const stat = await first.run(server, "stat", "a", "--json");
    assertEquals(JSON.parse(stat.stdout).md5, md5(FILES.a!));
    first.write("cwd/new", "new content");
    assertEquals((await first.run(server, "put", "new")).code, 0);
    await server.stop();
  }
  using index = first.index();
  const added = index.prepare("SELECT checksum FROM expected WHERE key = ?")
    .get(first.identity("new").key);
  assertEquals(added?.checksum, md5("new content"), "the index is not in use any more");
});

Deno.test("ferryd knows the tokens of the first release, which keep their scopes when it changes the file", async () => {
  await using first = new FirstRelease();
  const list = async () => {
    const args = ["token", "list", "--token-file", first.join("tokens")];
    const { code, stdout, stderr } = await ferryd(args);
    assertEquals(code, 0, stderr);
    return stdout.trimEnd().split("\n").map((line) => line.trim().split(/\s{2,}/).slice(1));
  };
  const before = await list();
  const revoked = await ferryd(["token", "revoke", "--token-file", first.join("tokens"), "inbox"]);
  assertEquals(revoked.code, 0, revoked.stderr);
  assertEquals(await list(), before.filter(([name]) => name !== '"inbox"'));
  await using server = await Ferryd.start(first.root, ["--token-file", first.join("tokens")]);
  const token = ["--token-file", first.join("token"), "--json"];
  const denied = await first.run(server, "get", "a", "--out", "-");
  assertEquals(denied.code, 3, denied.stderr);
  const got = await first.run(server, "get", "a", "--out", "back", ...token);
  assertEquals([got.code, Deno.readTextFileSync(first.join("cwd/back"))], [0, FILES.a], got.stderr);
  // The first release did not note whose a partial upload is: it belongs to clients without a token.
  assertEquals((await first.run(server, "ls", "--partial", ...token)).stdout, "");
  const put = await first.run(server, "put", LARGE_NAME, "--as", LARGE_NAME, ...token);
  const done = JSON.parse(put.stdout.trim().split("\n").at(-1)!);
  assertEquals([put.code, done.resumed_from, done.md5], [0, 0, md5(LARGE)], put.stderr);
  first.assertWhole();
  const removed = await first.run(server, "rm", "inbox", "-r", ...token);
  assertEquals(removed.code, 0, removed.stderr);
});
