import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { createVerifier, ScramClient } from "../../../lib/security/scram.ts";
import { parseToken } from "../../../lib/security/token.ts";
import { grantEverywhere, parseGrants } from "../../../server/auth/grants.ts";
import { Identity } from "../../../server/auth/identity.ts";
import { Authority } from "../../../server/auth/authority.ts";
import { LoginThrottle } from "../../../server/auth/login_throttle.ts";
import {
  newToken,
  type NewTokenOptions,
  type TokenRecord,
  tokenTable,
} from "../../../server/auth/token_table.ts";

/** A token and what the server keeps of it. */
async function token(options: Partial<NewTokenOptions> = {}) {
  const grants = parseGrants(["read,write"], ["inbox"]);
  const { token, record } = await newToken({ name: "ci", grants, expires: null, ...options });
  return { ...parseToken(token), record };
}

/** An authority whose throttle does not really wait. */
function authorityOf(records: readonly TokenRecord[], anonymous = grantEverywhere([])) {
  const waits: number[] = [];
  const wait = (ms: number) => Promise.resolve(void waits.push(ms));
  const throttle = new LoginThrottle({ wait });
  const tokens = tokenTable(records);
  return { authority: new Authority({ anonymous, tokens, throttle }), tokens, waits };
}

/** Shows a token, and gives the code of the refusal, or "ok". */
async function show(identity: Identity, id: string, secret: string): Promise<string> {
  const client = new ScramClient({ username: id, secret });
  try {
    const challenge = await identity.challenge(client.first);
    client.assertServer(await identity.prove(await client.answer(challenge)));
    return "ok";
  } catch (error) {
    return `${(error as FerryError).code}: ${(error as FerryError).reason}`;
  }
}

Deno.test("Identity is nobody in particular until a token has been shown", async () => {
  const { id, secret, record } = await token();
  const { authority } = authorityOf([record], grantEverywhere(["read"]));
  const identity = new Identity(authority, "source");
  assertEquals(identity.principal, { grants: { read: [""] }, mayAuthenticate: true });
  assertEquals(identity.scopes, ["read"]);
  assertEquals(await show(identity, id, secret), "ok");
  // A token adds to what anybody may do, and takes nothing away from it.
  const grants = { read: [""], write: ["inbox"] };
  assertEquals(identity.principal as unknown, { grants, mayAuthenticate: false });
  assertEquals(identity.scopes, ["read", "write"]);
  assertEquals(identity.name, `${id} (ci)`);
});

Deno.test("Identity asks nobody where there are no tokens", () => {
  const authority = new Authority({ anonymous: grantEverywhere(["read"]) });
  const identity = new Identity(authority, "source");
  assertEquals(identity.mechanism, "none");
  assertEquals(identity.principal, { grants: { read: [""] }, mayAuthenticate: false });
});

Deno.test("Identity.prove() refuses a wrong secret and an id that is not there in the same words", async () => {
  const { id, secret, record } = await token();
  const other = await token();
  const { authority } = authorityOf([record]);
  const identity = new Identity(authority, "source");
  const refusals = [
    await show(identity, id, other.secret),
    await show(identity, other.id, secret),
    await show(identity, "", secret),
    await show(identity, "x".repeat(500), secret),
  ];
  assertEquals(refusals.slice(0, 2), ["denied: it is not valid", "denied: it is not valid"]);
  assertMatch(refusals[2]!, /^bad_header/);
  assertEquals(refusals[3], "denied: it is not valid");
  assertEquals(identity.principal.grants, {});
});

Deno.test("Identity.challenge() tells nobody which ids there are", async () => {
  const { id, record } = await token();
  const { authority, tokens } = authorityOf([record]);
  const salted = async (id: string, from = authority) => {
    const client = new ScramClient({ username: id, secret: "x" });
    const challenge = await new Identity(from, "source").challenge(client.first);
    return /,s=([^,]*),i=(\d+)$/.exec(challenge)!.slice(1);
  };
  const [known, again, unknown] = [
    await salted(id),
    await salted(id),
    await salted("000000000000"),
  ];
  // Of the same form, and the same each time: also after the server was started again.
  assertEquals(known, again);
  assertEquals(known.map((text) => text.length), unknown.map((text) => text.length));
  assertEquals(unknown, await salted("000000000000"));
  const restarted = new Authority({ anonymous: {}, tokens });
  assertEquals(unknown, await salted("000000000000", restarted));
  assert(unknown[0] !== (await salted("000000000001"))[0]);
});

