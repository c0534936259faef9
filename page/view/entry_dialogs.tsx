/// <reference lib="dom" />
/**
 * The dialogs about entries: what they are, what can be done with them, whether they are to be deleted.
 *
 * @module
 */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Entry } from "../door/door.ts";
import { downloadPath } from "../door/download.ts";
import { nameIn } from "../door/place.ts";
import type { Dialog } from "../state/dialog.ts";
import type { PageState } from "../state/page_state.ts";
import { problemText } from "../state/problem_text.ts";
import { shownName, sizeText, timeText } from "../text/format.ts";
import { locale, texts } from "../text/language.ts";
import { Icon, type IconName } from "../widgets/icons.tsx";
import { open } from "./keyboard.ts";
import { Modal } from "./modal.tsx";

interface EntryProps {
  state: PageState;
  entry: Entry;
  onClose: () => void;
}

/** Asks whether entries are to be deleted. */
export function RemoveDialog(
  { state, entries, onClose }: {
    state: PageState;
    entries: readonly Entry[];
    onClose: () => void;
  },
): VNode {
  const t = texts.value;
  const hasDirectory = entries.some(({ type }) => type === "directory");
  const isOne = entries.length === 1;
  const title = isOne ? t.removeOne(shownName(entries[0]!.name)) : t.removeMany(entries.length);
  const hint = !hasDirectory ? t.removeHint : isOne ? t.removeFolderHint : t.removeFoldersHint;
  const remove = () => {
    onClose();
    state.remove(entries);
  };
  return (
    <Modal title={title} onClose={onClose}>
      <p>{hint}</p>
      <div class="form-buttons">
        <button type="button" class="button" data-first onClick={onClose}>{t.cancel}</button>
        <button type="button" class="button danger" data-test="confirm" onClick={remove}>
          {t.remove}
        </button>
      </div>
    </Modal>
  );
}

/** Shows what is known of an entry, the digest of its content too. */
export function DetailsDialog({ state, entry, onClose }: EntryProps): VNode {
  const t = texts.value;
  const { name, type, size, mtime } = entry;
  const md5 = useSignal<string | null | undefined>(entry.md5);
  useEffect(() => {
    if (type !== "file" || md5.value) return;
    state.door.md5(nameIn(state.directory.value, name)).then(
      (digest) => md5.value = digest ?? "—",
      (error) => md5.value = problemText(error, texts.value),
    );
  }, []);
  return (
    <Modal title={t.details} onClose={onClose}>
      <dl class="details">
        <dt>{t.name}</dt>
        <dd>{shownName(name)}</dd>
        {type !== "directory" && (
          <>
            <dt>{t.size}</dt>
            <dd>
              {sizeText(size, locale.value)}
              {size >= 1000 && (
                <span class="muted">
                  {` (${
                    new Intl.NumberFormat(locale.value, {
                      style: "unit",
                      unit: "byte",
                      unitDisplay: "long",
                    }).format(size)
                  })`}
                </span>
              )}
            </dd>
          </>
        )}
        <dt>{t.modified}</dt>
        <dd>{timeText(mtime, locale.value)}</dd>
        {type === "file" && (
          <>
            <dt>MD5</dt>
            <dd>
              <code data-test="md5">{md5.value ?? t.computing}</code>
              <p class="muted">{t.md5Hint}</p>
            </dd>
          </>
        )}
      </dl>
    </Modal>
  );
}

/** Shows what can be done with an entry, where there is no room for it in its row. */
export function ActionsDialog({ state, entry, onClose }: EntryProps): VNode {
  const t = texts.value;
  const { name, type } = entry;
  const isDirectory = type === "directory";
  const opening = (dialog: Dialog) => () => {
    onClose();
    state.dialog.value = dialog;
  };
  const full = nameIn(state.directory.value, name);
  const action = (icon: IconName, title: string, onClick: () => void, danger = false) => (
    <button type="button" class={danger ? "dangerous" : ""} onClick={onClick}>
      <Icon name={icon} />
      {title}
    </button>
  );
  return (
    <Modal title={shownName(name)} onClose={onClose}>
      <div class="actions">
        {(isDirectory || type === "file") && action(isDirectory ? "folder" : "file", t.open, () => {
          onClose();
          open(state, entry);
        })}
        <a href={downloadPath(state.place, entry)} download="" onClick={() => onClose()}>
          <Icon name="download" />
          {t.download}
        </a>
        {state.mayShare.value &&
          action("share", t.share, opening({ kind: "share", name: full, isDirectory }))}
        {state.mayRename.value && action("rename", t.rename, opening({ kind: "rename", entry }))}
        {action("details", t.details, opening({ kind: "details", entry }))}
        {state.mayRemove.value &&
          action("remove", t.remove, opening({ kind: "remove", entries: [entry] }), true)}
      </div>
    </Modal>
  );
}

/** Shows the keys of the page. */
export function KeysDialog({ onClose }: { onClose: () => void }): VNode {
  const t = texts.value;
  return (
    <Modal title={t.keys} onClose={onClose}>
      <dl class="keys">
        {t.keyList.map(([keys, what]) => (
          <div key={keys}>
            <dt>{keys!.split(" ").map((key) => <kbd key={key}>{key}</kbd>)}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
