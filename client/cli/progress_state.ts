/**
 * The progress of several transfers: a state, and how events change it. Nothing here reads a clock: times are
 * milliseconds since any fixed moment, as of `performance.now()`.
 *
 * @module
 */

/** Measures the current speed. */
export interface Meter {
  /** The time of its start. */
  readonly started: number;
  /** The time at which bytes were last added. */
  readonly at: number;
  /** The bytes so far, weighted by age: older ones count less. */
  readonly weight: number;
}

/** A transfer that is running. */
export interface RunningTransfer {
  /** The name that is shown. */
  readonly filename: string;
  /** Bytes that are done, including those of an earlier attempt. */
  readonly bytes: number;
  /** Bytes in all; null for a stream. */
  readonly total: number | null;
  /** The bytes that an earlier attempt had transferred. */
  readonly from: number;
  /** Its speed. */
  readonly meter: Meter;
}

/** The progress of all transfers of a command. */
export interface TransfersState {
  /** Files that are done, and all files; null where their number is not known yet. */
  readonly files: { readonly done: number; readonly total: number | null };
  /** Bytes of the files that are done, and of all files; null where that is not known. */
  readonly bytes: { readonly done: number; readonly total: number | null };
  /** Bytes that were transferred, without unchanged files and those of earlier attempts. */
  readonly moved: number;
  /** The running transfers, in the order of their beginnings. */
  readonly running: readonly RunningTransfer[];
  /** The speed of all together. */
  readonly meter: Meter;
  /** The time of the last event. */
  readonly now: number;
}

/** A change of the progress. */
export type TransfersEvent =
  /** The numbers of all files and bytes are known now. */
  | { readonly type: "planned"; readonly files: number | null; readonly bytes: number | null }
  /** Files did not need to be transferred. */
  | { readonly type: "skipped"; readonly files: number; readonly bytes: number }
  /** A transfer began, after `bytes` that an earlier attempt had transferred. Default: 0. */
  | {
    readonly type: "began";
    readonly filename: string;
    readonly total: number | null;
    readonly bytes?: number;
  }
  /** A transfer has reached `bytes`, counted from the beginning of the file. */
  | { readonly type: "moved"; readonly filename: string; readonly bytes: number }
  /** A transfer ended. */
  | { readonly type: "ended"; readonly filename: string }
  /** Time passed. */
  | { readonly type: "tick" };

/**
 * The time after which the weight of a byte has decayed to 1/e, in milliseconds: the speed is that of the last few
 * seconds.
 */
const MEMORY_MS = 3000;

/** The state before anything has happened. */
export function noTransfers(now: number): TransfersState {
  return {
    files: { done: 0, total: null },
    bytes: { done: 0, total: null },
    moved: 0,
    running: [],
    meter: startMeter(now),
    now,
  };
}

/** The state after an event. Events of transfers that are not running change only the time. */
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
      // A transfer that starts again from an earlier position has not transferred anything by that.
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
      return {
        ...state,
        running: running.toSpliced(at, 1),
        files: { ...files, done: files.done + 1 },
        // All bytes count as done, even those that did not need to be transferred.
        bytes: { ...bytes, done: bytes.done + (transfer.total ?? transfer.bytes) },
      };
    }
    case "tick":
      return state;
  }
}

/** Bytes that are done, including those of running transfers. */
export function bytesDone({ bytes, running }: TransfersState): number {
  return running.reduce((sum, transfer) => sum + transfer.bytes, bytes.done);
}

/** Whether all planned files are done. */
export function isFinished({ files, running }: TransfersState): boolean {
  return files.total !== null && files.done >= files.total && running.length === 0;
}

/** Bytes per second in the last few seconds, or since the start where that is shorter. */
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
