/**
 * `ferry ping`
 *
 * @module
 */

import { FerryError, printable } from "../../../lib/core/errors.ts";
import { command } from "../command.ts";
import { COMMON_WITHOUT_RETRIES } from "../options.ts";
import { secondsSince } from "../output.ts";

/** The command. */
export const ping = command({
  name: "ferry ping",
  op: "ping",
  usage: "",
  summary: "See whether the server answers and can serve, and how fast",
  arguments: { min: 0, max: 0 },
  options: COMMON_WITHOUT_RETRIES,
  async run(context) {
    const { output } = context;
    const client = await context.connected();
    const started = performance.now();
    const { problem, shortcomings } = await client.ping(context);
    const seconds = secondsSince(started);
    if (problem !== undefined) {
      throw new FerryError("io", `The server answers, but cannot serve: ${problem}`);
    }
    const { agent } = client.hello;
    output.done("ping", { seconds, server: agent, shortcomings });
    output.line(`${printable(agent)} answered in ${(seconds * 1000).toFixed(2)} ms`);
    for (const shortcoming of shortcomings) {
      output.notice(`${printable(shortcoming)} (on the server)`);
    }
  },
});
