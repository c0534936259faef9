import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { parseToken } from "../../../lib/security/token.ts";
import { parseGrants } from "../../../server/auth/grants.ts";
import { Identity } from "../../../server/auth/identity.ts";
import { Authority } from "../../../server/auth/authority.ts";
import { ScramClient } from "../../../lib/security/scram.ts";
import { TokenFile } from "../../../server/auth/token_file.ts";
import { newToken, type TokenTable, tokenTable } from "../../../server/auth/token_table.ts";
import { TempDir } from "../../support/programs.ts";

const GRANTS = parseGrants(["read,write:in/box/", "exec"], []);

async function added(file: TokenFile, name: string, expires: number | null = null) {
  const made = await newToken({ name, grants: GRANTS, expires });
  await file.add(made.record);
  return made;
}

function lines(path: string): string[] {
  return Deno.readTextFileSync(path).trimEnd().split("\n");
}

Deno.test("TokenFile gives what was put in", async () => {
  await using dir = new TempDir();
  const file = new TokenFile(dir.join("tokens"));
  const expires = Date.now() + 1e6;
  const [a, b] = [await added(file, "ci"), await added(file, 'a "name",\nof two lines', expires)];
  const { records } = file.read();
  assertEquals([...records.values()], [a.record, b.record]);
  // Everything that makes a table comes from the file: another reader sees the same.
  assertEquals(new TokenFile(dir.join("tokens")).read(), file.read());
});

Deno.test("TokenFile is nobody's but its owner's, and lets nobody in who has it", async () => {
  await using dir = new TempDir();
  const path = dir.join("tokens");
  const { token } = await added(new TokenFile(path), "ci");
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  const text = Deno.readTextFileSync(path);
  const { id, secret } = parseToken(token);
  assertStringIncludes(text, id);
  assert(!text.includes(secret) && !text.includes(btoa(secret)));
  // Nothing else is left in the directory.
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["tokens"]);
});

Deno.test("TokenFile.revoke() takes out one token, by its id or by a name that only it has", async () => {
  await using dir = new TempDir();
  const file = new TokenFile(dir.join("tokens"));
  const made = [];
  for (const name of ["a", "b", "b", "c"]) made.push((await added(file, name)).record);
  const left = () => [...file.read().records.keys()];
  assertEquals(await file.revoke("a"), made[0]);
  assertEquals(await file.revoke(made[1]!.id), made[1]);
  assertEquals(left(), [made[2]!.id, made[3]!.id]);
  assertEquals(await file.revoke("b"), made[2]);
  assertEquals(left(), [made[3]!.id]);
});

Deno.test("TokenFile.revoke() refuses what names none, or several", async () => {
  await using dir = new TempDir();
  const path = dir.join("tokens");
  const file = new TokenFile(path);
  const first = await assertRejects(() => file.revoke("a"), FerryError);
  assertEquals(first.code, "not_found");
  assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
  const ids = [(await added(file, "a")).record.id, (await added(file, "a")).record.id];
  const before = Deno.readTextFileSync(path);
  assertEquals((await assertRejects(() => file.revoke("x"), FerryError)).code, "not_found");
  const several = await assertRejects(() => file.revoke("a"), FerryError);
  assertEquals(several.code, "usage");
  for (const id of ids) assertStringIncludes(several.message, id);
  assertEquals(Deno.readTextFileSync(path), before);
});

Deno.test("TokenFile loses nothing when many change it at once", async () => {
  await using dir = new TempDir();
  const path = dir.join("tokens");
  const names = Array.from({ length: 20 }, (_, n) => `token ${n}`);
  await Promise.all(names.map((name) => added(new TokenFile(path), name)));
  const { records } = new TokenFile(path).read();
  assertEquals([...records.values()].map(({ name }) => name).sort(), names.sort());
  await Promise.all(names.map((name) => new TokenFile(path).revoke(name)));
  assertEquals(new TokenFile(path).read().records.size, 0);
});

