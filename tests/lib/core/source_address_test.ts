import { assertEquals } from "@std/assert";
import { sourceOf } from "../../../lib/core/source_address.ts";

Deno.test("sourceOf() takes a network of IPv6 for one source", () => {
  const table: [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:DB8::", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["1:2:3::", "1:2:3:0::/64"],
  ];
  for (const [hostname, source] of table) assertEquals(sourceOf(hostname), source, hostname);
});
