/// <reference lib="dom" />
/**
 * The dialogs that ask for a name: of a new directory, and for an entry that is renamed.
 *
 * @module
 */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Entry } from "../door/door.ts";
import { lastOf } from "../door/place.ts";
import type { PageState } from "../state/page_state.ts";
import { texts } from "../text/language.ts";
import { Modal } from "./modal.tsx";

interface NameDialogProps {
  title: string;
  label: string;
  action: string;
  name: string;
  onClose: () => void;
  /** Does what the name is for, and returns why that failed. */
  onName: (name: string) => Promise<string | undefined>;
}

function NameDialog({ title, label, action, name, onClose, onName }: NameDialogProps): VNode {
  const field = useRef<HTMLInputElement>(null);
  const text = useSignal(name);
  const failure = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  useLayoutEffect(() => {
    // What most people change of a file's name ends before its extension.
    const dot = name.lastIndexOf(".");
    field.current!.setSelectionRange(0, dot > 0 ? dot : name.length);
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const chosen = text.value;
    if (chosen === name && name !== "") return onClose();
    if (isBusy.value) return;
    const isWrong = /^\.{0,2}$|\/|\0/.test(chosen) || chosen.trim() === "";
    isBusy.value = true;
    failure.value = isWrong ? texts.value.badName : await onName(chosen);
    isBusy.value = false;
    if (failure.value === undefined) onClose();
  };
  const t = texts.value;
  return (
    <Modal title={title} onClose={onClose}>
      <form class="form" onSubmit={submit}>
        <label>
          <span>{label}</span>
          <input
            ref={field}
            data-first
            data-test="name"
            type="text"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            aria-invalid={failure.value !== undefined}
            aria-describedby="name-says"
            value={text.value}
            onInput={(event) => text.value = event.currentTarget.value}
          />
        </label>
        <p id="name-says" class="form-failure" role="status">
          {failure.value && <span data-test="message">{failure.value}</span>}
        </p>
        <div class="form-buttons">
          <button type="button" class="button" onClick={onClose}>{t.cancel}</button>
          <button
            type="submit"
            class="button primary"
            data-test="name-submit"
            disabled={isBusy.value}
          >
            {action}
          </button>
        </div>
      </form>
    </Modal>
  );
}

/** The dialog for a new directory. */
export function NewFolderDialog(
  { state, onClose }: { state: PageState; onClose: () => void },
): VNode {
  const t = texts.value;
  return (
    <NameDialog
      title={t.newFolder}
      label={t.folderName}
      action={t.create}
      name=""
      onClose={onClose}
      onName={(name) => state.makeDirectory(name)}
    />
  );
}

/** The dialog that renames an entry. */
export function RenameDialog(
  { state, entry, onClose }: { state: PageState; entry: Entry; onClose: () => void },
): VNode {
  const t = texts.value;
  return (
    <NameDialog
      title={t.rename}
      label={t.newName}
      action={t.save}
      name={lastOf(entry.name)}
      onClose={onClose}
      onName={(name) => state.rename(entry, name)}
    />
  );
}
