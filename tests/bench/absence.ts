/**
 * A worker that looks at a path again and again, and measures for how long it leads nowhere.
 *
 * @module
 */

/** What is looked at, and memory of which the first number is not 0 any more when the worker is to end. */
export interface Look {
  /** The path. */
  path: string;
  /** The memory. */
  end: SharedArrayBuffer;
}

/** What was seen. */
export interface Absences {
  /** How long each absence took, from the last time that something was there to the next, in milliseconds. */
  took: number[];
  /** The typical time from one look to the next, in milliseconds. */
  step: number;
}

if ("postMessage" in globalThis) {
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent<Look>) => void;
    postMessage(seen: Absences | "ready"): void;
  };
  scope.onmessage = ({ data: { path, end } }) => {
    const told = new Int32Array(end);
    const seen: Absences = { took: [], step: 0 };
    const began = performance.now();
    let looks = 0;
    let last = began;
    let absent = false;
    scope.postMessage("ready");
    for (; Atomics.load(told, 0) === 0; looks++) {
      let there = true;
      try {
        Deno.lstatSync(path);
      } catch {
        there = false;
      }
      const now = performance.now();
      if (there && absent) seen.took.push(now - last);
      if (there) last = now;
      absent = !there;
    }
    seen.step = (performance.now() - began) / looks;
    scope.postMessage(seen);
  };
}
