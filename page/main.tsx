/// <reference lib="dom" />
/**
 * The page that browsers show of a directory.
 *
 * @module
 */

import { effect } from "@preact/signals";
import { render } from "preact";
import { PageState } from "./state/page_state.ts";
import { shownName } from "./text/format.ts";
import { followLanguage, language, texts } from "./text/language.ts";
import { mountUploads } from "./upload/mount.ts";
import { App } from "./view/app.tsx";
import { listenForKeys } from "./view/keyboard.ts";
import { followTheme } from "./view/theme.ts";

/** The build puts the name of the worker's file in the place of this one. */
const WORKER = "md5_worker.js";

followLanguage();
followTheme();

const state = new PageState(location.pathname);

const panel = document.createElement("div");
document.body.append(panel);
const uploads = mountUploads(panel, {
  prefix: state.door.prefix,
  workerUrl: new URL(WORKER, import.meta.url).href,
  language: language.value,
  directory: () => state.directory.value,
  onChange: () => state.changed(),
  onRefused: () => state.tell(texts.value.mayNotUpload, true),
  onLoginNeeded: () => void state.askForLogin(),
});
state.onLogIn = () => uploads.resume();
effect(() => uploads.setLanguage(language.value));
effect(() => uploads.setEnabled(state.mayUpload.value));
effect(() => {
  const directory = state.directory.value;
  const last = directory.slice(directory.lastIndexOf("/") + 1);
  document.title = `${
    shownName(last || (state.link.value?.name ?? "")) || texts.value.title
  } – ferry`;
});

listenForKeys(state, uploads);
document.addEventListener("click", (event) => {
  const link = (event.target as Element).closest<HTMLAnchorElement>("a[download]");
  if (link && !event.defaultPrevented) void state.watchDownload(link.pathname + link.search);
});
addEventListener("popstate", () => void state.show(location.pathname));
addEventListener("online", () => void state.reload());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") void state.refresh();
});

render(<App state={state} uploads={uploads} />, document.querySelector("#app")!);
state.start();
