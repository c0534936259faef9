/**
 * The programs that a server runs before and after uploads.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { MAX_TIMEOUT_MS } from "../../lib/core/number_options.ts";
import { resolve } from "../../lib/core/paths.ts";
import { Programs } from "../exec/programs.ts";
import type { BeforeStore, Observer } from "../observe/operation.ts";
import { beforeStoreHook } from "./before_store_hook.ts";
import { HookCommand } from "./hook_command.ts";
import { StoredHook } from "./stored_hook.ts";

/** The options of `ferryd` that are about these programs. */
export interface UploadHookValues {
  "on-stored"?: string | undefined;
  "before-store"?: string | undefined;
  "hook-jobs": number;
  "hook-timeout": number;
  "hook-attempts": number;
  "hook-queue"?: string | undefined;
  "hook-queue-limit": number;
}

/** The programs, and what was found out about them. */
export interface FoundHooks {
  readonly beforeStore: HookCommand | undefined;
  readonly onStored: HookCommand | undefined;
  /** Milliseconds after which a run is killed. */
  readonly timeout: number;
  /** The directory of the queue that the options name. It need not be there. */
  readonly queue: string | undefined;
}

/**
 * Looks the programs up.
 *
 * @param root the directory that clients write to; undefined if there is none on this machine
 * @throws {FerryError} `usage` if there is no such program, clients could replace it or see the queue, or the timeout is
 * 0; `denied` if it may not be run
 */
export function findHooks(values: UploadHookValues, root: string | undefined): FoundHooks {
  if (values["hook-timeout"] < 1) {
    throw new FerryError("usage", "a command needs some time: --hook-timeout is more than 0");
  }
  const timeout = Math.min(values["hook-timeout"], MAX_TIMEOUT_MS);
  const programs = Programs.over({ cwd: root ?? "/", root, purpose: "run commands for uploads" });
  const find = (option: "before-store" | "on-stored") => {
    const line = values[option];
    return line === undefined ? undefined : HookCommand.find(line, programs, { option, timeout });
  };
  const given = values["hook-queue"];
  const queue = given === undefined ? undefined : resolve(given);
  if (queue !== undefined && programs.inReach(queue)) {
    throw new FerryError(
      "usage",
      `--hook-queue ${
        quote(given!)
      } leads into the directory that is served, where clients could ` +
        "change the queue: name another one, or leave it away",
    );
  }
  return { beforeStore: find("before-store"), onStored: find("on-stored"), timeout, queue };
}

/** Where the programs run. */
export interface UploadHookPlace {
  /** The directory that clients write to; undefined if there is none on this machine. */
  readonly root: string | undefined;
  /** Whether an acknowledged file survives a loss of power. */
  readonly durable: boolean;
  /**
   * Makes the directory of the queue in the root; undefined for a bucket, with which the options name one.
   *
   * @throws {FerryError} if nothing can be written there
   */
  readonly ownDirectory: (() => string) | undefined;
  /** Why nothing can be written to the root; undefined if it can. */
  readonly unwritable: FerryError | undefined;
  /** The clock. */
  readonly clock: Clock;
}

/** The programs of one server. Disposal kills those that run. */
export class UploadHooks implements AsyncDisposable {
  /** Decides which uploads are let in; undefined if all are. */
  readonly beforeStore: BeforeStore | undefined;
  readonly #onStored: StoredHook | undefined;

  private constructor(beforeStore: BeforeStore | undefined, onStored: StoredHook | undefined) {
    this.beforeStore = beforeStore;
    this.#onStored = onStored;
  }

  /**
   * Looks the programs up, and goes on with the uploads that an earlier process has left in the queue.
   *
   * @throws {FerryError} as {@linkcode findHooks}; `busy` if another process has the queue; why it cannot be kept
   */
  static async open(values: UploadHookValues, place: UploadHookPlace): Promise<UploadHooks> {
    const { beforeStore, onStored: command, timeout, queue } = findHooks(values, place.root);
    const jobs = values["hook-jobs"];
    const before = beforeStore && beforeStoreHook(beforeStore, { jobs, timeout });
    if (!command) return new UploadHooks(before, undefined);
    try {
      const queuePlace = placeOfQueue(queue, place);
      // Nothing can be uploaded.
      if (!queuePlace) return new UploadHooks(before, undefined);
      const { durable, clock } = place;
      const stored = await StoredHook.open({
        ...{ command, place: queuePlace, durable, jobs, clock },
        attempts: values["hook-attempts"],
        limit: values["hook-queue-limit"],
      });
      return new UploadHooks(before, stored);
    } catch (error) {
      const shown = values["hook-queue"] ?? ".ferry/hooks";
      throw toFerryError(error).during(`keep the queue of --on-stored in ${quote(shown)}`);
    }
  }

  /** What has to be told of the uploads. */
  get observers(): Observer[] {
    return this.#onStored ? [this.#onStored] : [];
  }

  /** See {@linkcode StoredHook.stop}. */
  async stop(ms: number): Promise<void> {
    await this.#onStored?.stop(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#onStored?.[Symbol.asyncDispose]();
  }
}

/**
 * What makes the directory of the queue if it is not there, and returns its path.
 *
 * @returns undefined if it would be in the root, and nothing can be written there
 */
function placeOfQueue(
  given: string | undefined,
  { ownDirectory, unwritable }: UploadHookPlace,
): (() => string) | undefined {
  if (given === undefined) return unwritable ? undefined : ownDirectory;
  return () => {
    try {
      Deno.mkdirSync(given, { mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
    return given;
  };
}
