import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Clock, SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { parseGrants } from "../../../server/auth/grants.ts";
import { Authority } from "../../../server/auth/authority.ts";
import { Sessions } from "../../../server/auth/sessions.ts";
import { newToken, type TokenRecord, tokenTable } from "../../../server/auth/token_table.ts";
import { KeptRecords } from "../../support/kept_records.ts";

const HOUR_MS = 3_600_000;

/** A clock that tests set. */
class SetClock implements Clock {
  time = 1_000_000;
  now = () => this.time;
  monotonic = () => this.time;
  setTimeout = SYSTEM_CLOCK.setTimeout;
  clearTimeout = SYSTEM_CLOCK.clearTimeout;
}

async function token(expires: number | null = null): Promise<TokenRecord> {
  const grants = parseGrants(["read"], []);
  return (await newToken({ name: "a", grants, expires })).record;
}

/** A server, and others of the same records. */
function server(
  tokens: TokenRecord[],
  { records = new KeptRecords(), clock = new SetClock() } = {},
) {
  const authority = new Authority({ anonymous: {}, tokens: tokenTable(tokens), clock });
  return { records, clock, authority, sessions: new Sessions(authority, records) };
}

Deno.test("Sessions know the client again, after a restart and on other servers of the same records", async () => {
  const record = await token();
  const { sessions, records, authority } = server([record]);
  const { text } = await sessions.begin(record);
  const again = server([record], { records });
  for (const known of [sessions, again.sessions]) {
    const caller = await known.callerOf(text);
    assertEquals(caller?.token?.id, record.id);
    assertEquals(caller?.permit({ op: "get", filename: "f" }).owner.split(":")[0], record.id);
  }
  assertEquals(await server([record]).sessions.callerOf(text), undefined);
  assert((await sessions.begin(record)).text !== text);
  authority.replace(tokenTable([]));
  assertEquals(await sessions.callerOf(text), undefined);
});

Deno.test("Sessions last for seven days, and no longer than the token", async () => {
  const clock = new SetClock();
  const lasting = await token();
  const short = await token(clock.time + HOUR_MS);
  const { sessions } = server([lasting, short], { clock });
  const [long, brief] = [await sessions.begin(lasting), await sessions.begin(short)];
  assertEquals(long.expires - clock.time, 7 * 24 * HOUR_MS);
  assertEquals(brief.expires - clock.time, HOUR_MS);
  const known = async () =>
    [await sessions.callerOf(long.text), await sessions.callerOf(brief.text)].map(Boolean);
  clock.time += HOUR_MS - 1;
  assertEquals(await known(), [true, true]);
  clock.time += 1;
  assertEquals(await known(), [true, false]);
  clock.time = long.expires - 1;
  assertEquals(await known(), [true, false]);
  clock.time += 1;
  assertEquals(await known(), [false, false]);
});

Deno.test("Sessions take no text that was changed, in whatever part", async () => {
  const [one, two] = [await token(), await token()];
  const { sessions, records } = server([one, two]);
  const { text } = await sessions.begin(one);
  const other = await sessions.begin(two);
  for (const at of text.split("").keys()) {
    const character = text[at] === "1" ? "2" : "1";
    const changed = text.slice(0, at) + character + text.slice(at + 1);
    assertEquals(await sessions.callerOf(changed), undefined, changed);
  }
  const [mine, theirs] = [text.split("."), other.text.split(".")];
  assertEquals(await sessions.callerOf(mine.with(1, theirs[1]!).join(".")), undefined);
  assertEquals(await sessions.callerOf(mine.with(4, theirs[4]!).join(".")), undefined);
  for (const none of ["", ".", text.slice(1), `${text}.`, "a".repeat(10_000)]) {
    assertEquals(await sessions.callerOf(none), undefined);
    await sessions.end(none);
  }
  // Nobody fills the records with the ends of sessions that have never begun.
  assertEquals([...records.values.keys()], ["keys/sessions"]);
});

