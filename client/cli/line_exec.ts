/**
 * `ferry exec --classic`: runs lines of text in the shell of a server of the classic protocol.
 *
 * @module
 */

import { parseServerAddress } from "../../lib/core/address.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { type Framing, MAX_LINE_BYTES } from "../../lib/line_exec/framing.ts";
import { LineExecClient } from "../line_exec/client.ts";
import type { Context } from "./command.ts";
import { outputEvents } from "./exec_output.ts";
import { secondsSince } from "./output.ts";
import { promptLines } from "./prompt.ts";
import { STANDARD_OUTPUT } from "./stdio.ts";

/** How long a server may be silent without `--timeout`, in milliseconds. */
const IDLE_MS = 60_000;

/** Options of {@linkcode runLines}: those of `ferry exec`. */
export interface LineExecOptions {
  /** How the server marks the beginning and the length of its output. */
  framing: Framing;
  /** The encoding of its output; undefined where the bytes are passed on as they are. */
  encoding: string | undefined;
  /** Milliseconds for which the server may be silent. Default: 60000. */
  timeout: number | undefined;
  /** Milliseconds for connecting. */
  "connect-timeout": number;
  /** Not supported with `--classic`. */
  stdin: boolean;
  /** Not supported with `--classic`. */
  shell: string | undefined;
}

/**
 * Runs the line in the arguments, or else each line of standard input.
 *
 * @throws {FerryError} `usage` for options that exclude each other; where there is only one line, what
 * {@linkcode LineExecClient.run} throws
 */
export async function runLines(
  context: Context,
  options: LineExecOptions,
  args: readonly string[],
  server: string,
): Promise<void> {
  const { output, signal } = context;
  const { framing, encoding, stdin, shell, timeout = IDLE_MS } = options;
  if (stdin || shell !== undefined) throw usage("--classic goes with neither --stdin nor --shell");
  const [text, more] = args;
  if (more !== undefined) {
    throw usage(
      `--classic takes one line: write it in quotes; there is no place for ${quote(more)}`,
    );
  }
  assertEncoding(encoding);
  const address = parseServerAddress(server, { defaultPort: null });
  const connectTimeout = options["connect-timeout"];
  using client = new LineExecClient(address, { framing, connectTimeout, timeout, signal });
  let unverified = false;
  const run = async (line: Uint8Array) => {
    const started = performance.now();
    const decoded = new DecodedOutput(encoding);
    const sink = output.json ? outputEvents("stdout", output) : decoded;
    const { size, verified, whole } = await client.run(line, sink);
    await decoded.end();
    output.done("exec", { total_size: size, verified, whole, seconds: secondsSince(started) });
    if (!whole) {
      output.notice(
        "the server did not mark the end of its output; what it sent before the timeout is shown",
      );
    }
    if (framing !== "json" || verified || size === 0 || unverified) return;
    unverified = true;
    output.notice("the output could not be verified: the md5 that the server tells is none");
  };
  if (text !== undefined) return await run(new TextEncoder().encode(text));
  const { quiet } = output;
  for await (const line of promptLines({ maxBytes: MAX_LINE_BYTES, quiet, signal })) {
    if (line.length === 0) continue;
    try {
      await run(line);
    } catch (error) {
      context.failed("exec", error);
    }
  }
}

function usage(problem: string): FerryError {
  return new FerryError("usage", `${problem} (see ferry exec --help)`);
}

function assertEncoding(encoding: string | undefined): void {
  try {
    new TextDecoder(encoding);
  } catch {
    throw new FerryError("usage", `--encoding: ${quote(encoding ?? "")} is not known`);
  }
}

/**
 * Standard output that converts bytes from another encoding to UTF-8. Without an encoding, the bytes are passed
 * through.
 */
class DecodedOutput implements ByteSink {
  readonly #decoder: TextDecoder | undefined;
  readonly #encoder = new TextEncoder();

  constructor(encoding: string | undefined) {
    this.#decoder = encoding === undefined ? undefined : new TextDecoder(encoding);
  }

  async write(bytes: Uint8Array): Promise<void> {
    const text = this.#decoder?.decode(bytes, { stream: true });
    await STANDARD_OUTPUT.write(text === undefined ? bytes : this.#encoder.encode(text));
  }

  /** Prints what is left of a character that was cut off. */
  async end(): Promise<void> {
    const text = this.#decoder?.decode();
    if (text) await STANDARD_OUTPUT.write(this.#encoder.encode(text));
  }
}
