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
import type { Exchange, Handler } from "../exchange/exchange.ts";

/** Answers a `compare`. */
export const compare: Handler<CompareRequest> = {
  action: () => "compare the files",
  readsBody: true,

  async answer(exchange) {
    const { connection, request, body } = exchange;
    const { filename } = request;
    const results = await resultsOf(exchange);
    const goOn = await exchange.streamPieces({
      ...(filename === undefined ? {} : { keys: { filename } }),
      pieces: encodeLines(results, encodeResult),
      // By then the whole body has been read and verified.
      closing: () => ({ compared: body.checksum }),
    });
    return goOn && await connection.skip(body);
  },
};

/** The results for the lines of the body: compared with what is stored, or with a staged tree, or kept in one. */
async function resultsOf(
  { request, body, files, stages }: Exchange<CompareRequest>,
): Promise<AsyncGenerator<ComparisonResult, void, void>> {
  const { overwrite, content, known, stage, keep } = request;
  const options = { overwrite, algorithm: body.algorithm, content };
  const lines = decodeLines(verifiedChunks(body), decodeManifestLine);
  if (stage === undefined) return files.compare(lines, { ...options, known });
  const tree = await stages.of(stage);
  return keep ? stages.keep(tree, lines) : stages.compare(tree, lines, options);
}

function encodeResult(result: ComparisonResult): string {
  if (result.decision !== "error") {
    const { filename, decision, known } = result;
    const from = known && { from: known.name, version: known.version };
    return encodeManifestReply({ filename, decision, ...from });
  }
  const { filename, decision, error: { code, message } } = result;
  return encodeManifestReply({ filename, decision, code, message });
}
