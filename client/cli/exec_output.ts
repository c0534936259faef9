/**
 * The output of a command on the server as `--json` shows it.
 *
 * @module
 */

import { encodeBase64 } from "@std/encoding/base64";
import type { ByteSink } from "../../lib/core/bytes.ts";
import type { OutputStream } from "../../lib/wire/operations/exec.ts";
import type { Output } from "./output.ts";

/** A sink that prints an event for each piece of a stream, in base64, since it may be binary data. */
export function outputEvents(stream: OutputStream, output: Output): ByteSink {
  return {
    write(bytes) {
      output.event({ event: "output", op: "exec", stream, base64: encodeBase64(bytes) });
      return Promise.resolve();
    },
  };
}
