import { assertEquals } from "@std/assert";
import { HttpFailure } from "../../../../../server/protocols/http/exchange/problem.ts";
import { assertKnownHost } from "../../../../../server/protocols/http/login/hosts.ts";
import fc from "../../../../support/properties.ts";

/** The status of the refusal of a `Host`; 200 if it is taken. */
function statusFor(host: string | undefined, ...names: string[]): number {
  try {
    assertKnownHost(host, new Set(names));
    return 200;
  } catch (error) {
    return (error as HttpFailure).status;
  }
}

Deno.test("assertKnownHost() takes addresses, localhost and the names that it knows", () => {
  const taken = ["1.2.3.4", "1.2.3.4:5", "[::1]", "[fe80::1]:80", "localhost", "x.localhost:1"];
  for (const host of [undefined, ...taken, "a.example", "A.EXAMPLE.:80"]) {
    assertEquals(statusFor(host, "a.example"), 200, host);
  }
  const refused = [
    "",
    ":80",
    "a.example.org",
    "b.a.example",
    "1.2.3.4.a.example",
    "1.2.3",
    "1.2.3.4:5:6",
    "[::1",
    "::1",
    "localhost.a",
    "user@localhost",
    "localhost/",
    "a.example b.example",
  ];
  for (const host of refused) assertEquals(statusFor(host, "b.example"), 421, host);
});

Deno.test("assertKnownHost() answers whatever it is given", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (host) => {
    const isAddress = /^[\d.]+(:\d*)?$|^\[/.test(host);
    assertEquals(isAddress || statusFor(host) === 421, true);
  }));
});
