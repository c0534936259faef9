/**
 * `ferry exec`: the command's output and its exit status, as if it ran here.
 *
 * @module
 */

import { encodeBase64 } from "@std/encoding/base64";
import { parseServerAddress } from "../../lib/core/address.ts";
import { MAX_LINE_BYTES } from "../../lib/line_exec/framing.ts";
import type { OptionValues } from "../../lib/cli/command_line.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import type { OutputStream } from "../../lib/wire/header.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { ClassicClient } from "../line_exec/client.ts";
import type { Context, Run } from "./commands.ts";
import { EXEC } from "./options.ts";
import type { Command } from "../api/exec.ts";
import type { Output } from "./output.ts";
import { promptLines } from "./prompt.ts";
import { STANDARD_ERROR, STANDARD_OUTPUT, standardInput } from "./stdio.ts";

/** How long a classic server may be silent, and its command run without a word, in milliseconds. */
const IDLE_MS = 60_000;

type Options = OptionValues<typeof EXEC.options>;

/** `ferry exec` */
export const exec: Run<typeof EXEC.options> = async (context, options, args) => {
  try {
    return options.classic === undefined
      ? await execNative(context, options, args)
      : await execClassic(context, options, args, options.classic);
  } catch (error) {
    context.failed("exec", error, {});
    return EXEC.failureStatus;
  }
};

async function execNative(context: Context, options: Options, args: string[]): Promise<number> {
  const { output, signal } = context;
  const { stdin, timeout, json } = options;
  const command = commandOf(options, args);
  // Here --timeout is the command's time, not that of a silent server.
  const client = await context.connected(0, { timeout: undefined });
  const started = performance.now();
  const result = await client.exec(command, {
    timeout,
    signal,
    stdin: stdin ? standardInput() : undefined,
    stdout: json ? events("stdout", output) : STANDARD_OUTPUT,
    stderr: json ? events("stderr", output) : STANDARD_ERROR,
  });
  const seconds = (performance.now() - started) / 1000;
  const { exitCode, timedOut, md5, size } = result;
  output.done("exec", {
    exit_code: exitCode,
    signal: result.signal,
    timed_out: timedOut,
    md5,
    total_size: size,
    seconds,
  });
  if (timedOut) output.notice("the command was killed: its time was up");
  return exitCode;
}

function commandOf({ shell, encoding }: Options, args: string[]): Command {
  if (encoding !== undefined) throw usage("--encoding is for --classic only");
  if (shell === undefined) {
    if (args.length === 0) throw usage("No command was named: ferry exec -- COMMAND [ARG...]");
    return args;
  }
  if (args.length === 0) return { shell };
  throw usage(`--shell takes the whole line, and there is no place for ${quote(args[0]!)}`);
}

function usage(problem: string): FerryError {
  return new FerryError("usage", `${problem} (see ferry exec --help)`);
}

/** Has lines run by a server of the classic protocol; gives the exit status. */
async function execClassic(
  context: Context,
  options: Options,
  args: string[],
  server: string,
): Promise<number> {
  const { output, signal } = context;
  const { framing, encoding, json, quiet, stdin, shell, timeout = IDLE_MS } = options;
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
  using client = new ClassicClient(address, { framing, connectTimeout, timeout, signal });
  let unverified = false;
  const ask = async (line: Uint8Array) => {
    const started = performance.now();
    const decoding = new Decoding(encoding);
    const sink = json ? events("stdout", output) : decoding;
    const { size, verified, whole } = await client.run(line, sink);
    await decoding.end();
    const seconds = (performance.now() - started) / 1000;
    output.done("exec", { total_size: size, verified, whole, seconds });
    if (!whole) {
      output.notice("the server told no end; what it sent before it fell silent is shown");
    }
    if (framing !== "json" || verified || size === 0 || unverified) return;
    unverified = true;
    output.notice("the output could not be verified: the md5 that the server tells is none");
  };
  if (text !== undefined) {
    await ask(new TextEncoder().encode(text));
    return 0;
  }
  let status = 0;
  for await (const line of promptLines({ maxBytes: MAX_LINE_BYTES, quiet, signal })) {
    if (line.length === 0) continue;
    try {
      await ask(line);
    } catch (error) {
      context.failed("exec", error, {});
      status = EXEC.failureStatus;
    }
  }
  return status;
}

function assertEncoding(encoding: string | undefined): void {
  try {
    new TextDecoder(encoding);
  } catch {
    throw new FerryError("usage", `--encoding: ${quote(encoding ?? "")} is not known`);
  }
}

/** Standard output for bytes in some encoding, which are shown in UTF-8; as they are where none is given. */
class Decoding implements ByteSink {
  readonly #decoder: TextDecoder | undefined;
  readonly #encoder = new TextEncoder();

  constructor(encoding: string | undefined) {
    this.#decoder = encoding === undefined ? undefined : new TextDecoder(encoding);
  }

  async write(bytes: Uint8Array): Promise<void> {
    const text = this.#decoder?.decode(bytes, { stream: true });
    await STANDARD_OUTPUT.write(text === undefined ? bytes : this.#encoder.encode(text));
  }

  /** Shows what is left of a character that was cut off. */
  async end(): Promise<void> {
    const text = this.#decoder?.decode();
    if (text) await STANDARD_OUTPUT.write(this.#encoder.encode(text));
  }
}

/** Output as events; in base64, since it may be no text. */
function events(stream: OutputStream, output: Output): ByteSink {
  return {
    write(bytes) {
      output.say("", { event: "output", op: "exec", stream, base64: encodeBase64(bytes) });
      return Promise.resolve();
    },
  };
}
