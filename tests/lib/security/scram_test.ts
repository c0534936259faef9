import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  createVerifier,
  MAX_SCRAM_LENGTH,
  SCRAM_ITERATIONS,
  ScramClient,
  ScramServer,
} from "../../../lib/security/scram.ts";
import fc from "../../support/properties.ts";
import { RFC7677 } from "../../support/scram_vector.ts";

const VERIFIER = await createVerifier(RFC7677.secret, RFC7677);

/** Both sides of the exchange of RFC 7677, at its start. */
function begin(): { client: ScramClient; server: ScramServer } {
  const { username, secret, clientNonce, serverNonce } = RFC7677;
  const client = new ScramClient({ username, secret, nonce: clientNonce });
  return { client, server: new ScramServer(client.first, serverNonce) };
}

async function assertBad(run: () => unknown): Promise<void> {
  const error = await assertRejects(async () => await run(), FerryError);
  assertEquals(error.code, "bad_header", error.message);
}

Deno.test("ScramClient and ScramServer exchange what RFC 7677 shows", async () => {
  const { client, server } = begin();
  assertEquals(client.first, RFC7677.clientFirst);
  assertEquals(server.username, "user");
  assertEquals(server.challenge(VERIFIER), RFC7677.serverFirst);
  assertEquals(await client.answer(RFC7677.serverFirst), RFC7677.clientFinal);
  assertEquals(await server.finish(RFC7677.clientFinal), RFC7677.serverFinal);
  client.assertServer(RFC7677.serverFinal);
});

Deno.test("createVerifier() keeps nothing that could be shown in place of the secret", async () => {
  // Whoever has the verifier knows StoredKey = H(ClientKey) and no ClientKey: a client that shows StoredKey
  // or ServerKey in its place is not let in.
  const { server } = begin();
  const serverFirst = server.challenge(VERIFIER);
  const withoutProof = `c=biws,r=${RFC7677.clientNonce}${RFC7677.serverNonce}`;
  const authMessage = `${RFC7677.clientFirst.slice(3)},${serverFirst},${withoutProof}`;
  for (const stolen of [VERIFIER.storedKey, VERIFIER.serverKey]) {
    const key = await crypto.subtle.importKey(
      "raw",
      new Uint8Array(VERIFIER.storedKey),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(authMessage));
    const proof = new Uint8Array(signature).map((byte, at) => byte ^ stolen[at]!);
    const final = `${withoutProof},p=${btoa(String.fromCharCode(...proof))}`;
    assertEquals(await server.finish(final), undefined);
  }
});

Deno.test("ScramServer.finish() lets nobody in with another secret", async () => {
  const { username, clientNonce, serverNonce } = RFC7677;
  for (const secret of ["pencil ", "Pencil", "penci", "x"]) {
    const client = new ScramClient({ username, secret, nonce: clientNonce });
    const server = new ScramServer(client.first, serverNonce);
    assertEquals(await server.finish(await client.answer(server.challenge(VERIFIER))), undefined);
  }
});

Deno.test("ScramServer.finish() lets nobody in with a proof of another length", async () => {
  for (const proof of ["AA==", btoa(atob(RFC7677.clientFinal.slice(-44)) + "\0")]) {
    const { server } = begin();
    server.challenge(VERIFIER);
    const final = RFC7677.clientFinal.replace(/p=.*$/, `p=${proof}`);
    assertEquals(await server.finish(final), undefined);
  }
});

Deno.test("ScramServer.finish() refuses the last message of another exchange", async () => {
  const replayed = new ScramServer(RFC7677.clientFirst);
  replayed.challenge(VERIFIER);
  await assertBad(() => replayed.finish(RFC7677.clientFinal));
  // The client said that it knows no channel binding; somebody between the two said otherwise.
  const changed = new ScramServer(RFC7677.clientFirst.replace("n,,", "y,,"), RFC7677.serverNonce);
  changed.challenge(VERIFIER);
  await assertBad(() => changed.finish(RFC7677.clientFinal));
  const early = new ScramServer(RFC7677.clientFirst, RFC7677.serverNonce);
  await assertBad(() => early.finish(RFC7677.clientFinal));
});

