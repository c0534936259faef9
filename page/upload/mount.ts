/// <reference lib="dom" />
/**
 * Uploads in the page: the panel, what is dropped on the page, and the dialogs that pick files.
 *
 * @module
 */

/** Options of {@linkcode mountUploads}. */
export interface UploadsOptions {
  /** What precedes each path: "" or, inside a share link, `/.ferry/s/LINK`. */
  readonly prefix: string;
  /** The URL of the worker that computes MD5s. */
  readonly workerUrl: string;
  /** The language of the texts. */
  readonly language: "en" | "zh";
  /** The directory that is shown now, without a slash at either end; "" is the root. */
  directory(): string;
  /** Files or directories have arrived. */
  onChange(): void;
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
  setLanguage(language: "en" | "zh"): void;
  /** Whether anything may be uploaded here. */
  setEnabled(mayUpload: boolean): void;
}

/** Appends the panel to an element, and takes what is dropped on the document. */
export function mountUploads(_parent: HTMLElement, _options: UploadsOptions): UploadsUi {
  return {
    pickFiles() {},
    pickFolder() {},
    resume() {},
    setLanguage() {},
    setEnabled() {},
  };
}
