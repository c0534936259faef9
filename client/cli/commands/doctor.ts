/**
 * `ferry doctor`
 *
 * @module
 */

import { parseServerAddress } from "../../../lib/core/address.ts";
import { command } from "../command.ts";
import { COMMON, COMMON_WITHOUT_RETRIES } from "../options.ts";

/** The command. */
export const doctor = command({
  name: "ferry doctor",
  op: "doctor",
  usage: "[--udp HOST:PORT] [--dir DIR]",
  summary:
    "Find out what works on the way to the server and back, and what to do where it does not",
  details:
    `It resolves the name, connects, encrypts, greets, logs in, lists a directory, puts a file of 64 KiB,
compares the clocks, gets the file and removes it, each with the time that it took. The file has a
name that no other file has. It is put only where it may be removed again.

With --udp it asks an echo (ferryd --udp-echo), and finds out how large datagrams may be.

The exit status is that of the first failure; what is left out, such as putting with a token that may
only read, is none.`,
  arguments: { min: 0, max: 0 },
  options: {
    udp: { kind: "text", value: "HOST:PORT", help: "an echo over UDP to ask, too" },
    dir: {
      kind: "text",
      value: "DIR",
      default: ".",
      help: "the directory of the server that is listed, and that takes the file",
    },
    ...COMMON_WITHOUT_RETRIES,
    timeout: { ...COMMON.timeout, default: "10s" },
  },
  async run(context, options) {
    const { server, udp, dir, timeout, "connect-timeout": connectTimeout } = options;
    const address = parseServerAddress(server);
    const echo = udp === undefined ? undefined : parseServerAddress(udp, { defaultPort: null });
    const { Doctor } = await import("../doctor.ts");
    const doctor = new Doctor(context, { address, echo, dir, timeout, connectTimeout });
    return await doctor.examine();
  },
});
