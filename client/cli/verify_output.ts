/**
 * What `ferry verify` prints: the result of each file, and a summary.
 *
 * @module
 */

import { hexOf } from "../../lib/core/checksum.ts";
import { FerryError, quote } from "../../lib/core/errors.ts";
import { checksumIn } from "../../lib/core/receipt.ts";
import type { Verdict } from "../../lib/core/verdict.ts";
import type { Verified } from "../api/proof.ts";
import type { Context } from "./command.ts";
import { checksumMembers } from "./entry_output.ts";
import type { CheckedReceipt } from "./receipt_check.ts";
import { md5sumLine } from "./sum_line.ts";

const OP = "verify";

/** The results of one command. */
export class VerifyOutput {
  readonly #context: Context;
  readonly #counts: Record<Verdict, number> = { intact: 0, damaged: 0, unrecorded: 0 };
  #changed = 0;
  #receipts = 0;

  /** No results yet. */
  constructor(context: Context) {
    this.#context = context;
  }

  /** Reports a file that was read. With a receipt it has to be what that says. */
  verified({ filename, size, mtime, checksum, verdict }: Verified, of?: CheckedReceipt): void {
    const { output } = this.#context;
    const signed = of?.signedBy === undefined ? {} : { signed_by: of.signedBy };
    const sums = checksumMembers(checksum);
    const facts = { filename, total_size: size, mtime, ...sums, verdict, ...signed };
    if (verdict === "damaged") {
      this.#counts.damaged++;
      const reason =
        "it is damaged: its bytes are not those that were stored, and no program has " +
        "changed it; upload it again, or restore it from a backup";
      return this.#failed(reason, facts);
    }
    if (of && (size !== of.receipt.size || checksum !== checksumIn(of.receipt))) {
      this.#changed++;
      const { receipt } = of;
      const reason = `it was changed since the receipt of ${receipt.time}: that says ` +
        `${receipt.size} bytes, ${checksumIn(receipt)}; it has ${size} bytes, ${checksum}`;
      return this.#failed(reason, facts);
    }
    // What a receipt says was recorded by that.
    this.#counts[of ? "intact" : verdict]++;
    output.say(md5sumLine(hexOf(checksum), filename), { event: "done", op: OP, ...facts });
  }

  /** Reports a receipt whose signature is valid and trusted. */
  receipt({ receipt, signedBy }: CheckedReceipt): void {
    this.#receipts++;
    const { filename, size, time, durability } = receipt;
    const checksum = checksumIn(receipt);
    const facts = { filename, total_size: size, ...checksumMembers(checksum) };
    this.#context.output.say(md5sumLine(hexOf(checksum), filename), {
      event: "receipt",
      op: OP,
      ...facts,
      time,
      durability,
      signed_by: signedBy,
    });
  }

  #failed(reason: string, facts: Readonly<Record<string, unknown>> & { filename: string }): void {
    const error = new FerryError("checksum_mismatch", reason, {
      action: `${OP} ${quote(facts.filename)}`,
      place: { side: "server" },
    });
    this.#context.failed(OP, error, facts);
  }

  /** Reports how many files there were of each kind. */
  summary(): void {
    const { output } = this.#context;
    const { intact, unrecorded, damaged } = this.#counts;
    const [changed, failed] = [this.#changed, output.errors];
    if (output.json) {
      const counts = { intact, unrecorded, damaged, changed, failed };
      return output.event({ event: "summary", op: OP, ...counts });
    }
    const parts: string[] = [];
    if (this.#receipts > 0) parts.push(`${this.#receipts} with a valid signature`);
    else parts.push(`${intact} intact`);
    if (unrecorded > 0) parts.push(`${unrecorded} of which no checksum was recorded yet`);
    if (damaged > 0) parts.push(`${damaged} damaged`);
    if (changed > 0) parts.push(`${changed} changed`);
    const rest = failed - damaged - changed;
    if (rest > 0) parts.push(`${rest} not verified`);
    output.notice(parts.join(", "));
  }
}
