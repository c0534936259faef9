/**
 * `compare`: which of the files listed in the body the client would have to send, one line each.
 *
 * @module
 */

import { verifiedChunks } from "../../../../lib/transfer/receive.ts";
import type { CompareRequest } from "../../../../lib/wire/operations/compare.ts";
import { decodeManifestLine, encodeManifestReply } from "../../../../lib/wire/manifest.ts";
import { decodeLines, encodeLines } from "../../../../lib/wire/lines.ts";
import type { ComparisonResult } from "../../../files/comparison.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `compare`. */
export const compare: Handler<CompareRequest> = {
  action: () => "compare the files",
  readsBody: true,

  async answer(exchange) {
    const { connection, request, body, files } = exchange;
    const { overwrite, content, known, filename, stage, keep } = request;
    const tree = stage === undefined ? undefined : await exchange.stages.of(stage, filename);
    const { algorithm } = body;
    const lines = decodeLines(verifiedChunks(body), decodeManifestLine);
    const options = { overwrite, algorithm, content };
    const results = tree && keep
      ? exchange.stages.keep(tree, lines)
      : tree
      ? exchange.stages.compare(tree, lines, options)
      : files.compare(lines, { ...options, known });
    const goOn = await exchange.streamPieces({
      ...(filename === undefined ? {} : { keys: { filename } }),
      pieces: encodeLines(results, encodeResult),
      // By then the whole body has been read and verified.
      closing: () => ({ compared: body.checksum }),
    });
    return goOn && await connection.skip(body);
  },
};

function encodeResult(result: ComparisonResult): string {
  if (result.decision !== "error") {
    const { filename, decision, known } = result;
    const from = known && { from: known.name, version: known.version };
    return encodeManifestReply({ filename, decision, ...from });
  }
  const { filename, decision, error: { code, message } } = result;
  return encodeManifestReply({ filename, decision, code, message });
}