Deno.test("TokenFile stays a link where it is one", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("etc"));
  dir.write("etc/tokens", "");
  Deno.chmodSync(dir.join("etc/tokens"), 0o600);
  Deno.symlinkSync("etc/tokens", dir.join("tokens"));
  await added(new TokenFile(dir.join("tokens")), "ci");
  assert(Deno.lstatSync(dir.join("tokens")).isSymlink);
  assertEquals(new TokenFile(dir.join("etc/tokens")).read().records.size, 1);
});

Deno.test("TokenFile refuses a file that others can write to: whoever can lets himself in", async () => {
  await using dir = new TempDir();
  const path = dir.join("tokens");
  const file = new TokenFile(path);
  await added(file, "ci");
  for (const [mode, allowed] of [[0o644, true], [0o620, false], [0o602, false]] as const) {
    Deno.chmodSync(path, mode);
    if (allowed) {
      assertEquals(file.read().records.size, 1);
      continue;
    }
    const error = assertThrows(() => file.read(), FerryError);
    assertEquals(error.code, "usage");
    assertStringIncludes(error.message, "chmod 600");
    await assertRejects(() => added(file, "more"), FerryError);
  }
});

Deno.test("TokenFile.read() names the line and the key that are wrong", async () => {
  await using dir = new TempDir();
  const path = dir.join("tokens");
  const file = new TokenFile(path);
  await added(file, "ci");
  const [head, line] = lines(path) as [string, string];
  const record = JSON.parse(line);
  const without = (key: string) => JSON.stringify({ ...record, [key]: undefined });
  const with_ = (keys: Record<string, unknown>) => JSON.stringify({ ...record, ...keys });
  const table: [string, string][] = [
    ["not tokens", "line 1 is not JSON"],
    ["{}", "line 1: format is missing"],
    [line, "line 1: format is missing"],
    [head.replace('"version":1', '"version":2'), "line 1: version is not 1"],
    [head.replace(/"decoy_key":"[^"]*"/, '"decoy_key":"AA=="'), "line 1: decoy_key is not base64"],
    [`${head}\n{`, "line 2 is not JSON"],
    [`${head}\n\n${line}`, "line 2 is not JSON"],
    [`${head}\n${line}\n${line}`, "the same id"],
    [`${head}\n${without("stored_key")}`, "line 2: stored_key is missing"],
    [`${head}\n${with_({ stored_key: "x" })}`, "line 2: stored_key is not base64 of 32 bytes"],
    [`${head}\n${with_({ salt: 3 })}`, "line 2: salt is not a string"],
    [`${head}\n${with_({ expires: "tomorrow" })}`, "line 2: expires is no time"],
    [`${head}\n${without("expires")}`, "line 2: expires is missing"],
    [`${head}\n${with_({ grants: { root: [""] } })}`, "line 2: grants.root"],
    [`${head}\n${with_({ grants: { read: ["../x"] } })}`, "line 2: grants.read.0 is no directory"],
    [`${head}\n${with_({ grants: { read: "inbox/" } })}`, "line 2: grants.read is not an array"],
  ];
  for (const [text, words] of table) {
    Deno.writeTextFileSync(path, text);
    const error = assertThrows(() => file.read(), FerryError);
    assertEquals(error.code, "usage", text);
    assertStringIncludes(error.message, words);
    assertStringIncludes(error.message, `Cannot read the tokens "${path}"`);
    assert(!error.message.includes(record.stored_key), error.message);
    // And it is not overwritten either.
    await assertRejects(() => added(file, "more"), FerryError);
    assertEquals(Deno.readTextFileSync(path), text);
  }
});

Deno.test("TokenFile.read() takes an empty file for one without tokens, and no file for an error", async () => {
  await using dir = new TempDir();
  const file = new TokenFile(dir.join("tokens"));
  assertEquals(assertThrows(() => file.read(), FerryError).code, "not_found");
  dir.write("tokens", "");
  assertEquals(file.read().records.size, 0);
  // Where it had tokens before, it is one that was emptied.
  const { code, message } = assertThrows(() => file.read({ mayBeEmpty: false }), FerryError);
  assertEquals(code, "usage");
  assertStringIncludes(message, "it is empty");
  const { record } = await added(file, "ci");
  await file.revoke(record.id);
  assertEquals(file.read({ mayBeEmpty: false }).records.size, 0);
});

Deno.test("TokenFile waits for nobody at a pipe, and takes no directory for a file", async () => {
  await using dir = new TempDir();
  const path = dir.pipe("tokens");
  const { record } = await newToken({ name: "a", grants: GRANTS, expires: null });
  for (const other of [path, dir.path, "/dev/zero"]) {
    const file = new TokenFile(other);
    for (const attempt of [() => file.add(record), () => file.revoke("a")]) {
      assertEquals((await assertRejects(attempt, FerryError)).code, "usage", other);
    }
    assertEquals(assertThrows(() => file.read(), FerryError).code, "usage", other);
  }
  assert(Deno.statSync(path).isFifo);
});

/** What a table makes an authority answer to an id. */
async function challengeOf(tokens: TokenTable, id: string): Promise<string> {
  const identity = new Identity(new Authority({ anonymous: {}, tokens }), "source");
  const { first } = new ScramClient({ username: id, secret: "x" });
  return (await identity.challenge(first)).replace(/^r=[^,]*,/, "");
}

Deno.test("TokenFile: what an id is answered with is the same before its token, with it and after it", async () => {
  await using dir = new TempDir();
  const file = new TokenFile(dir.join("tokens"));
  await added(file, "first");
  const before = file.read();
  const made = await file.create({ name: "ci", grants: GRANTS, expires: null });
  const { id } = parseToken(made.token);
  const expected = await challengeOf(before, id);
  assertEquals(await challengeOf(file.read(), id), expected);
  await file.revoke("ci");
  assertEquals(await challengeOf(file.read(), id), expected);
  // Nothing in the file tells that it was there.
  assert(!Deno.readTextFileSync(dir.join("tokens")).includes(id));
});

Deno.test("TokenFile: a revoked token whose salt was random is answered for as before", async () => {
  await using dir = new TempDir();
  const file = new TokenFile(dir.join("tokens"));
  const made = [await added(file, "a"), await added(file, "b")];
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const { record } = made[0]!;
  const old = { ...record, id: "0123456789ab", verifier: { ...record.verifier, salt } };
  await file.add({ ...old, name: "old", verifier: { ...old.verifier, iterations: 5000 } });
  const ids = [...made.map(({ record }) => record.id), old.id];
  const answers = () => Promise.all(ids.map((id) => challengeOf(file.read(), id)));
  const before = await answers();
  assertEquals(before[2], `s=${btoa(String.fromCharCode(...salt))},i=5000`);
  for (const id of ids) await file.revoke(id);
  assertEquals(await answers(), before);
  // Also behind further changes.
  await added(file, "more");
  assertEquals(await answers(), before);
  const [head] = lines(dir.join("tokens"));
  dir.write("tokens", `${head!.replace('"iterations":5000', '"iterations":"x"')}\n`);
  assertStringIncludes(assertThrows(() => file.read(), FerryError).message, "line 1: revoked.");
});

Deno.test("Authority.replace() goes on answering for ids whose tokens are gone from the table", async () => {
  const made = await newToken({ name: "a", grants: GRANTS, expires: null });
  const { record: other } = await newToken({ name: "b", grants: GRANTS, expires: null });
  const salted = {
    ...made.record,
    verifier: { ...made.record.verifier, salt: other.verifier.salt },
  };
  for (const record of [made.record, salted]) {
    const authority = new Authority({ anonymous: {}, tokens: tokenTable([record]) });
    const ask = async (id: string) => {
      const { first } = new ScramClient({ username: id, secret: "x" });
      return (await new Identity(authority, "source").challenge(first)).replace(/^r=[^,]*,/, "");
    };
    const before = [await ask(record.id), await ask("unknown")];
    authority.replace(tokenTable([]));
    assertEquals([await ask(record.id), await ask("unknown")], before);
  }
});

Deno.test("newToken() salts the same secret of nobody else", async () => {
  const options = { name: "a", grants: GRANTS, expires: null };
  const [a, b] = [await newToken(options), await newToken(options)];
  assert(a.record.id !== b.record.id && a.token !== b.token);
  assert(String(a.record.verifier.salt) !== String(b.record.verifier.salt));
  assertEquals(tokenTable([a.record, b.record]).records.size, 2);
});
