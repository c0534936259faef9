/**
 * `ferry verify`
 *
 * @module
 */

import { hexOf } from "../../../lib/core/checksum.ts";
import { FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import type { Verdict } from "../../../lib/core/verdict.ts";
import type { Client } from "../../api/client.ts";
import type { Verified } from "../../api/verify.ts";
import { command, type Context } from "../command.ts";
import { checksumMembers } from "../entry_output.ts";
import { CHECKSUM, COMMON } from "../options.ts";
import { expandRemoteGlobs } from "../remote_glob.ts";
import { omissionReports } from "../remote_names.ts";
import { md5sumLine } from "../sum_line.ts";

const OP = "verify";

/** The command. */
export const verify = command({
  name: "ferry verify",
  op: OP,
  usage: "NAME...",
  summary: "Let the server read files again, and find what its disk has damaged",
  details:
    `The server reads all bytes of each file, whatever it knows of it, and compares them with the checksum that it
has recorded when the file was uploaded. Of a directory, it reads all files; a NAME may be a pattern, as
for ferry ls.

For each file that is not damaged a line of md5sum's format goes to standard output, which md5sum -c
compares with local files. What is damaged or missing is an error.`,
  arguments: { min: 1, max: Infinity },
  options: { checksum: CHECKSUM, ...COMMON },
  async run(context, { checksum: algorithm }, args) {
    const client = await context.connected();
    const results = new VerifyOutput(context);
    const names = await filesMeant(context, client, args);
    await client.verify(names.map((filename) => ({ filename, algorithm })), {
      onVerified: (file) => results.verified(file),
      onError: (filename, error) => context.failed(OP, error, { filename }),
      signal: context.signal,
    });
    results.summary();
  },
});

/** The names of the files that arguments stand for: of directories, those of all files in them. */
async function filesMeant(
  context: Context,
  client: Client,
  args: readonly string[],
): Promise<string[]> {
  const { signal } = context;
  const reports = omissionReports(context, OP);
  const files = new Set<string>();
  for (const arg of args) {
    await context.attempt(OP, arg, async () => {
      for (const name of await expandRemoteGlobs(client, [arg], { op: OP, ...reports, signal })) {
        try {
          for await (
            const { type, filename } of client.list(name, { recursive: true, ...reports, signal })
          ) if (type === "file") files.add(filename);
        } catch (error) {
          // A file, or what is missing, which the server says when it is asked to read it.
          if (!["not_a_file", "not_found"].includes(toFerryError(error).code)) throw error;
          files.add(name);
        }
      }
    });
  }
  return [...files];
}

/** The results of one command. */
class VerifyOutput {
  readonly #context: Context;
  readonly #counts: Record<Verdict, number> = { intact: 0, damaged: 0, unrecorded: 0 };

  /** No results yet. */
  constructor(context: Context) {
    this.#context = context;
  }

  /** Reports a file that was read. */
  verified({ filename, size, mtime, checksum, verdict }: Verified): void {
    const { output, failed } = this.#context;
    this.#counts[verdict]++;
    const facts = { filename, total_size: size, mtime, ...checksumMembers(checksum), verdict };
    if (verdict === "damaged") {
      const reason =
        "it is damaged: its bytes are not those that were stored, and no program has " +
        "changed it; upload it again, or restore it from a backup";
      const error = new FerryError("checksum_mismatch", reason, {
        action: `${OP} ${quote(filename)}`,
        place: { side: "server" },
      });
      return failed(OP, error, facts);
    }
    output.say(md5sumLine(hexOf(checksum), filename), { event: "done", op: OP, ...facts });
  }

  /** Reports how many files there were of each kind. */
  summary(): void {
    const { output } = this.#context;
    const { intact, unrecorded, damaged } = this.#counts;
    const failed = output.errors;
    if (output.json) {
      return output.event({ event: "summary", op: OP, intact, unrecorded, damaged, failed });
    }
    const parts = [`${intact} intact`];
    if (unrecorded > 0) parts.push(`${unrecorded} of which no checksum was recorded yet`);
    if (damaged > 0) parts.push(`${damaged} damaged`);
    if (failed > damaged) parts.push(`${failed - damaged} not verified`);
    output.notice(parts.join(", "));
  }
}
