/**
 * `ferry echo`
 *
 * @module
 */

import { parseServerAddress } from "../../../lib/core/address.ts";
import type { OptionTable, OptionValues } from "../../../lib/cli/command_spec.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { MAX_TIMEOUT_MS } from "../../../lib/core/number_options.ts";
import { MAX_DATAGRAM_BYTES } from "../../../lib/udp/datagram.ts";
import type { Destination } from "../../echo/carrier.ts";
import { command } from "../command.ts";
import { COMMON } from "../options.ts";

/** The longest text over TCP, in bytes. TCP itself has no limit. */
const MAX_STREAM_BYTES = 16 * 1024 * 1024;

const DEFAULT_SIZE = 64;

const OPTIONS = {
  udp: { kind: "text", value: "HOST:PORT", help: "an echo over UDP" },
  tcp: { kind: "text", value: "HOST:PORT", help: "an echo over TCP" },
  count: { kind: "count", short: "c", value: "N", help: "send so many; 0: until Ctrl-C" },
  interval: {
    kind: "time",
    short: "i",
    value: "TIME",
    help: "from one to the next (default: 1s); 0: as replies come, 64 at once, without lines",
  },
  size: { kind: "size", value: "BYTES", help: "how much to send each time (default: 64)" },
  timeout: {
    kind: "time",
    value: "TIME",
    default: "2s",
    help: "give up a reply that has not come in that time",
  },
  "connect-timeout": COMMON["connect-timeout"],
  json: COMMON.json,
  quiet: COMMON.quiet,
  config: COMMON.config,
  help: COMMON.help,
} as const satisfies OptionTable;

/** The command. */
export const echo = command({
  name: "ferry echo",
  op: "echo",
  usage: "--udp HOST:PORT | --tcp HOST:PORT [--count N] [TEXT]",
  summary: "See whether an echo answers, how fast and how surely",
  details:
    `With TEXT it sends that and prints what comes back. With --count, --interval or --size it sends
one after the other, prints a line for each reply, and at the end or at Ctrl-C how many came back and
how long they took. With none of these it asks for lines.

The exit status is 6 where nothing came back, and 7 where something came back that is no echo: the same
bytes, or the same with ASCII letters in upper case.`,
  arguments: { min: 0, max: 1 },
  options: OPTIONS,
  async run(context, options, [text]) {
    const { count, size } = options;
    const timeout = Math.min(options.timeout, MAX_TIMEOUT_MS);
    const interval = options.interval && Math.min(options.interval, MAX_TIMEOUT_MS);
    const destination = destinationOf(options, context.signal);
    const { protocol } = destination;
    const maxBytes = protocol === "udp" ? MAX_DATAGRAM_BYTES : MAX_STREAM_BYTES;
    const bytes = text === undefined ? undefined : new TextEncoder().encode(text);
    if (bytes && size !== undefined) throw usage("--size is for when there is no TEXT");
    const length = bytes?.length ?? size ?? DEFAULT_SIZE;
    if (length > maxBytes) {
      throw usage(
        `${bytes ? "TEXT" : "--size"} is ${length} bytes; over ${protocol} ${maxBytes} go`,
      );
    }
    if (length === 0 && protocol === "tcp") throw usage("Over TCP there is no echo of nothing");
    if (timeout === 0) throw usage("--timeout has to be more than 0");
    const { EchoCheck } = await import("../echo_check.ts");
    const check = new EchoCheck(context, destination, { timeout });
    if (count !== undefined || interval !== undefined || size !== undefined) {
      return await check.probe(bytes ?? length, { count, interval });
    }
    return bytes ? await check.once(bytes) : await check.converse(maxBytes);
  },
});

function usage(message: string): FerryError {
  return new FerryError("usage", `${message} (see ferry echo --help)`);
}

function destinationOf(
  { udp, tcp, "connect-timeout": connectTimeout }: OptionValues<typeof OPTIONS>,
  signal: AbortSignal,
): Destination {
  if ((udp === undefined) === (tcp === undefined)) {
    throw usage("Say where the echo is, with either --udp HOST:PORT or --tcp HOST:PORT");
  }
  const address = parseServerAddress((udp ?? tcp)!, { defaultPort: null });
  return { protocol: udp === undefined ? "tcp" : "udp", address, connectTimeout, signal };
}
