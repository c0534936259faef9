import { assert, assertEquals } from "@std/assert";
import { SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { connectionStatus } from "../../../server/admin/status.ts";
import { Traffic } from "../../../server/observe/traffic.ts";

Deno.test("the age of a connection does not depend on what is done to the time of day", () => {
  let [day, seconds] = [SYSTEM_CLOCK.now(), 0];
  const clock = { ...SYSTEM_CLOCK, now: () => day, monotonic: () => seconds * 1000 };
  const traffic = new Traffic([], clock);
  const peer = { hostname: "192.0.2.1", port: 1 };
  const connection = traffic.open({ listener: "tcp", peer, close() {} });
  assertEquals(connection.since, day);
  for (const jump of [-86_400_000, 7 * 86_400_000]) {
    day += jump;
    seconds += 5;
    assertEquals(connectionStatus(connection).seconds, seconds);
  }
  connection.end();
  assert(!traffic.connections.has(connection));
});
