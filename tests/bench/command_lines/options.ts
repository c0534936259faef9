/**
 * The options of a command, for each library that parses command lines.
 *
 * @module
 */

import type { OptionTable } from "../../../lib/cli/command_spec.ts";

/** Some options, as `ferry ls` has them. */
export const OPTIONS: OptionTable = {
  recursive: { kind: "flag", short: "R", help: "list what is in its directories too" },
  human: { kind: "flag", short: "h", help: "show sizes in units: 1.5 KiB, 20 MiB" },
  partial: { kind: "flag", help: "list the uploads that were cut instead" },
  server: { kind: "text", short: "s", value: "HOST:PORT", help: "the server" },
  timeout: { kind: "time", value: "TIME", help: "how long a silent server is waited for" },
  tls: { kind: "flag", help: "connect by TLS" },
  quiet: { kind: "flag", short: "q", help: "print nothing but errors" },
  json: { kind: "flag", help: "print one JSON object a line" },
};
