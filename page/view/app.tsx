/// <reference lib="dom" />
/**
 * The whole page.
 *
 * @module
 */

import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { PageState } from "../state/page_state.ts";
import { texts } from "../text/language.ts";
import { ActionsDialog, DetailsDialog, KeysDialog, RemoveDialog } from "./entry_dialogs.tsx";
import { DropBox, Failure, Login, Nothing, SharedFile } from "./cards.tsx";
import { FileList } from "./file_list.tsx";
import { Header } from "./header.tsx";
import { Icon } from "../widgets/icons.tsx";
import { LoginForm } from "./login.tsx";
import { Modal } from "./modal.tsx";
import { NewFolderDialog, RenameDialog } from "./name_dialogs.tsx";
import { ShareDialog, SharesDialog } from "./share_dialogs.tsx";
import { type Parts, Toolbar } from "./toolbar.tsx";

/** The whole page. */
export function App({ state, uploads }: Parts): VNode {
  const isList = state.problem.value === undefined && !state.blind.value &&
    state.link.value?.type !== "file";
  return (
    <>
      {isList && state.shown.value.length > 0 && <a class="skip" href="#list">{texts.value.skip}
      </a>}
      <Header state={state} search={isList} />
      <div class={`progress${state.loading.value ? " on" : ""}`} aria-hidden="true" />
      <main>
        <Content state={state} uploads={uploads} />
      </main>
      <OpenDialog state={state} />
      <Messages state={state} />
    </>
  );
}

function Content({ state, uploads }: Parts): VNode {
  const { problem, session, link, entries } = state;
  if (problem.value) {
    const asksForLogin = problem.value.code === "auth_required" && session.value?.mayLogIn;
    return asksForLogin ? <Login state={state} /> : <Failure state={state} />;
  }
  if (state.blind.value) return <DropBox state={state} uploads={uploads} />;
  const [file] = link.value?.type === "file" ? entries.value ?? [] : [];
  if (file) return <SharedFile state={state} file={file} />;
  return (
    <>
      <Toolbar state={state} uploads={uploads} />
      {state.shown.value.length > 0
        ? <FileList state={state} />
        : <Nothing state={state} uploads={uploads} />}
    </>
  );
}

/** The dialog that is open. */
function OpenDialog({ state }: { state: PageState }): VNode | null {
  const dialog = state.dialog.value;
  const onClose = () => {
    // A later dialog may have taken its place.
    if (state.dialog.value === dialog) state.dialog.value = undefined;
  };
  switch (dialog?.kind) {
    case "log-in":
      return (
        <Modal title={texts.value.logIn} onClose={onClose}>
          <LoginForm state={state} />
        </Modal>
      );
    case "new-folder":
      return <NewFolderDialog state={state} onClose={onClose} />;
    case "rename":
      return <RenameDialog state={state} entry={dialog.entry} onClose={onClose} />;
    case "details":
      return <DetailsDialog state={state} entry={dialog.entry} onClose={onClose} />;
    case "actions":
      return <ActionsDialog state={state} entry={dialog.entry} onClose={onClose} />;
    case "remove":
      return <RemoveDialog state={state} entries={dialog.entries} onClose={onClose} />;
    case "share": {
      const { name, isDirectory } = dialog;
      return <ShareDialog state={state} name={name} isDirectory={isDirectory} onClose={onClose} />;
    }
    case "shares":
      return <SharesDialog state={state} onClose={onClose} />;
    case "keys":
      return <KeysDialog onClose={onClose} />;
    case undefined:
      return null;
  }
}

/** The message that is shown. Its frame stays, so that screen readers speak what comes into it. */
function Messages({ state }: { state: PageState }): VNode {
  const { message } = state;
  const frame = useRef<HTMLDivElement>(null);
  // What is shown last is above the others: a dialog that is open does not cover the message.
  useEffect(() => {
    frame.current!.hidePopover();
    if (message.value) frame.current!.showPopover();
  }, [message.value]);
  return (
    <div ref={frame} class="messages" popover="manual" role="status" aria-live="polite">
      {message.value && (
        <div class={`message${message.value.failed ? " failed" : ""}`} data-test="message">
          <Icon name={message.value.failed ? "alert" : "check"} />
          <span>{message.value.text}</span>
          <button
            type="button"
            class="icon-button"
            aria-label={texts.value.close}
            onClick={() =>
              message.value = undefined}
          >
            <Icon name="close" />
          </button>
        </div>
      )}
    </div>
  );
}
