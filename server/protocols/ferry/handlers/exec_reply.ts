/**
 * Connects a command with its client: the request's body becomes the command's standard input, the command's output
 * becomes the reply's body, and the command is ended when its client disconnects.
 *
 * @module
 */

import type { Algorithm } from "../../../../lib/core/checksum.ts";
import { FerryError, toFerryError } from "../../../../lib/core/errors.ts";
import type { ExecEnd } from "../../../../lib/wire/operations/exec.ts";
import { VerifyingReader } from "../../../../lib/transfer/receive.ts";
import { closeWithError, StreamedBody } from "../../../../lib/transfer/send.ts";
import type { IncomingBody } from "../../../../lib/wire/body.ts";
import type { Wire } from "../../../../lib/wire/frames.ts";
import type { RunningCommand } from "../../../exec/running_command.ts";

/** How many bytes of standard input are forwarded at once. */
const READ_BYTES = 64 * 1024;

/**
 * Sends a command's output as it is produced, and then how the command ended. No process of the command is left when
 * this settles. The caller still has to read the part of the request's body that the command has not read.
 *
 * @throws {FerryError} why the output was not sent completely. It was reported to the client if possible
 */
export async function replyWithOutput(
  wire: Wire,
  body: IncomingBody,
  { command, action }: { command: RunningCommand; action: string },
): Promise<ExecEnd> {
  await using ends = new AsyncDisposableStack();
  const input = new InputFeed(wire, body, command);
  ends.defer(() => input.end());
  // No read times out while the command runs. Afterwards the client has to end its input in time.
  ends.use(wire.hold());
  ends.use(command);
  try {
    return await sendOutput(wire, command, body.algorithm);
  } catch (error) {
    return await closeWithError(wire, toFerryError(error).during(action));
  }
}

async function sendOutput(
  wire: Wire,
  command: RunningCommand,
  algorithm: Algorithm,
): Promise<ExecEnd> {
  const opening = { status: "ok", timeout_ms: command.timeout };
  const body = await StreamedBody.open(wire, opening, algorithm);
  await wire.flush();
  const output = command.output();
  for (;;) {
    const { value, done } = await output.next();
    if (done) {
      await body.close({ ...value });
      await wire.flush();
      return value;
    }
    const { stream, bytes, more } = value;
    await body.write(bytes, { stream });
    // Output is flushed as soon as no more is waiting, so that chunks that are ready together are sent together.
    if (!more) await wire.flush();
  }
}

/**
 * Forwards a body to a command's standard input. After the end of the body, aborts the command if the client
 * disconnects.
 */
class InputFeed {
  readonly #command: RunningCommand;
  readonly #handingOn: Promise<void>;
  #over = false;
  #watch: Disposable | undefined;

  constructor(wire: Wire, body: IncomingBody, command: RunningCommand) {
    this.#command = command;
    this.#handingOn = this.#run(wire, body);
  }

  /** Stops forwarding because the command has ended. Resolves when nothing reads from the body any more. */
  async end(): Promise<void> {
    this.#over = true;
    this.#watch?.[Symbol.dispose]();
    await this.#handingOn;
  }

  async #run(wire: Wire, body: IncomingBody): Promise<void> {
    try {
      if (!body.ended) await this.#handOn(body);
      await this.#command.closeInput();
    } catch (error) {
      this.#command.abort(toFerryError(error));
      return;
    }
    if (this.#over) return;
    this.#watch = wire.watch(() => {
      this.#command.abort(new FerryError("closed", "the client ended the connection"));
    });
  }

  async #handOn(body: IncomingBody): Promise<void> {
    const input = await VerifyingReader.open(body, "standard input");
    using lent = body.runtime.buffers.lend(READ_BYTES);
    while (!this.#over) {
      const count = await input.read(lent.bytes);
      if (count === 0) return;
      await this.#command.write(lent.bytes.subarray(0, count));
    }
  }
}
