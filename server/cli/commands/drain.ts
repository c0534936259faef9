/**
 * `ferryd drain`
 *
 * @module
 */

import { RunningServer } from "../admin_client.ts";
import { command } from "../command.ts";
import { RUNNING } from "../options.ts";

/** How often progress is told, in seconds. */
const TELL_SECONDS = 1;

/** The command. */
export const drain = command({
  name: "ferryd drain",
  usage: "[--root DIR] [--timeout TIME]",
  summary: "Let a ferryd end once its transfers have finished, and wait for that",
  details:
    `It takes no more connections, as after SIGTERM. What has not finished in time is cut, and clients
resume it elsewhere or later. Ctrl-C ends the waiting and not the end.`,
  arguments: { min: 0, max: 0 },
  options: {
    ...RUNNING,
    timeout: {
      kind: "time",
      value: "TIME",
      help: "how long transfers may go on; if not given, the --drain-timeout of the ferryd",
    },
  },
  async run({ timeout, ...which }, _args, { tell }) {
    // Loaded on demand, like all that shows a state.
    const { runningText } = await import("../status_output.ts");
    const { servers, failure } = await RunningServer.all(which);
    await Promise.all(servers.map(async ([server, { pid }]) => {
      let [left, told] = [-1, -Infinity];
      for await (const status of server.drain(timeout)) {
        const operations = status.connections.flatMap((each) => each.operations);
        if (operations.length === left && status.seconds - told < TELL_SECONDS) continue;
        tell(`process ${pid} ends: ${runningText(operations)}`);
        [left, told] = [operations.length, status.seconds];
      }
      tell(`process ${pid} has ended`);
    }));
    if (failure) throw failure;
  },
});
