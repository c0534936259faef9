import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { assertNumbers, MAX_TIMEOUT_MS, TIMEOUT } from "../../../lib/core/number_options.ts";
import {
  connect,
  type ConnectOptions,
  MemoryStorage,
  serve,
  type ServeOptions,
} from "../../../mod.ts";
import { InProcess } from "../../support/in_process.ts";
import { assertCode } from "../../support/assertions.ts";

Deno.test("assertNumbers() takes what is within the limits, and names what is not", () => {
  assertNumbers({ a: 0, b: 1.5, c: Infinity, d: undefined });
  assertNumbers({ a: 1, b: MAX_TIMEOUT_MS }, TIMEOUT);
  const table: [unknown, typeof TIMEOUT, string][] = [
    [NaN, {}, "a is a number of at least 0, and not NaN"],
    [-1, {}, "a is a number of at least 0, and not -1"],
    ["5", {}, "a is a number of at least 0, and not 5"],
    [0, TIMEOUT, "a is a number from 1 to 2147483647, and not 0"],
    [Infinity, TIMEOUT, "a is a number from 1 to 2147483647, and not Infinity"],
  ];
  for (const [value, limits, message] of table) {
    const error = assertThrows(() => assertNumbers({ a: value as number }, limits), FerryError);
    assertEquals([error.code, error.message], ["usage", message]);
  }
});

Deno.test("connect() refuses numbers that timers and counters do not take", async () => {
  await using p = await InProcess.start();
  const table: ConnectOptions[] = [
    { timeout: Infinity },
    { timeout: NaN },
    { connectTimeout: 0 },
    { retries: NaN },
    { retries: -1 },
  ];
  for (const options of table) await assertCode("usage", () => connect(p.address, options));
  await using client = await connect(p.address, { retries: Infinity, timeout: MAX_TIMEOUT_MS });
  await client.ping();
});

Deno.test("serve() and storages refuse numbers that are no times, counts and sizes", async () => {
  const table: Partial<ServeOptions>[] = [
    { idleTimeout: Infinity },
    { handshakeTimeout: NaN },
    { maxConnections: -1 },
    { maxConnectionsPerSource: NaN },
    { minRate: NaN },
    { echoRate: -1 },
  ];
  for (const options of table) {
    const start = () => serve({ storage: new MemoryStorage(), listen: "127.0.0.1:0", ...options });
    await assertCode("usage", start);
  }
  for (const limits of [{ quota: NaN }, { quota: -1 }, { maxFileSize: NaN }]) {
    assertEquals(assertThrows(() => new MemoryStorage(limits), FerryError).code, "usage");
  }
});
