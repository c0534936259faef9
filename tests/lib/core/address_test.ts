import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  type Address,
  DEFAULT_PORT,
  formatAddress,
  isLoopback,
  parseAddress,
  parseServerAddress,
} from "../../../lib/core/address.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 19 });

Deno.test("parseAddress() reads what people write", () => {
  const table: Record<string, Address> = {
    "127.0.0.1:80": { hostname: "127.0.0.1", port: 80 },
    "example.org:65535": { hostname: "example.org", port: 65535 },
    "host-1:0": { hostname: "host-1", port: 0 },
    "localhost": { hostname: "localhost", port: DEFAULT_PORT },
    "9903": { hostname: "127.0.0.1", port: 9903 },
    "0": { hostname: "127.0.0.1", port: 0 },
    "[::1]:80": { hostname: "::1", port: 80 },
    "[::1]": { hostname: "::1", port: DEFAULT_PORT },
    "under_score:1": { hostname: "under_score", port: 1 },
    "example.org.:1": { hostname: "example.org.", port: 1 },
    "[fe80::1%eth0]:1": { hostname: "fe80::1%eth0", port: 1 },
    "[::ffff:127.0.0.1]:1": { hostname: "::ffff:127.0.0.1", port: 1 },
  };
  for (const [text, address] of Object.entries(table)) assertEquals(parseAddress(text), address);
});

Deno.test("parseAddress() says how a host outside of ASCII is written", () => {
  for (
    const [text, instead] of [["bücher.example:9900", "xn--bcher-kva.example"], [
      "中文",
      "xn--fiq228c",
    ]]
  ) {
    const error = assertThrows(() => parseAddress(text!), FerryError);
    assertEquals(error.code, "usage");
    assertStringIncludes(error.message, `is not in ASCII: write "${instead}"`);
  }
});

Deno.test("parseServerAddress() refuses the port 0", () => {
  assertEquals(parseServerAddress("a:1"), { hostname: "a", port: 1 });
  for (const text of ["127.0.0.1:0", "[::1]:0", "0"]) {
    const error = assertThrows(() => parseServerAddress(text), FerryError);
    assertEquals(error.code, "usage");
    assertStringIncludes(error.message, `${JSON.stringify(text)} has the port 0`);
  }
});

Deno.test("parseAddress() refuses the rest with usage, and shows it", () => {
  const wrong = [
    "",
    ":80",
    "host:",
    "host:x",
    "host:-1",
    "host:65536",
    "65536",
    "99999",
    "2130706433",
    "host:99999",
    "host:100000",
    "host:80:90",
    "::1",
    "::1:80",
    "[::1",
    "::1]:80",
    "[]:80",
    "[::1]80",
    "[::1]:",
    "ho st:80",
    "host :80",
    "host:80 ",
    "host:80\n",
    "[ho st]:80",
    "[::1\n]:80",
    "a..b:80",
    "a!b:80",
    "a%b:80",
    "*:80",
    "''",
    "[::g]:80",
    "[a]:80",
    "[1.2.3.4]:80",
    "[::1%]:80",
  ];
  for (const text of wrong) {
    const error = assertThrows(() => parseAddress(text), FerryError);
    assertEquals(error.code, "usage", text);
    assertStringIncludes(error.message, JSON.stringify(text));
    assertStringIncludes(error.message, "HOST:PORT");
  }
});

Deno.test("parseAddress() takes another port where there is none, or none at all", () => {
  assertEquals(parseAddress("host", { defaultPort: 7 }), { hostname: "host", port: 7 });
  assertEquals(parseAddress("host:8", { defaultPort: null }), { hostname: "host", port: 8 });
  assertEquals(parseAddress("host:0", { defaultPort: 7 }), { hostname: "host", port: 0 });
  const error = assertThrows(() => parseAddress("host", { defaultPort: null }), FerryError);
  assertEquals(error.code, "usage");
});

Deno.test("formatAddress() writes what parseAddress() reads", () => {
  assertEquals(formatAddress({ hostname: "::1", port: 80 }), "[::1]:80");
  assertEquals(formatAddress({ hostname: "host", port: 0 }), "host:0");
  const hostname = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(fc.property(hostname, fc.nat(65535), (hostname, port) => {
    assertEquals(parseAddress(formatAddress({ hostname, port })), { hostname, port });
  }));
});

Deno.test("isLoopback() is true only of what other machines cannot reach", () => {
  for (const hostname of ["localhost", "127.0.0.1", "127.1.2.3", "127.255.255.254", "::1"]) {
    assert(isLoopback({ hostname, port: 1 }), hostname);
  }
  const others = [
    "0.0.0.0",
    "::",
    "",
    "10.0.0.1",
    "128.0.0.1",
    "1270.0.0.1",
    "127.0.0.1.example.org",
    "localhost.example.org",
    "notlocalhost",
    "::12",
    "fe80::1",
  ];
  for (const hostname of others) assert(!isLoopback({ hostname, port: 1 }), hostname);
});
