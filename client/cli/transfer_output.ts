/**
 * What `ferry put` and `ferry get` print: the result of each file, and a summary.
 *
 * @module
 */

import { hexOf } from "../../lib/core/checksum.ts";
import { printable, quote } from "../../lib/core/errors.ts";
import { type Unkept, unkeptKey } from "../../lib/core/entry.ts";
import { formatSize } from "../../lib/core/quantities.ts";
import { type Deleted, knownKey, type Transferred } from "../transfer/options.ts";
import { checksumMembers } from "./entry_output.ts";
import { type Output, roundSeconds } from "./output.ts";
import { md5sumLine, shownSumLine } from "./sum_line.ts";

/** Notices about metadata that a file system does not keep. */
const UNKEPT: Readonly<Record<Unkept, string>> = {
  mtime: "modification times are not kept",
  mtime_fraction: "modification times are kept in steps of a second or two only",
  mode: "permission bits are not kept",
};

/** The results of one command that transfers files. */
export class TransferOutput {
  readonly #output: Output;
  readonly #dryRun: boolean;
  /** The kinds of metadata for which a notice was printed: one notice is enough for all files. */
  readonly #unkept = new Set<Unkept>();
  #transferred = 0;
  #unchanged = 0;
  #copied = 0;
  #bytes = 0;
  #deleted = 0;
  /** Whether deletions were asked for. */
  readonly #deletes: boolean;
  readonly #onTransferred: (result: Transferred) => void;

  /** The results of transfers; with `dryRun`, of transfers that would happen. */
  constructor(
    output: Output,
    { dryRun, deletes = false, onTransferred = () => {} }: {
      dryRun: boolean;
      deletes?: boolean;
      /** Called with each file that was transferred, or that did not need to be. Default: nothing. */
      onTransferred?: (result: Transferred) => void;
    },
  ) {
    this.#onTransferred = onTransferred;
    this.#output = output;
    this.#dryRun = dryRun;
    this.#deletes = deletes;
  }

  /** Counts a transfer for the summary, without reporting it. */
  count(
    { skipped, transferred, known }: Pick<Transferred, "skipped" | "transferred" | "known">,
  ): void {
    if (skipped) this.#unchanged++;
    else if (known !== undefined) this.#copied++;
    else this.#transferred++;
    this.#bytes += transferred;
  }

  /**
   * Reports a file that was transferred, or that did not need to be.
   *
   * @param shown the name to print
   * @param seconds how long it took
   * @param options.tree whether it is one of the files of a directory. Default: false.
   */
  transferred(
    op: "put" | "get",
    shown: string,
    result: Transferred,
    seconds: number,
    { tree = false } = {},
  ): void {
    const output = this.#output;
    const { filename, checksum, size, skipped, transferred, resumedFrom, unkept = [] } = result;
    const { known, link, reused } = result;
    output.progress.ended(result);
    this.count(result);
    if (this.#dryRun) return this.#planned(op, shown, result, { tree });
    this.#onTransferred(result);
    if (output.json) {
      const bytes = op === "put" ? { bytes_sent: transferred } : { bytes_received: transferred };
      const path = op === "get" ? { path: shown } : {};
      output.event({
        event: "done",
        op,
        filename,
        ...path,
        ...(link === undefined ? {} : { link }),
        ...checksumMembers(checksum),
        total_size: size,
        seconds: roundSeconds(seconds),
        ...bytes,
        ...knownKey(known),
        ...(reused === undefined ? {} : { bytes_reused: reused }),
        resumed_from: resumedFrom,
        skipped,
        retries: output.takeRetries(),
        ...unkeptKey(unkept),
      });
      // Unchanged files of a directory are counted in the summary, not listed; links have no checksum.
    } else if ((!tree || !skipped) && link === undefined) {
      const line = Deno.stdout.isTerminal() ? shownSumLine : md5sumLine;
      output.line(line(hexOf(checksum ?? ""), shown));
    }
    for (const kind of unkept.filter((kind) => !this.#unkept.has(kind))) {
      this.#unkept.add(kind);
      output.notice(`${UNKEPT[kind]} (${op === "put" ? "on the server" : "on this machine"})`);
    }
  }

  /** Reports what would happen to a file. */
  #planned(
    op: "put" | "get",
    shown: string,
    { filename, size, skipped, known, link }: Transferred,
    { tree }: { tree: boolean },
  ): void {
    const output = this.#output;
    if (output.json) {
      const path = op === "get" ? { path: shown } : {};
      const planned = { event: "planned", op, filename, ...path, total_size: size, skipped };
      const kind = link === undefined ? {} : { link };
      output.event({ ...planned, ...kind, ...knownKey(known) });
    } else if (known !== undefined) {
      output.line(`would copy ${printable(shown)} from ${printable(known)}`);
    } else if (!skipped) output.line(`would ${op} ${printable(shown)}`);
    else if (!tree) output.line(`would leave ${printable(shown)} as it is`);
  }

  /** Reports something that was deleted from the target, or would be; `shown` is the name to print. */
  deleted(op: "put" | "get", shown: string, { filename, type, size, backup }: Deleted): void {
    const output = this.#output;
    this.#deleted++;
    const path = op === "get" ? { path: shown } : {};
    const kept = backup === undefined ? {} : { backup };
    const event = { op, filename, ...path, type, total_size: size, ...kept };
    if (this.#dryRun) {
      output.say(`would delete ${printable(shown)}`, {
        event: "planned",
        ...event,
        skipped: false,
        deleted: true,
      });
    } else if (output.json) output.event({ event: "deleted", ...event });
    else {
      const now = backup === undefined ? "" : `: it is ${quote(backup)} now`;
      // Standard output is for checksums, as md5sum -c reads them.
      output.notice(`deleted ${quote(shown)}${now}`);
    }
  }

  /**
   * Reports how many files were transferred, left out or failed.
   *
   * @param options.trees whether directories were transferred. Without them there is a summary only where something
   * was left out.
   */
  summary(seconds: number, { trees }: { trees: boolean }): void {
    const output = this.#output;
    const { errors, omissions } = output;
    if (!trees && omissions === 0) return;
    const [moved, skipped, bytes] = [this.#transferred, this.#unchanged, this.#bytes];
    const copied = this.#copied;
    if (output.json) {
      const stored = { files: moved + copied, ...(copied > 0 ? { copied } : {}) };
      const counts = { ...stored, skipped, failed: errors, bytes, omitted: omissions };
      const dryRun = this.#dryRun ? { dry_run: true } : {};
      const deleted = this.#deletes ? { deleted: this.#deleted } : {};
      return output.event({
        event: "summary",
        ...counts,
        ...deleted,
        ...dryRun,
        seconds: roundSeconds(seconds),
      });
    }
    // The first formatSize() of a process loads locale data, which takes as long as transferring many files.
    if (output.quiet) return;
    const done = this.#dryRun
      ? `${moved} would be transferred`
      : `${moved} transferred (${formatSize(bytes)})`;
    const parts = [done];
    if (copied > 0) parts.push(this.#dryRun ? `${copied} would be copied` : `${copied} copied`);
    parts.push(`${skipped} unchanged`);
    if (this.#deletes) parts.push(`${this.#deleted} ${this.#dryRun ? "would be " : ""}deleted`);
    if (omissions > 0) parts.push(`${omissions} skipped`);
    if (errors > 0) parts.push(`${errors} failed`);
    output.notice(parts.join(", "));
  }
}
