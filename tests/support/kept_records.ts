/**
 * Records in memory, as those that the servers of the same files share.
 *
 * @module
 */

import type { SharedRecords } from "../../server/auth/signing_key.ts";

/** Records in memory. */
export class KeptRecords implements SharedRecords {
  /** The values by `KIND/ID`. */
  readonly values = new Map<string, unknown>();
  /** Called before each access, with its name; may fail. */
  before: (access: string) => void | Promise<void> = () => {};

  async read(kind: string, id: string): Promise<unknown> {
    await this.before(`read ${kind}/${id}`);
    return this.values.get(`${kind}/${id}`);
  }

  async create(kind: string, id: string, value: unknown): Promise<boolean> {
    await this.before(`create ${kind}/${id}`);
    if (this.values.has(`${kind}/${id}`)) return false;
    this.values.set(`${kind}/${id}`, value);
    return true;
  }

  async write(kind: string, id: string, value: unknown): Promise<void> {
    await this.before(`write ${kind}/${id}`);
    this.values.set(`${kind}/${id}`, value);
  }

  async remove(kind: string, id: string): Promise<void> {
    await this.before(`remove ${kind}/${id}`);
    this.values.delete(`${kind}/${id}`);
  }

  async *list(kind: string): AsyncGenerator<string, void, void> {
    await this.before(`list ${kind}`);
    for (const key of [...this.values.keys()]) {
      if (key.startsWith(`${kind}/`)) yield key.slice(kind.length + 1);
    }
  }
}
