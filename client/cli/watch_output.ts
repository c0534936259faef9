/**
 * What `ferry put --watch` prints besides the files.
 *
 * @module
 */

import { formatSize } from "../../lib/core/quantities.ts";
import { quote } from "../../lib/core/errors.ts";
import type { WatchTreeOptions } from "../transfer/options.ts";
import { type Output, roundSeconds } from "./output.ts";

/** Handlers that report the passes over a directory. */
export function watchReports(
  output: Output,
  path: string,
): Pick<WatchTreeOptions, "onPass" | "onWatching" | "onWaiting"> {
  let isWaiting = false;
  return {
    onPass({ first, files, deleted, failed, bytes, seconds }) {
      output.progress.endMany();
      // The end of a wait is told also where nothing has changed meanwhile.
      if (!first && !isWaiting && files + deleted + failed === 0) return;
      isWaiting = false;
      const counts = { files, deleted, failed, bytes };
      output.event({ event: "pass", op: "put", ...counts, seconds: roundSeconds(seconds) });
      const parts = [`${files} transferred (${formatSize(bytes)})`];
      if (deleted > 0) parts.push(`${deleted} deleted`);
      if (failed > 0) parts.push(`${failed} failed`);
      output.notice(parts.join(", "));
    },
    onWatching(unwatched) {
      output.event({ event: "watching", op: "put", path, reported: unwatched === undefined });
      const how = unwatched ? `: changes are not reported here (${unwatched.reason})` : "";
      output.notice(`watching ${quote(path)}${how}`);
    },
    onWaiting({ code, message }) {
      isWaiting = true;
      output.progress.endMany();
      output.event({ event: "waiting", op: "put", code, message });
      output.notice(`${message}; trying again until it works`);
    },
  };
}