Deno.test("Sessions end with the secret of their token, and go on with other rights of it", async () => {
  const record = await token();
  const other = await token();
  const { sessions, authority } = server([record]);
  const { text } = await sessions.begin(record);
  authority.replace(tokenTable([{ ...record, grants: parseGrants(["write"], []) }]));
  assertEquals((await sessions.callerOf(text))?.scopes, ["write"]);
  authority.replace(tokenTable([{ ...record, verifier: other.verifier }]));
  assertEquals(await sessions.callerOf(text), undefined);
  authority.replace(tokenTable([record]));
  assertEquals((await sessions.callerOf(text))?.scopes, ["read"]);
});

Deno.test("Sessions.end() ends one at once here, and elsewhere as soon as the records are looked at", async () => {
  const record = await token();
  const { sessions, records, clock } = server([record]);
  const elsewhere = server([record], { records, clock }).sessions;
  const [mine, other] = [await sessions.begin(record), await sessions.begin(record)];
  const isKnown = async (by: Sessions, { text }: { text: string }) =>
    await by.callerOf(text) !== undefined;
  assertEquals(await isKnown(elsewhere, mine), true);
  await sessions.end(mine.text);
  await sessions.end(mine.text);
  assertEquals(await isKnown(sessions, mine), false);
  assertEquals(await isKnown(sessions, other), true);
  assertEquals(await isKnown(elsewhere, mine), true);
  clock.time += 10_001;
  assertEquals(await isKnown(elsewhere, mine), false);
  assertEquals(await isKnown(server([record], { records, clock }).sessions, mine), false);
  const ended = () => [...records.values.keys()].filter((key) => key.startsWith("ended-")).length;
  assertEquals(ended(), 1);
  // What is over anyway needs no record.
  clock.time = mine.expires + 1;
  const next = await sessions.begin(record);
  await sessions.end(next.text);
  assertEquals(ended(), 1);
});

Deno.test("Sessions look for their end once for requests that come together, and fail with the records", async () => {
  const record = await token();
  const { sessions, records, clock } = server([record]);
  const { text } = await sessions.begin(record);
  const accesses: string[] = [];
  records.before = (access) => void accesses.push(access);
  const together = () => Promise.all([1, 2, 3, 4].map(() => sessions.callerOf(text)));
  await together();
  await together();
  assertEquals(accesses.filter((access) => access.includes("ended")).length, 1);
  records.before = () => {
    throw new FerryError("io", "no");
  };
  clock.time += 10_001;
  await assertRejects(() => sessions.callerOf(text), FerryError, "no");
  records.before = () => {};
  assertEquals((await sessions.callerOf(text))?.token?.id, record.id);
});

Deno.test("Sessions take up a key that another server has made in the place of theirs", async () => {
  const record = await token();
  const { sessions, records, clock } = server([record]);
  await sessions.begin(record);
  records.values.clear();
  const { text } = await server([record], { records, clock }).sessions.begin(record);
  assertEquals((await sessions.callerOf(text))?.token?.id, record.id);
});

Deno.test("Sessions begin and end although there is no room for records, but not on broken ones", async () => {
  for (const [code, works] of [["no_space", true], ["quota", true], ["io", false]] as const) {
    const record = await token();
    const { sessions, records } = server([record]);
    records.before = (access) => {
      if (access.startsWith("create")) throw new FerryError(code, "no");
    };
    if (works) {
      const { text } = await sessions.begin(record);
      // Also after another server at that host was logged in to.
      assertEquals(
        await sessions.callerOf((await server([record]).sessions.begin(record)).text),
        undefined,
      );
      assertEquals((await sessions.callerOf(text))?.token?.id, record.id);
      assertEquals(await sessions.end(text), true);
      assertEquals(await sessions.callerOf(text), undefined);
    } else {
      await assertRejects(() => sessions.begin(record), FerryError, "no");
      records.before = () => {};
      const { text } = await sessions.begin(record);
      records.before = (access) => {
        if (access.startsWith("create")) throw new FerryError(code, "no");
      };
      await assertRejects(() => sessions.end(text), FerryError, "no");
    }
  }
});
