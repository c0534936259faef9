/**
 * Takes files and directories away on a server: deletes them, or moves them to where backups are kept.
 *
 * @module
 */

import { type FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { parentName } from "../../lib/core/remote_name.ts";
import type { Connection } from "../net/connection.ts";
import { type Removal, removeEach } from "../net/removals.ts";
import { nextNumber, numbered } from "./backup_names.ts";
import { type Connections, onEach } from "./jobs.ts";
import type { Deletion, Mirroring } from "./mirroring.ts";
import { inside, lastPart } from "./names.ts";
import type { UploadItem, UploadItems } from "./upload_items.ts";

/** How often a backup gets another number because others take the name meanwhile. */
const RENUMBERINGS = 20;

/** One step: something that is deleted, or kept under a second name. */
interface Step extends Removal {
  /** Its name relative to the target. */
  readonly name: string;
  /** Whether it was sent before on a connection that was lost, so that it may have taken effect. */
  sent: boolean;
  /** How often its backup got another number. */
  renumbered: number;
  /** What is to be deleted; undefined for a file that is about to be replaced. */
  readonly deletion?: Deletion | undefined;
}

/** Options of {@linkcode RemoteRemoval}. */
export interface RemoteRemovalOptions {
  /** The directory for backups on the server. Default: nothing is kept. */
  backup: string | undefined;
  /** Reports what is done. */
  mirroring: Mirroring;
  /** Whether something has a name at the source now, after all. */
  source: { isThere(name: string): boolean };
}

/** Takes away what a mirror deletes. */
export class RemoteRemoval {
  readonly #target: string;
  readonly #options: RemoteRemovalOptions;
  /** The steps that are left. */
  readonly #left = new Set<Step>();
  /** The names of files that are kept under a second name already. */
  readonly #kept = new Set<string>();

  /** Removals in the directory `target` of the server. */
  constructor(target: string, options: RemoteRemovalOptions) {
    this.#target = target;
    this.#options = options;
  }

  /** Adds what is to be deleted. */
  add(deletions: readonly Deletion[]): void {
    for (const deletion of deletions) {
      const { name, type } = deletion.top;
      this.#left.add({ ...this.#step(name), directory: type === "directory", deletion });
    }
  }

  #step(name: string): Step {
    const { backup } = this.#options;
    const to = backup === undefined ? undefined : inside(backup, name);
    const filename = inside(this.#target, name);
    return { name, filename, directory: false, to, sent: false, renumbered: 0 };
  }

  /** Deletes what is left; where a connection is lost, the rest is left for the next one. */
  async run(connections: Connections): Promise<void> {
    const { mirroring } = this.#options;
    const incomplete: Deletion[] = [];
    await this.#takeAway(connections, this.#left, (step, failure) => {
      this.#left.delete(step);
      const { all, top } = step.deletion!;
      // Where the reply to an earlier try was lost, that has deleted it.
      const isGone = failure?.code === "not_found";
      if (isGone && !step.sent) return;
      if (!failure || isGone) {
        for (const each of all) this.#tell(each, step);
        return;
      }
      const { filename } = step;
      mirroring.onError(filename, failure.during(`delete ${quote(filename)}`));
      if (top.type === "directory" && step.to === undefined) incomplete.push(step.deletion!);
    });
    for (const deletion of incomplete) await this.#tellGone(connections[0], deletion);
  }

  #tell(each: Deletion["top"], { name, to }: Step): void {
    const backup = to === undefined ? undefined : to + each.name.slice(name.length);
    this.#options.mirroring.tell(each, inside(this.#target, each.name), backup);
  }

  /** Reports what is gone of a directory that could not be deleted as a whole. */
  async #tellGone(connection: Connection, { top, all }: Deletion): Promise<void> {
    const left = new Set<string>();
    const directory = inside(this.#target, top.name);
    try {
      for await (const listed of connection.list(directory, { recursive: true, omitted: true })) {
        for (const { filename } of listed) left.add(filename);
      }
    } catch (error) {
      // Others have deleted the rest of it meanwhile.
      if (toFerryError(error).code !== "not_found") throw error;
      left.clear();
    }
    for (const each of all) {
      const filename = inside(this.#target, each.name);
      if (each !== top && !left.has(filename)) this.#options.mirroring.tell(each, filename);
    }
  }

  /**
   * Keeps files that are about to be replaced under a second name: there is no moment in which the first one is missing.
   * A file that cannot be kept is not replaced.
   */
  async keepReplaced(
    connections: Connections,
    items: UploadItems,
    failed: (item: UploadItem, error: unknown) => void,
  ): Promise<void> {
    const byName = new Map<string, UploadItem>();
    const steps = new Set<Step>();
    for (const item of [...items.left.values(), ...items.later.values()]) {
      if (item.type === "directory" || this.#kept.has(item.name)) continue;
      byName.set(item.name, item);
      steps.add({ ...this.#step(item.name), keep: true });
    }
    await this.#takeAway(connections, steps, ({ name }, failure) => {
      if (!failure || failure.code === "not_found") this.#kept.add(name);
      else failed(byName.get(name)!, failure);
    });
  }

  /** Makes steps. Where the name of a backup is taken, it gets a number, and the step is made again. */
  async #takeAway(
    connections: Connections,
    steps: Iterable<Step>,
    settle: (step: Step, failure: FerryError | undefined) => void,
  ): Promise<void> {
    const { source } = this.#options;
    for (let pending = [...steps]; pending.length > 0;) {
      const taken: Step[] = [];
      /** Sent, and not answered yet: a lost connection leaves open whether they have taken effect. */
      const open = new Set<Step>();
      let at = 0;
      const next = () => {
        for (let step; (step = pending[at++]);) {
          const top = step.deletion?.top;
          const isBack = top && !top.excluded && !top.obstacle && source.isThere(step.name);
          if (!isBack) {
            open.add(step);
            return step;
          }
          this.#left.delete(step);
        }
        return undefined;
      };
      const settled = (step: Step, failure?: FerryError) => {
        open.delete(step);
        const isTaken = failure?.code === "exists" && step.to !== undefined;
        if (isTaken && step.renumbered < RENUMBERINGS) taken.push(step);
        else settle(step, failure);
      };
      try {
        const within = this.#target;
        await onEach(
          connections,
          (connection) => removeEach(connection, { within, next, settle: settled }),
        );
      } finally {
        for (const step of open) step.sent = true;
      }
      await this.#renumber(connections[0], taken);
      pending = taken;
    }
  }

  /** Gives backups whose names are taken the next number. */
  async #renumber(connection: Connection, steps: readonly Step[]): Promise<void> {
    const listed = new Map<string, string[]>();
    for (const step of steps) {
      const plain = inside(this.#options.backup!, step.name);
      const directory = parentName(plain);
      const names = listed.get(directory) ?? await namesIn(connection, directory);
      listed.set(directory, names);
      step.to = numbered(plain, nextNumber(lastPart(plain), names));
      step.renumbered++;
      names.push(lastPart(step.to));
    }
  }
}

/** The names of all that is in a directory of the server. */
async function namesIn(connection: Connection, directory: string): Promise<string[]> {
  const names: string[] = [];
  for await (const listed of connection.list(directory, { recursive: false, omitted: true })) {
    for (const { filename } of listed) names.push(lastPart(filename));
  }
  return names;
}
