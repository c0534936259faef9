import { assertEquals, assertStringIncludes } from "@std/assert";
import { newToken, parseGrants } from "../../mod.ts";
import { TokenFile } from "../../server/auth/token_file.ts";
import { statusOf, statusWhen } from "../support/admin_peer.ts";
import { MIB } from "../support/bytes.ts";
import { ferry, Ferryd, ferryd, TempDir } from "../support/programs.ts";

const KIB = 1024;

/** A root with 100 KiB in inbox/, tokens for inbox/ with a quota of 1 MiB, and for all, and files to upload. */
async function prepare(dir: TempDir): Promise<{ tokens: string; root: string }> {
  const [tokens, root] = [dir.join("tokens"), dir.join("root")];
  for (const name of ["root", "root/inbox", "cwd"]) Deno.mkdirSync(dir.join(name));
  dir.write("root/inbox/before", new Uint8Array(100 * KIB));
  const options = ["--token-file", tokens, "--scope", "read,write,delete"];
  const limited = ["--name", "ci", "--path", "inbox/", "--quota", "1MiB"];
  const made = await ferryd(["token", "new", ...options, ...limited]);
  assertStringIncludes(made.stderr, "  never expires  quota 1 MiB\n");
  dir.write("ci", made.stdout);
  const grants = parseGrants(["read,write,delete"], []);
  const all = await newToken({ name: "all", grants, expires: null });
  await new TokenFile(tokens).add(all.record);
  dir.write("all", all.token);
  for (const token of ["ci", "all"]) Deno.chmodSync(dir.join(token), 0o600);
  dir.write("cwd/large", new Uint8Array(900 * KIB).fill(1));
  dir.write("cwd/small", new Uint8Array(90 * KIB).fill(2));
  return { tokens, root };
}

Deno.test("the quota of a token limits its directories, whoever writes there, and knows what leaves them", async () => {
  await using dir = new TempDir();
  const { tokens, root } = await prepare(dir);
  await using server = await Ferryd.start(root, ["--token-file", tokens, "--quota", "1GiB"]);
  const run = async (token: string, ...args: string[]) => {
    const named = ["--token-file", dir.join(token), "--retries", "0"];
    const options = { cwd: dir.join("cwd"), server: server.address };
    const { code, stderr } = await ferry([...args, ...named], options);
    return code === 0 ? "" : `${code}: ${stderr}`;
  };
  assertEquals(await run("ci", "put", "large", "--to", "inbox"), "");
  const refused = await run("ci", "put", "small", "--to", "inbox");
  assertStringIncludes(refused, "5: ");
  assertStringIncludes(
    refused,
    'the quota of the token "ci" for inbox/ is 1 MiB: 1,000 KiB are in use, and this takes 90 KiB',
  );
  // Those without a quota may not exceed it either, by an upload or a move, but elsewhere.
  assertStringIncludes(await run("all", "put", "small", "--to", "inbox"), 'the token "ci"');
  assertEquals(await run("all", "put", "small", "--to", "d"), "");
  assertStringIncludes(await run("all", "mv", "d/small", "inbox/small"), 'the token "ci"');
  assertStringIncludes(await run("all", "mv", "d", "inbox/d"), 'the token "ci"');
  const { quotas } = await statusOf(server);
  assertEquals(quotas.map(({ used, limit }) => [used, limit]), [
    [1090 * KIB, 1024 * MIB],
    [1000 * KIB, MIB],
  ]);
  // What is replaced or removed makes room, also by others.
  assertEquals(await run("all", "mv", "inbox/before", "before"), "");
  assertEquals(await run("ci", "put", "small", "--to", "inbox"), "");
  assertEquals(await run("all", "mv", "d", "inbox/d").then((said) => said.slice(0, 3)), "5: ");
  assertEquals(await run("ci", "rm", "inbox/large"), "");
  assertEquals(await run("all", "mv", "d", "inbox/d"), "");
  assertEquals(Deno.readFileSync(`${root}/inbox/d/small`).length, 90 * KIB);
});

Deno.test("the quota of a token counts what is there at the start, and can be taken away", async () => {
  await using dir = new TempDir();
  const { tokens, root } = await prepare(dir);
  await using server = await Ferryd.start(root, ["--token-file", tokens]);
  const used = ({ quotas }: { quotas: readonly { used: number | undefined }[] }) => quotas[0]?.used;
  assertEquals(used(await statusWhen(server, (status) => used(status) !== undefined)), 100 * KIB);
  assertEquals((await ferryd(["token", "revoke", "--token-file", tokens, "ci"])).code, 0);
  await statusWhen(server, ({ quotas }) => quotas.length === 0);
});

Deno.test("the quota of a token is refused where it cannot be kept or says nothing", async () => {
  await using dir = new TempDir();
  const { tokens, root } = await prepare(dir);
  const serve = ["--root", root, "--listen", "127.0.0.1:0", "--token-file", tokens];
  const make = ["token", "new", "--token-file", tokens, "--name", "x"];
  const refusals: [args: string[], said: string][] = [
    [[...serve, "--together"], 'the token "ci" has a quota, which can be kept only'],
    [[...make, "--scope", "read", "--quota", "1MiB"], "may not write has no use for a --quota"],
    [[...make, "--scope", "write", "--quota", "much"], "--quota"],
  ];
  for (const [args, said] of refusals) {
    const { code, stderr } = await ferryd(args);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, said);
  }
});
