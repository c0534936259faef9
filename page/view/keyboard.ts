/// <reference lib="dom" />
/**
 * The keys of the page.
 *
 * @module
 */

import type { Entry } from "../door/door.ts";
import { filePath, nameIn } from "../door/place.ts";
import { chooseAll, extend, goTo, NOTHING, toggle } from "../listing/selection.ts";
import type { PageState } from "../state/page_state.ts";
import type { UploadsUi } from "../upload/mount.ts";

/** How far Page Up and Page Down go. */
const PAGE = 10;

/** Opens an entry: a directory here, a file beside the page. */
export function open(state: PageState, { name, type }: Entry): void {
  const full = nameIn(state.directory.value, name);
  if (type === "directory") state.goTo(full);
  else if (type === "file") {
    globalThis.open(filePath(state.door.prefix, full), "_blank", "noopener");
  }
}

/** Goes to the directory above. */
export function goUp(state: PageState): void {
  const here = state.directory.value;
  if (here !== "") state.goTo(here.slice(0, Math.max(0, here.lastIndexOf("/"))));
}

/** Which entry a key goes to, by index; undefined for other keys. */
function target(key: string, at: number, count: number): number | undefined {
  switch (key) {
    case "ArrowDown":
      return at + 1;
    case "ArrowUp":
      return at < 0 ? count - 1 : at - 1;
    case "PageDown":
      return at + PAGE;
    case "PageUp":
      return at - PAGE;
    case "Home":
      return 0;
    case "End":
      return count - 1;
  }
  return undefined;
}

/** Handles a key that was pressed in the list. */
export function pressInList(event: KeyboardEvent, state: PageState): void {
  // A link or a button in a row takes its own keys.
  const own = (event.target as Element).closest("a, button, input");
  if (own && ["Enter", " "].includes(event.key)) return;
  if (listKey(event, state)) {
    event.preventDefault();
    event.stopPropagation();
  }
}

function listKey(event: KeyboardEvent, state: PageState): boolean {
  const { selection, shown, dialog } = state;
  const items = shown.value;
  const at = items.findIndex(({ name }) => name === selection.value.at);
  const entry = items[at];
  const next = event.altKey ? undefined : target(event.key, at, items.length);
  if (next !== undefined && items.length > 0) {
    const { name } = items[Math.min(items.length - 1, Math.max(0, next))]!;
    const names = items.map(({ name }) => name);
    selection.value = event.shiftKey
      ? extend(selection.value, names, name)
      : goTo(selection.value, name);
    return true;
  }
  if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
    selection.value = chooseAll(selection.value, items.map(({ name }) => name));
    return true;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const chosen = state.chosen.value;
  switch (event.key) {
    case "Enter":
      if (entry) open(state, entry);
      return true;
    case " ":
      if (entry) selection.value = toggle(selection.value, entry.name);
      return true;
    case "Escape":
      selection.value = { ...NOTHING, at: selection.value.at };
      return true;
    case "Backspace":
      goUp(state);
      return true;
    case "Delete": {
      const entries = chosen.length > 0 ? chosen : entry ? [entry] : [];
      if (entries.length > 0 && state.mayRemove.value) dialog.value = { kind: "remove", entries };
      return true;
    }
    case "F2":
      if (entry && state.mayRename.value) dialog.value = { kind: "rename", entry };
      return true;
  }
  return false;
}

/** Handles the keys that work everywhere but in a field and in a dialog. */
export function listenForKeys(state: PageState, uploads: UploadsUi): void {
  document.addEventListener("keydown", (event) => {
    if (state.dialog.value || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target as Element;
    if (target.closest("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]")) {
      return;
    }
    const list = document.querySelector<HTMLElement>("#list");
    const { dialog, mayUpload, blind } = state;
    const may = mayUpload.value;
    if (event.key === "/") document.querySelector<HTMLElement>("#search")?.focus();
    else if (event.key === "?") dialog.value = { kind: "keys" };
    else if (event.key === "n" && may && !blind.value) dialog.value = { kind: "new-folder" };
    else if (event.key === "u" && may) uploads.pickFiles();
    else if (event.key === "Backspace" && target === document.body) goUp(state);
    else if (list && target === document.body && event.key.startsWith("Arrow")) {
      list.focus();
      pressInList(event, state);
    } else return;
    event.preventDefault();
  });
}
