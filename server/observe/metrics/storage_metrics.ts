/**
 * Metrics of what is stored, and of whether that can go on.
 *
 * @module
 */

import { type Families, type Gauge, setOrRemove } from "./families.ts";
import type { Readiness } from "./readiness.ts";

/** Adds the metrics of a storage. They have no values where the storage does not tell. */
export function addStorageMetrics(families: Families, readiness: Readiness): void {
  const gauge = (name: string, help: string): Gauge => families.gauge({ name, help });
  const ready = gauge("ferry_ready", "1 if /readyz says that files can be served and stored.");
  const size = gauge("ferry_disk_size_bytes", "Size of the file system of the root.");
  const free = gauge("ferry_disk_free_bytes", "What uploads may still use of it.");
  const limit = gauge("ferry_quota_bytes", "The quota; no value without --quota.");
  const used = gauge("ferry_quota_used_bytes", "What counts for the quota.");
  const partials = gauge("ferry_partial_uploads", "Partial uploads, those under way among them.");
  const partialBytes = gauge("ferry_partial_upload_bytes", "Their bytes.");
  const staged = gauge("ferry_staged_directories", "Directories that will be published as one.");
  const stagedBytes = gauge(
    "ferry_staged_bytes",
    "The bytes in them, without those that an earlier process has left.",
  );
  families.beforeText(async () => {
    const obstacle = await readiness.obstacle();
    const { usage } = await readiness.look();
    ready.set(obstacle === undefined ? 1 : 0);
    for (
      const [metric, value] of [
        [size, usage?.disk?.size],
        [free, usage?.disk?.free],
        [limit, usage?.quota?.limit],
        [used, usage?.quota?.used],
        [partials, usage?.partialUploads?.count],
        [partialBytes, usage?.partialUploads?.bytes],
        [staged, usage?.stagedTrees?.count],
        [stagedBytes, usage?.stagedTrees?.bytes],
      ] as const
    ) {
      setOrRemove(metric, value);
    }
  });
}
