/**
 * `ferry verify`
 *
 * @module
 */

import { algorithmOf } from "../../../lib/core/checksum.ts";
import { FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import { checksumIn } from "../../../lib/core/receipt.ts";
import type { Client } from "../../api/client.ts";
import { command, type Context } from "../command.ts";
import { CHECKSUM, COMMON } from "../options.ts";
import type { CheckedReceipt, TrustedSignatories } from "../receipt_check.ts";
import { expandRemoteGlobs } from "../remote_glob.ts";
import { omissionReports } from "../remote_names.ts";
import { VerifyOutput } from "../verify_output.ts";

const OP = "verify";

/** The command. */
export const verify = command({
  name: "ferry verify",
  op: OP,
  usage: "NAME... | --receipt FILE [--offline]",
  summary: "Let the server read files again, and find what is damaged or changed",
  details:
    `The server reads all bytes of each file, whatever it knows of it, and compares them with the checksum that it
has recorded when the file was uploaded. Of a directory, it reads all files; a NAME may be a pattern, as
for ferry ls.

With --receipt it reads the files of receipts that ferry put --receipt has written, and what it finds has to
be what they say; signatures have to be valid, and with --pin or --ca of a certificate that is trusted.

For each file that is as it should be a line of md5sum's format goes to standard output, which md5sum -c
compares with local files. What is damaged, changed or missing is an error.`,
  arguments: { min: 0, max: Infinity },
  options: {
    receipt: {
      kind: "text",
      value: "FILE",
      argumentOnly: true,
      completes: "files",
      help: "a file of receipts to compare with; of several for one name the last one counts",
    },
    offline: {
      kind: "flag",
      argumentOnly: true,
      help: "with --receipt and --pin or --ca, check signatures only, without the server",
    },
    checksum: CHECKSUM,
    ...COMMON,
  },
  async run(context, { checksum: algorithm, receipt, offline, ca, pin }, args) {
    if (args.length > 0 === (receipt !== undefined)) {
      throw new FerryError("usage", "it takes names, or --receipt FILE, and one of them alone");
    }
    if (offline && (receipt === undefined || pin.length === 0 && ca === undefined)) {
      throw new FerryError("usage", "--offline goes with --receipt, and with --pin or --ca");
    }
    const results = new VerifyOutput(context);
    if (receipt !== undefined) {
      const checked = await checkedReceipts(context, receipt, { ca, pin });
      if (offline) { for (const each of checked.values()) results.receipt(each); }
      else await verifyFiles(context, await context.connected(), checked, results);
    } else {
      const client = await context.connected();
      const names = await filesMeant(context, client, args);
      const files = new Map(names.map((name) => [name, undefined]));
      await verifyFiles(context, client, files, results, algorithm);
    }
    results.summary();
  },
});

/** Lets the server read files, each of which has to be what its receipt says, if there is one. */
async function verifyFiles(
  context: Context,
  client: Client,
  files: ReadonlyMap<string, CheckedReceipt | undefined>,
  results: VerifyOutput,
  chosen?: "md5" | "sha256" | "xxh128",
): Promise<void> {
  const wanted = Array.from(files, ([filename, checked]) => {
    return { filename, algorithm: checked ? algorithmOf(checksumIn(checked.receipt)) : chosen };
  });
  await client.verify(wanted, {
    onVerified: (file) => results.verified(file, files.get(file.filename)),
    onError: (filename, error) => context.failed(OP, error, { filename }),
    signal: context.signal,
  });
}

/** The receipts in a file whose signatures are trusted, by their names. */
async function checkedReceipts(
  context: Context,
  path: string,
  trusted: TrustedSignatories,
): Promise<Map<string, CheckedReceipt>> {
  // Loaded on demand, since few need it and it takes time.
  const { ReceiptCheck, receiptLinesIn } = await import("../receipt_check.ts");
  const check = new ReceiptCheck(trusted);
  const checked = new Map<string, CheckedReceipt>();
  for await (const [number, line] of receiptLinesIn(path)) {
    await context.attempt(OP, `${path}:${number}`, async () => {
      const receipt = await check.line(line, `line ${number} of ${quote(path)}`);
      checked.set(receipt.receipt.filename, receipt);
    });
  }
  return checked;
}

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