Deno.test("a message that was changed on its way lets nobody in", async () => {
  const valid = /^[\x21-\x7e]$/;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("clientFirst", "serverFirst", "clientFinal", "serverFinal"),
      fc.nat(),
      fc.string({ minLength: 1, maxLength: 1 }).filter((c) => valid.test(c)),
      async (which, at, put) => {
        const sent = RFC7677[which as "clientFirst"];
        const change = (name: string, message: string) => {
          assertEquals(message, RFC7677[name as "clientFirst"]);
          if (name !== which) return message;
          return message.slice(0, at % sent.length) + put + message.slice(at % sent.length + 1);
        };
        fc.pre(put !== sent[at % sent.length]);
        const { username, secret, clientNonce, serverNonce } = RFC7677;
        const client = new ScramClient({ username, secret, nonce: clientNonce });
        try {
          const first = change("clientFirst", client.first);
          const server = new ScramServer(first, serverNonce);
          if (which === "clientFirst") {
            const final = await client.answer(server.challenge(VERIFIER));
            assertEquals(await server.finish(final), undefined);
            return;
          }
          const challenge = change("serverFirst", server.challenge(VERIFIER));
          const final = which === "serverFirst"
            ? await client.answer(challenge)
            : change("clientFinal", await client.answer(challenge));
          const last = await server.finish(final);
          if (last === undefined) return;
          client.assertServer(change("serverFinal", last));
        } catch (error) {
          assert(error instanceof FerryError, String(error));
          assert(error.code === "bad_header" || error.code === "denied", error.message);
          return;
        }
        throw new Error("it went through");
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("ScramClient.assertServer() refuses a server that does not know the verifier", async () => {
  const { client, server } = begin();
  await client.answer(server.challenge(VERIFIER));
  const forged = `v=${btoa("x".repeat(32))}`;
  for (const last of [forged, "v=", "", "e=other-error"]) {
    assertEquals(assertThrows(() => client.assertServer(last), FerryError).code, "denied", last);
  }
  // The same bits in other words.
  const { serverFinal } = RFC7677;
  for (const last of [serverFinal.slice(0, -1), serverFinal.replace("G4=", "G5=")]) {
    assertThrows(() => client.assertServer(last), FerryError);
  }
  // One that says nothing of the sort at once is not believed either.
  const { client: hasty } = begin();
  assertEquals(
    assertThrows(() => hasty.assertServer(RFC7677.serverFinal), FerryError).code,
    "denied",
  );
});

Deno.test("ScramClient.answer() refuses what no honest server asks for", async () => {
  const { serverFirst, clientNonce } = RFC7677;
  const table = {
    "another nonce": serverFirst.replace("r=r", "r=x"),
    "no nonce of its own": serverFirst.replace(/r=[^,]*/, `r=${clientNonce}`),
    "too few iterations": serverFirst.replace("i=4096", `i=${SCRAM_ITERATIONS - 1}`),
    "years of work": serverFirst.replace("i=4096", "i=999999999"),
    "iterations that are no number": serverFirst.replace("i=4096", "i=4e3"),
    "no salt": serverFirst.replace(/s=[^,]*,/, ""),
    "an empty salt": serverFirst.replace(/s=[^,]*,/, "s=,"),
    "an extension that has to be known": `m=x,${serverFirst}`,
    "something long": serverFirst + ",x=" + "y".repeat(MAX_SCRAM_LENGTH),
    "nothing": "",
  };
  for (const [name, message] of Object.entries(table)) {
    const { client } = begin();
    const error = await assertRejects(() => client.answer(message), FerryError);
    assertEquals(error.code, "bad_header", name);
  }
});

Deno.test("ScramServer refuses what no client of this protocol sends", () => {
  const { clientFirst } = RFC7677;
  const table = {
    "channel binding": clientFirst.replace("n,,", "p=tls-exporter,,"),
    "another name to act for": clientFirst.replace("n,,", "n,a=root,"),
    "no header": clientFirst.replace("n,,", ""),
    "no name": clientFirst.replace("n=user", "n="),
    "an escape that is none": clientFirst.replace("n=user", "n=us=41er"),
    "no nonce": "n,,n=user,r=",
    "a nonce with a space": "n,,n=user,r=a b",
    "an extension that has to be known": clientFirst.replace("n=user", "m=x,n=user"),
    "something long": `n,,n=user,r=${"x".repeat(MAX_SCRAM_LENGTH)}`,
    "nothing": "",
  };
  for (const [name, message] of Object.entries(table)) {
    const error = assertThrows(() => new ScramServer(message), FerryError);
    assertEquals(error.code, "bad_header", name);
  }
});

Deno.test("ScramServer passes over extensions that need not be known", async () => {
  const { username, secret, clientNonce, serverNonce } = RFC7677;
  const client = new ScramClient({ username, secret, nonce: clientNonce });
  const server = new ScramServer(client.first + ",x=1", serverNonce);
  assertMatch(server.challenge(VERIFIER), /^r=/);
  // The client did not send it, so it signs something else.
  const final = await client.answer(RFC7677.serverFirst);
  assertEquals(await server.finish(final), undefined);
});

Deno.test("usernames are escaped as RFC 5802 says", () => {
  for (const username of ["a,b", "a=b", "=2C", "ü,=,="]) {
    const { first } = new ScramClient({ username, secret: "x" });
    assertEquals(new ScramServer(first).username, username);
  }
});

Deno.test("every exchange has another nonce", () => {
  const firsts = Array.from({ length: 100 }, () => new ScramClient({ username: "u", secret: "x" }));
  assertEquals(new Set(firsts.map(({ first }) => first)).size, 100);
  const challenges = firsts.map(() => new ScramServer(RFC7677.clientFirst).challenge(VERIFIER));
  assertEquals(new Set(challenges).size, 100);
});
