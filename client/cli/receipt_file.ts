/**
 * The file into which `ferry put --receipt` writes what the server confirms: a line of JSON for each file.
 *
 * @module
 */

import { openRegularFile } from "../../lib/cli/input_file.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { receiptLine, type SignedReceipt } from "../../lib/core/receipt.ts";
import type { Client } from "../api/client.ts";
import type { Transferred } from "../transfer/options.ts";
import type { Context } from "./command.ts";

/** The client for receipts is another one than those of transfers, so that they need not wait for a directory. */
const JOB = -1;

/** How many files are confirmed together, at least, or how long it takes until some are, in milliseconds. */
const BATCH = { count: 64, time: 1000 };

const LINE_BREAK = 0x0a;

/** The receipts of one command. What is in the file is on the disk soon, so that a run that is cut has its receipts. */
export class ReceiptFile implements AsyncDisposable {
  readonly #context: Context;
  readonly #client: Client;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  /** Whether nothing is confirmed before the end, since nothing has its name until then. */
  readonly #held: boolean;
  #pending: Transferred[] = [];
  #confirming: Promise<void> | undefined;
  #confirmed = performance.now();

  private constructor(
    context: Context,
    { client, path, file, held }: {
      client: Client;
      path: string;
      file: Deno.FsFile;
      held: boolean;
    },
  ) {
    this.#context = context;
    this.#client = client;
    this.#path = path;
    this.#file = file;
    this.#held = held;
  }

  /**
   * Opens a file, to add receipts to it, before anything is sent.
   *
   * @throws {FerryError} what opening it fails with; `bad_version` where the server gives no receipts
   */
  static async open(
    context: Context,
    path: string,
    { held }: { held: boolean },
  ): Promise<ReceiptFile> {
    const client = await context.connected(JOB);
    const { features, agent } = client.hello;
    if (!features.includes("receipt")) {
      throw new FerryError("bad_version", `the server, ${agent}, does not offer receipts`);
    }
    try {
      const options = { read: true, append: true, create: true };
      // Each run adds to it, and it is never read as a whole.
      const file = openRegularFile(path, options, Infinity);
      endLine(file);
      return new ReceiptFile(context, { client, path, file, held });
    } catch (error) {
      throw toFerryError(error).during(`write receipts to ${quote(path)}`);
    }
  }

  /** Asks for the receipt of a file that was uploaded, or that was there. */
  add(result: Transferred): void {
    if (result.link !== undefined) return;
    this.#pending.push(result);
    if (this.#held || this.#confirming) return;
    const isDue = this.#pending.length >= BATCH.count ||
      performance.now() - this.#confirmed >= BATCH.time;
    if (isDue) this.#confirming = this.#confirm().finally(() => this.#confirming = undefined);
  }

  /** Waits for all receipts. */
  async finish(): Promise<void> {
    await this.#confirming;
    if (this.#pending.length > 0) await this.#confirm();
  }

  async #confirm(): Promise<void> {
    const { failed, signal } = this.#context;
    const files = this.#pending;
    this.#pending = [];
    const onError = (filename: string, error: FerryError) => failed("receipt", error, { filename });
    let lines = "";
    const attempt = async (run: () => void | Promise<void>) => {
      try {
        await run();
      } catch (error) {
        if (!signal.aborted) failed("receipt", error);
      }
    };
    const onReceipt = (receipt: SignedReceipt) => void (lines += `${receiptLine(receipt)}\n`);
    await attempt(() => this.#client.confirm(files, { onReceipt, onError, signal }));
    // What has been confirmed before a failure is kept.
    await attempt(() => this.#write(lines));
    this.#confirmed = performance.now();
  }

  #write(lines: string): void {
    try {
      const bytes = new TextEncoder().encode(lines);
      for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
      this.#file.syncDataSync();
    } catch (error) {
      throw toFerryError(error).during(`write receipts to ${quote(this.#path)}`);
    }
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#confirming;
    this.#file.close();
  }
}

/** Ends the last line of a file, if the machine has stopped in the middle of it. */
function endLine(file: Deno.FsFile): void {
  const { size } = file.statSync();
  if (size === 0) return;
  const last = new Uint8Array(1);
  file.seekSync(size - 1, Deno.SeekMode.Start);
  file.readSync(last);
  if (last[0] !== LINE_BREAK) file.writeSync(Uint8Array.of(LINE_BREAK));
}