Deno.test("Identity.prove() takes no token that has expired", async () => {
  const expired = await token({ expires: Date.now() - 1 });
  const valid = await token({ expires: Date.now() + 60_000 });
  const { authority, waits } = authorityOf([expired.record, valid.record]);
  const identity = new Identity(authority, "source");
  assertEquals(await show(identity, expired.id, expired.secret), "denied: it has expired");
  assertEquals(identity.principal.grants, {});
  assertEquals(await show(identity, valid.id, valid.secret), "ok");
  // Who knows the secret is no guesser.
  assertEquals(waits, []);
});

Deno.test("Identity.principal is nobody any more when the token expires meanwhile", async () => {
  const { id, secret, record } = await token({ expires: Date.now() + 200 });
  const { authority } = authorityOf([record]);
  const identity = new Identity(authority, "source");
  assertEquals(await show(identity, id, secret), "ok");
  while (Date.now() <= record.expires!) await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(identity.principal, { grants: {}, mayAuthenticate: true });
});

Deno.test("Authority.replace() takes effect on who has shown a token already", async () => {
  const { id, secret, record } = await token();
  const { authority } = authorityOf([record]);
  const identity = new Identity(authority, "source");
  assertEquals(await show(identity, id, secret), "ok");

  const narrowed = { ...record, grants: parseGrants(["read"], ["inbox/sub"]) };
  authority.replace(tokenTable([narrowed]));
  assertEquals(identity.principal.grants, narrowed.grants);
  assertEquals(identity.scopes, ["read"]);

  // The same id with another secret is another token.
  const salt = record.verifier.salt;
  const verifier = await createVerifier("other", { salt, iterations: 4096 });
  authority.replace(tokenTable([{ ...record, verifier }]));
  assertEquals(identity.principal, { grants: {}, mayAuthenticate: true });

  authority.replace(tokenTable([]));
  assertEquals(identity.principal, { grants: {}, mayAuthenticate: true });
  authority.replace(tokenTable([record]));
  assertEquals(identity.principal.grants, record.grants);
});

Deno.test("Identity.challenge() begins anew: who it was before counts no more", async () => {
  const { id, secret, record } = await token();
  const { authority } = authorityOf([record]);
  const identity = new Identity(authority, "source");
  assertEquals(await show(identity, id, secret), "ok");
  assertMatch(await show(identity, id, "wrong"), /^denied/);
  assertEquals(identity.principal.grants, {});
});

Deno.test("Identity.prove() takes no token that was taken back or changed since the challenge", async () => {
  const { id, secret, record } = await token();
  const other = await token();
  for (const records of [[], [{ ...record, verifier: other.record.verifier }]]) {
    const { authority } = authorityOf([record]);
    const identity = new Identity(authority, "source");
    const client = new ScramClient({ username: id, secret });
    const final = await client.answer(await identity.challenge(client.first));
    authority.replace(tokenTable(records));
    const { code, reason } = await assertRejects(() => identity.prove(final), FerryError);
    assertEquals([code, reason], ["denied", "it is not valid"]);
    authority.replace(tokenTable([record]));
    assertEquals(identity.principal.grants, {});
  }
});

Deno.test("Identity.prove() goes with one challenge only", async () => {
  const { id, secret, record } = await token();
  const { authority } = authorityOf([record]);
  const identity = new Identity(authority, "source");
  const client = new ScramClient({ username: id, secret });
  const final = await client.answer(await identity.challenge(client.first));
  await identity.prove(final);
  const error = await assertRejects(() => identity.prove(final), FerryError);
  assertEquals(error.code, "bad_header");
});

Deno.test("Identity.prove() makes who fails wait, and nobody else", async () => {
  const { id, secret, record } = await token();
  const { authority, waits } = authorityOf([record]);
  for (let n = 0; n < 3; n++) {
    // Each on a connection of its own.
    assertMatch(await show(new Identity(authority, "guesser"), id, "wrong"), /^denied/);
  }
  assert(waits.length === 2 && waits.every((ms) => ms > 0), String(waits));
  assertEquals(await show(new Identity(authority, "somebody else"), id, secret), "ok");
  assertEquals(waits.length, 2);
  // The right token is taken, but not sooner than a wrong one.
  assertEquals(await show(new Identity(authority, "guesser"), id, secret), "ok");
  assertEquals(waits.length, 3);
});
