/**
 * Draws the progress of transfers on standard error, over what it drew before.
 *
 * @module
 */

import type { Progress, Transferred } from "../transfer/options.ts";
import type { renderProgress, renderTransfers } from "./progress.ts";
import {
  noTransfers,
  reduceTransfers,
  type TransfersEvent,
  type TransfersState,
} from "./progress_state.ts";
import { write } from "./stdio.ts";

/** The shortest time between two redraws, in milliseconds. */
const REDRAW_MS = 100;

/** The most lines that are drawn. */
const MAX_LINES = 8;

/** What `progress.ts` exports. It is loaded only where progress is shown. */
export interface ProgressRenderer {
  /** The line of a single transfer. */
  renderProgress: typeof renderProgress;
  /** The lines of several transfers. */
  renderTransfers: typeof renderTransfers;
}

/** The progress of one transfer, or of many at the same time. */
export class ProgressDisplay {
  readonly #renderer: ProgressRenderer | undefined;
  /** How many lines of progress are on the terminal now. */
  #drawn = 0;
  /** The state of all transfers; undefined while there is only one. */
  #many: TransfersState | undefined;
  /** The only transfer, the time when it began, and the bytes that were transferred before that. */
  #single: { filename: string; started: number; from: number } | undefined;
  #lastDraw = -Infinity;

  /** A display that uses the renderer. Without one, nothing is ever drawn. */
  constructor(renderer?: ProgressRenderer) {
    this.#renderer = renderer;
  }

  /** Shows the progress of a transfer that began at `started` (on the clock of `performance.now()`). */
  show({ filename, bytes, total, resumedFrom = 0 }: Progress, started: number): void {
    const renderer = this.#renderer;
    if (!renderer) return;
    if (this.#many) {
      const known = this.#many.running.some((transfer) => transfer.filename === filename);
      if (!known) this.#note({ type: "began", filename, total, bytes: resumedFrom });
      this.#note({ type: "moved", filename, bytes });
      return;
    }
    const now = performance.now();
    // When a transfer is retried, the bytes of the first attempt still count for its speed.
    const same = this.#single?.filename === filename && this.#single.started === started;
    if (!same) this.#single = { filename, started, from: resumedFrom };
    const { from } = this.#single!;
    const state = { filename, bytes, total, from, seconds: (now - started) / 1000 };
    this.#draw(now, (columns) => [renderer.renderProgress(state, columns)]);
  }

  /** From now on, until {@linkcode endMany}, the progress of many files is shown. */
  startMany(): void {
    this.#many = noTransfers(performance.now());
  }

  /** From now on, the progress of a single file is shown. */
  endMany(): void {
    this.#many = undefined;
  }

  /** How many files and bytes are to be transferred in all. */
  plan(files: number, bytes: number): void {
    this.#note({ type: "planned", files, bytes });
  }

  /** One of many files was transferred, or did not need to be. */
  ended({ filename, size, skipped }: Transferred): void {
    if (!this.#many || !this.#renderer) return;
    if (skipped) return this.#note({ type: "skipped", files: 1, bytes: size });
    if (!this.#many.running.some((transfer) => transfer.filename === filename)) {
      // The transfer of a small file reports no progress before its end.
      this.#note({ type: "began", filename, total: size });
      this.#note({ type: "moved", filename, bytes: size });
    }
    this.#note({ type: "ended", filename });
  }

  /** Erases what is drawn, to make room for other output. */
  erase(): void {
    if (this.#drawn > 0) write(Deno.stderr, this.#erasure());
    this.#drawn = 0;
  }

  #note(event: TransfersEvent): void {
    const renderer = this.#renderer;
    if (!this.#many || !renderer) return;
    const now = performance.now();
    this.#many = reduceTransfers(this.#many, event, now);
    this.#draw(now, (columns, rows) => {
      const state = reduceTransfers(this.#many!, { type: "tick" }, now);
      return renderer.renderTransfers(state, { columns, rows, color: !Deno.noColor });
    });
  }

  #draw(now: number, render: (columns: number, rows: number) => string[]): void {
    if (now - this.#lastDraw < REDRAW_MS) return;
    this.#lastDraw = now;
    const { columns, rows } = consoleSize();
    const lines = render(columns, Math.max(1, Math.min(MAX_LINES, rows - 1)));
    write(Deno.stderr, this.#erasure() + lines.join("\n"));
    this.#drawn = lines.length;
  }

  /** The control sequences that erase the progress lines. */
  #erasure(): string {
    return this.#drawn === 0 ? "" : `\r${"\x1b[A".repeat(this.#drawn - 1)}\x1b[J`;
  }
}

function consoleSize(): { columns: number; rows: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80, rows: 24 };
  }
}
