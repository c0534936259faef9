/**
 * `auth`: the SCRAM messages by which a client logs in with a token.
 *
 * @module
 */

import { FerryError } from "../../../../lib/core/errors.ts";
import type { AuthRequest } from "../../../../lib/wire/operations/auth.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers an `auth`. */
export const auth: Handler<AuthRequest> = {
  action: () => "take the token",

  async answer(exchange) {
    const { identity } = exchange.connection;
    const { scram } = exchange.request;
    if (identity.mechanism === "none") {
      throw new FerryError("bad_header", "this server has no login");
    }
    // A client's first SCRAM message begins with the GS2 header, its final one with the channel binding `c=`.
    if (!scram.startsWith("c=")) {
      return await exchange.reply({ scram: await identity.challenge(scram) });
    }
    const proof = await identity.prove(scram);
    return await exchange.reply({ scram: proof, scopes: identity.scopes });
  },
};
