import { assert, assertEquals, assertRejects } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { createToken, parseToken, type Token } from "../../../lib/security/token.ts";
import { Authority } from "../../../server/auth/authority.ts";
import { parseGrants } from "../../../server/auth/grants.ts";
import { LoginThrottle } from "../../../server/auth/login_throttle.ts";
import { ShownTokens } from "../../../server/auth/shown_tokens.ts";
import { newToken, tokenTable } from "../../../server/auth/token_table.ts";

async function token(expires: number | null = null) {
  const made = await newToken({ name: "a", grants: parseGrants(["read"], []), expires });
  return { shown: parseToken(made.token), record: made.record };
}

/** Checks tokens, without really waiting. */
async function checking() {
  const { shown, record } = await token();
  const waits: number[] = [];
  const throttle = new LoginThrottle({
    wait: (ms) => Promise.resolve(void waits.push(ms)),
    now: () => 0,
  });
  const authority = new Authority({ anonymous: {}, tokens: tokenTable([record]), throttle });
  const tokens = new ShownTokens(authority);
  const show = (shown: Token, source = "s") =>
    tokens.check(shown, { source, ended: () => new AbortController().signal });
  const refusal = async (shown: Token) => {
    const { code, reason } = await assertRejects(() => show(shown), FerryError);
    return `${code}: ${reason}`;
  };
  return { shown, record, authority, throttle, waits, show, refusal };
}

Deno.test("ShownTokens.check() takes a token whose secret is right, and refuses all others in the same words", async () => {
  const { shown, record, show, refusal } = await checking();
  const caller = await show(shown);
  assertEquals([caller.token?.id, caller.scopes], [record.id, ["read"]]);
  assertEquals(caller.permit({ op: "get", filename: "f" }).owner.split(":")[0], record.id);
  const { id, secret } = createToken();
  for (const wrong of [{ id: shown.id, secret }, { id, secret: shown.secret }, { id, secret }]) {
    assertEquals(await refusal(wrong), "denied: it is not valid");
  }
});

Deno.test("ShownTokens.check() makes who fails wait, and nobody whose token it knows already", async () => {
  const { shown, waits, throttle, show, refusal } = await checking();
  const known = await show(shown);
  const wrong = { id: shown.id, secret: createToken().secret };
  await refusal(wrong);
  assertEquals([waits, throttle.size], [[], 1]);
  assert(await show(shown) === known);
  assertEquals(waits, []);
  await refusal(wrong);
  assertEquals(waits.length, 1);
  await show(shown, "elsewhere");
  assertEquals(waits.length, 1);
});

Deno.test("ShownTokens.check() checks once what is shown several times at the same moment", async () => {
  const { shown, throttle, show } = await checking();
  const callers = await Promise.all([1, 2, 3].map(() => show(shown)));
  assertEquals(new Set(callers).size, 1);
  let failures = 0;
  throttle.countFailure = () => void failures++;
  const wrong = { ...shown, secret: createToken().secret };
  await Promise.allSettled([1, 2, 3].map(() => show(wrong)));
  assertEquals(failures, 1);
  await Promise.allSettled([show(wrong, "here"), show(wrong, "there")]);
  assertEquals(failures, 3);
});

Deno.test("ShownTokens.check() does not go on with a token that was taken back, changed or has expired", async () => {
  const { shown, record, authority, show, refusal } = await checking();
  await show(shown);
  authority.replace(tokenTable([]));
  assertEquals(await refusal(shown), "denied: it is not valid");
  authority.replace(tokenTable([record]));
  await show(shown);
  const other = await token();
  authority.replace(tokenTable([{ ...record, verifier: other.record.verifier }]));
  assertEquals(await refusal(shown), "denied: it is not valid");
  authority.replace(tokenTable([{ ...record, expires: 1 }]));
  assertEquals(await refusal(shown), "denied: it has expired");
  authority.replace(tokenTable([{ ...record, grants: parseGrants(["write"], []) }]));
  assertEquals((await show(shown)).scopes, ["write"]);
});
