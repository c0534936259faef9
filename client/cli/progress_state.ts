/**
 * How far several transfers are: a state, and what each event makes of it. Nothing here looks at a clock;
 * times are milliseconds from any fixed moment, as `performance.now()` gives them.
 *
 * @module
 */

/** How fast bytes have been going lately. */
export interface Meter {
  /** When it was started. */
  readonly started: number;
  /** When it was fed last. */
  readonly at: number;
  /** The bytes of the past, each worth the less the longer ago it was. */
  readonly weight: number;
}

/** A transfer that is running. */
export interface RunningTransfer {
  /** The name that is shown. */
  readonly filename: string;
  /** Bytes that are done, those of an earlier attempt among them. */
  readonly bytes: number;
  /** Bytes in all; null for a stream. */
  readonly total: number | null;
  /** How many bytes were there when it began. */
  readonly from: number;
  /** How fast it goes. */
  readonly meter: Meter;
}

/** How far all transfers of a command are. */
export interface TransfersState {
  /** Files that are done, those among them that failed, and all; null where that is not known yet. */
  readonly files: { readonly done: number; readonly failed: number; readonly total: number | null };
  /** Bytes of files that are done, and of all; null where that is not known (yet). */
  readonly bytes: { readonly done: number; readonly total: number | null };
  /** Bytes that crossed, unlike those that need not or that an earlier attempt left. */
  readonly moved: number;
  /** What runs, in the order in which it began. */
  readonly running: readonly RunningTransfer[];
  /** How fast everything together goes. */
  readonly meter: Meter;
  /** The time of the last event. */
  readonly now: number;
}

/** Something that happened. */
export type TransfersEvent =
  /** More became known of what there is to do; both count from the start. */
  | { readonly type: "planned"; readonly files: number | null; readonly bytes: number | null }
  /** Files turned out to need no transfer. */
  | { readonly type: "skipped"; readonly files: number; readonly bytes: number }
  /** A transfer began; `bytes` is what an earlier attempt left. */
  | {
    readonly type: "began";
    readonly filename: string;
    readonly total: number | null;
    readonly bytes?: number;
  }
  /** A transfer went on; `bytes` counts from the first byte of the file. */
  | { readonly type: "moved"; readonly filename: string; readonly bytes: number }
  /** A transfer is over. */
  | { readonly type: "ended"; readonly filename: string; readonly failed?: boolean }
  /** Time went by. */
  | { readonly type: "tick" };

/** After so many milliseconds a byte counts for 1/e of what it did: a speed of the last few seconds. */
const MEMORY_MS = 3000;

/** The state before anything has happened. */
export function noTransfers(now: number): TransfersState {
  return {
    files: { done: 0, failed: 0, total: null },
    bytes: { done: 0, total: null },
    moved: 0,
    running: [],
    meter: startMeter(now),
    now,
  };
}

/** The state after an event; events of transfers that do not run change nothing but the time. */
export function reduceTransfers(
  before: TransfersState,
  event: TransfersEvent,
  now: number,
): TransfersState {
  const state = { ...before, now };
  const { files, bytes, running } = state;
  switch (event.type) {
    case "planned":
      return {
        ...state,
        files: { ...files, total: event.files },
        bytes: { ...bytes, total: event.bytes },
      };
    case "skipped":
      return {
        ...state,
        files: { ...files, done: files.done + event.files },
        bytes: { ...bytes, done: bytes.done + event.bytes },
      };
    case "began": {
      const { filename, total, bytes = 0 } = event;
      const transfer = { filename, bytes, total, from: bytes, meter: startMeter(now) };
      return { ...state, running: [...running, transfer] };
    }
    case "moved": {
      const at = indexOf(state, event.filename);
      const transfer = running[at];
      if (!transfer) return state;
      // One that begins anew has moved nothing by that.
      const moved = Math.max(0, event.bytes - transfer.bytes);
      const meter = feed(transfer.meter, moved, now);
      return {
        ...state,
        running: running.with(at, { ...transfer, bytes: event.bytes, meter }),
        meter: feed(state.meter, moved, now),
        moved: state.moved + moved,
      };
    }
    case "ended": {
      const at = indexOf(state, event.filename);
      const transfer = running[at];
      if (!transfer) return state;
      const failed = files.failed + (event.failed ? 1 : 0);
      return {
        ...state,
        running: running.toSpliced(at, 1),
        files: { ...files, done: files.done + 1, failed },
        // What is left of one that failed or was not needed will not come: it is done with, too.
        bytes: { ...bytes, done: bytes.done + (transfer.total ?? transfer.bytes) },
      };
    }
    case "tick":
      return state;
  }
}

/** Bytes that are done, those of running transfers among them. */
export function bytesDone({ bytes, running }: TransfersState): number {
  return running.reduce((sum, transfer) => sum + transfer.bytes, bytes.done);
}

/** Whether all that was planned is done. */
export function isFinished({ files, running }: TransfersState): boolean {
  return files.total !== null && files.done >= files.total && running.length === 0;
}

/** Bytes per second of the last few seconds; of the whole time where it is shorter. */
export function rateOf({ started, at, weight }: Meter, now: number): number {
  const seen = 1 - Math.exp(-(now - started) / MEMORY_MS);
  if (seen <= 0) return 0;
  return weight * fade(now - at) / seen / MEMORY_MS * 1000;
}

function startMeter(now: number): Meter {
  return { started: now, at: now, weight: 0 };
}

function feed({ started, at, weight }: Meter, bytes: number, now: number): Meter {
  return { started, at: now, weight: weight * fade(now - at) + bytes };
}

function fade(ms: number): number {
  return Math.exp(-ms / MEMORY_MS);
}

function indexOf({ running }: TransfersState, filename: string): number {
  return running.findIndex((transfer) => transfer.filename === filename);
}
