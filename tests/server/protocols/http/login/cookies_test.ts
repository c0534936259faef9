import { assertEquals } from "@std/assert";
import { SYSTEM_CLOCK } from "../../../../../lib/core/clock.ts";
import type { HttpService } from "../../../../../server/protocols/http/exchange/exchange.ts";
import {
  giveSession,
  sessionsIn,
  takeSession,
} from "../../../../../server/protocols/http/login/cookies.ts";
import fc from "../../../../support/properties.ts";

function service({ secure = false, url }: { secure?: boolean; url?: string } = {}): HttpService {
  const known = url === undefined ? undefined : new URL(url);
  return { secure, url: known, authority: { clock: SYSTEM_CLOCK } } as unknown as HttpService;
}

Deno.test("sessionsIn() finds what giveSession() gives, beside the cookies of others", () => {
  for (const options of [{}, { secure: true }, { url: "https://a.example" }]) {
    const over = service(options);
    const session = { text: "0a1b2c3d.x.1.y.z", expires: Date.now() + 1000 };
    const given = giveSession(session, over);
    const [cookie = ""] = given.split(";");
    const others = "a=b; ferry-=x; ferry-0a1b2c3d; ferry-11111111=0a1b2c3d.x; =; __Host-ferry-x=y";
    assertEquals(sessionsIn(`${others}; ${cookie}`, over), [session.text]);
    const [, ...attributes] = takeSession(session.text, over).split("; ");
    assertEquals(attributes.includes("Max-Age=0"), true);
    assertEquals(given.includes("Secure"), over.secure || over.url !== undefined);
  }
});

Deno.test("sessionsIn() takes no cookie that any page could have set where only this host can set it", () => {
  const session = "ferry-0a1b2c3d=0a1b2c3d.x";
  assertEquals(sessionsIn(session, service({ secure: true })), []);
  assertEquals(sessionsIn(`__Host-${session}`, service()), []);
});

Deno.test("sessionsIn() reads whatever it is given, and no more than so many", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (cookie) => {
    sessionsIn(cookie, service());
  }));
  const many = Array.from({ length: 1000 }, (_, at) => `ferry-${at}=${at}.x`);
  assertEquals(sessionsIn(many.join("; "), service()).length, 16);
});
