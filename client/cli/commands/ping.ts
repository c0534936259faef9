/**
 * `ferry ping`
 *
 * @module
 */

import { command } from "../command.ts";
import { COMMON_WITHOUT_RETRIES } from "../options.ts";

/** The command. */
export const ping = command({
  name: "ferry ping",
  op: "ping",
  usage: "[--count N]",
  summary: "See whether the server answers and can serve, and how fast",
  details:
    `No token is needed. With one, the login is tried, too. With --count or --interval it asks again
and again, prints a line for each answer, and at the end or at Ctrl-C how many came and how long they
took.

The exit status is 0 if the server has answered and can serve, 1 if it answers and cannot serve, 3 if
it does not accept the token or is not trusted, 6 if it never answered, and 8 if it speaks another
protocol.`,
  arguments: { min: 0, max: 0 },
  options: {
    count: { kind: "count", short: "c", value: "N", help: "ask so many times; 0: until Ctrl-C" },
    interval: {
      kind: "time",
      short: "i",
      value: "TIME",
      help: "from one question to the next (default: 1s)",
    },
    ...COMMON_WITHOUT_RETRIES,
  },
  async run(context, { server, count, interval }) {
    const { PingCheck } = await import("../ping_check.ts");
    const check = new PingCheck(context, server);
    if (count === undefined && interval === undefined) return await check.once();
    return await check.repeatedly({ count, interval });
  },
});
