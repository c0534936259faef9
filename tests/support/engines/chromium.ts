/**
 * Chromium without a window, which tests reach by the protocol of its developer tools.
 *
 * @module
 */

import { existsSync } from "node:fs";
import type { EngineKind } from "./engine.ts";

/**
 * The paths of Debian's Chromium. The one for machines without a screen opens a page with a third of the work: the other
 * one draws a window around each, even if nobody sees it.
 */
const PROGRAMS = ["/usr/lib/chromium/chromium-headless-shell", "/usr/bin/chromium"] as const;

/** The one that is here. */
const PROGRAM = PROGRAMS.find((path) => existsSync(path)) ?? PROGRAMS[0];

/** Arguments that let it do the same on every machine, whatever else that does, and ask no other host for anything. */
const ARGUMENTS: readonly string[] = [
  "--headless",
  // In a container, Chromium has no permission for its own sandbox.
  "--no-sandbox",
  "--disable-dev-shm-usage",
  // All such names lead to this machine, as those of an attacker may.
  "--host-resolver-rules=MAP *.example 127.0.0.1",
  "--no-first-run",
  "--disable-back-forward-cache",
  "--disable-background-networking",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-breakpad",
  "--disable-component-update",
  "--disable-extensions",
  "--disable-features=OptimizationHints,PaintHolding,Translate",
  "--disable-ipc-flooding-protection",
  "--disable-popup-blocking",
  "--disable-renderer-backgrounding",
  "--disable-sync",
  "--force-color-profile=srgb",
  "--hide-scrollbars",
  "--metrics-recording-only",
  "--mute-audio",
  "--password-store=basic",
];

/** A browser. Its tests have contexts of their own in it, each of which keeps nothing. */
export const CHROMIUM: EngineKind = {
  name: "chromium",
  needs: [PROGRAM],
  ports: 1,
  gateway: "browser",
  answering: 1,
  make({ dir, port }) {
    const own = [`--remote-debugging-port=${port}`, `--user-data-dir=${dir}/profile`];
    const command = [PROGRAM, ...ARGUMENTS, ...own, "--no-startup-window"];
    return Promise.resolve([{ name: "browser", command }]);
  },
};
