/// <reference lib="dom" />
/**
 * Uploads in the page: the panel, what is dropped on the page, and the dialogs that pick files.
 *
 * @module
 */

import { h, render } from "preact";
import { atMostEach } from "./at_most_each.ts";
import { chosen, collect, type Collected, entriesOf } from "./collect.ts";
import { Digests } from "./digests.ts";
import { sendByXhr } from "./exchange.ts";
import { Panel } from "./panel.tsx";
import { Remembered, type Unfinished } from "./remembered.ts";
import { storageOf } from "../text/kept.ts";
import { Tab } from "./tab.ts";
import type { Language } from "./texts.ts";
import { Uploads } from "./uploads.ts";

/** Options of {@linkcode mountUploads}. */
export interface UploadsOptions {
  /** What precedes each path: "" or, inside a share link, `/.ferry/s/LINK`. */
  readonly prefix: string;
  /** The URL of the worker that computes MD5s. */
  readonly workerUrl: string;
  /** The language of the texts. */
  readonly language: Language;
  /** The directory that is shown now, without a slash at either end; "" is the root. */
  directory(): string;
  /**
   * Files or directories have arrived. Called once a second at most, and less often where it takes long: a list of ten
   * thousand files is not to be read all the time.
   */
  onChange(): Promise<void>;
  /** Something was dropped where nothing may be uploaded. */
  onRefused(): void;
  /** The server asks for a login; transfers wait until {@linkcode UploadsUi.resume}. */
  onLoginNeeded(): void;
}

/** Uploads that are mounted. */
export interface UploadsUi {
  /** Opens the dialog that picks files. */
  pickFiles(): void;
  /** Opens the dialog that picks a folder. */
  pickFolder(): void;
  /** Goes on after a login. */
  resume(): void;
  /** Changes the language. */
  setLanguage(language: Language): void;
  /** Whether anything may be uploaded here. */
  setEnabled(mayUpload: boolean): void;
}

/** How often the panel is drawn at most, in milliseconds. */
const DRAW_MS = 100;

/** How often it is reported at most that something has arrived, in milliseconds. */
const CHANGE_MS = 1000;

/** Digests of so many files are computed at the same time at most. */
const WORKERS = 2;

/** How often unfinished uploads are saved, so that other tabs see that this one is open; in milliseconds. */
const ALIVE_MS = 5000;

/** Appends the panel to an element, and takes what is dropped on the document. */
export function mountUploads(parent: HTMLElement, options: UploadsOptions): UploadsUi {
  let { language } = options;
  let isEnabled = true;
  let dragged: string | undefined;
  let looking = 0;
  let tick = 0;

  const draw = atMostEach(DRAW_MS, () => {
    const isLooking = looking > 0;
    tick++;
    render(h(Panel, { uploads, tick, language, dragged, isLooking, onChoose }), parent);
  });
  const tab = new Tab(storageOf("sessionStorage"));
  const start = () => new Worker(options.workerUrl, { type: "module" });
  const uploads = new Uploads({
    send: sendByXhr,
    digests: new Digests(start, Math.min(WORKERS, navigator.hardwareConcurrency || 1)),
    remembered: new Remembered(storageOf("localStorage"), tab.id),
    prefix: options.prefix,
    changed: draw,
    stored: atMostEach(CHANGE_MS, () => options.onChange()),
    loginNeeded: () => options.onLoginNeeded(),
  });

  async function add(found: Promise<Collected> | Collected, directory: string): Promise<void> {
    looking++;
    draw();
    try {
      uploads.add(await found, directory);
    } finally {
      looking--;
      draw();
    }
  }

  function pick(isFolder: boolean, directory: string): void {
    const input = document.createElement("input");
    input.type = "file";
    input.multiple = !isFolder;
    input.webkitdirectory = isFolder;
    input.hidden = true;
    input.dataset.test = "uploads-input";
    input.addEventListener("change", () => {
      input.remove();
      add(chosen([...input.files ?? []]), directory);
    });
    input.addEventListener("cancel", () => input.remove());
    // Some browsers forget an input that is not in the document.
    parent.after(input);
    input.click();
  }

  function onChoose({ hasDirectory, directory }: Unfinished): void {
    pick(hasDirectory, directory);
  }

  takeDrops({
    isEnabled: () => isEnabled,
    onDrag(isOver) {
      dragged = isOver ? options.directory() : undefined;
      draw();
    },
    onDrop: (entries) => add(collect(entries), options.directory()),
    onRefused: () => options.onRefused(),
  });

  addEventListener("online", () => uploads.hurry());
  addEventListener("pageshow", () => {
    tab.stay();
    uploads.hurry();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") uploads.hurry();
  });
  addEventListener("pagehide", () => {
    uploads.save();
    tab.leave();
  });
  addEventListener("beforeunload", (event) => {
    if (uploads.summary.isActive) event.preventDefault();
  });
  setInterval(() => uploads.save(), ALIVE_MS);
  draw();

  return {
    pickFiles: () => pick(false, options.directory()),
    pickFolder: () => pick(true, options.directory()),
    resume: () => uploads.resume(),
    setLanguage(chosen) {
      language = chosen;
      draw();
    },
    setEnabled(mayUpload) {
      isEnabled = mayUpload;
    },
  };
}

interface Drops {
  isEnabled(): boolean;
  /** Something is dragged over the page, or not any more. */
  onDrag(isOver: boolean): void;
  onDrop(entries: readonly FileSystemEntry[]): void;
  /** Something was dropped while nothing is taken. */
  onRefused(): void;
}

/** Takes files that are dropped anywhere on the page. */
function takeDrops({ isEnabled, onDrag, onDrop, onRefused }: Drops): void {
  // Each element that is entered or left reports it.
  let depth = 0;
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragenter", (event) => {
    if (hasFiles(event) && isEnabled() && depth++ === 0) onDrag(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFiles(event) && depth > 0 && --depth === 0) onDrag(false);
  });
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    // Otherwise the browser would leave the page and open the file.
    event.preventDefault();
    // Where nothing is taken, too, the page is dropped on, and says so.
    event.dataTransfer!.dropEffect = "copy";
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    onDrag(false);
    if (isEnabled()) onDrop(entriesOf(event.dataTransfer!.items));
    else onRefused();
  });
}
