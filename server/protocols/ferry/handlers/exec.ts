/**
 * `exec`: runs a command; the body of the request is its standard input, the body of the reply its output.
 *
 * @module
 */

import { FerryError, quote } from "../../../../lib/core/errors.ts";
import type { ExecRequest } from "../../../../lib/wire/operations/exec.ts";
import { MAX_UNREAD_INPUT_BYTES } from "../../../../lib/wire/body.ts";
import { logger } from "../exchange/served_connection.ts";
import type { Handler } from "../exchange/exchange.ts";
import { replyWithOutput } from "./exec_reply.ts";

/** Answers an `exec`. */
export const exec: Handler<ExecRequest> = {
  action: ({ command, argv }) => `run ${quote(command ?? argv?.join(" ") ?? "")}`,
  readsBody: true,

  async answer(exchange) {
    const { connection, request, body, permit, action, operation } = exchange;
    const { wire, options: { commands }, client } = connection;
    if (!commands) throw new FerryError("denied", "the server runs no commands");
    const command = commands.start(request, { stdin: !body.ended });
    logger.debug("{peer}: begins to {action}", { peer: client.name, action });
    // While the command runs, or the client takes time to read its output, the client does not count as silent.
    wire.patience = command.timeout;
    using _watch = permit.onEnd((error) => {
      wire.patience = 0;
      command.abort(error);
    });
    const goOn = await exchange.stream(async () => {
      const { exit_code } = await replyWithOutput(wire, body, { command, action });
      operation.exitCode = exit_code;
    });
    wire.patience = 0;
    return goOn && await connection.skip(body, MAX_UNREAD_INPUT_BYTES);
  },
};
