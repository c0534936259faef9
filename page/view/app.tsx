/// <reference lib="dom" />
/**
 * The whole page.
 *
 * @module
 */

import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { archivePath, downloadOf } from "../door/download.ts";
import { directoryPath } from "../door/place.ts";
import { NOTHING } from "../listing/selection.ts";
import type { PageState } from "../state/page_state.ts";
import { problemText } from "../state/problem_text.ts";
import { timeText } from "../text/format.ts";
import { locale, texts } from "../text/language.ts";
import type { UploadsUi } from "../upload/mount.ts";
import { ActionsDialog, DetailsDialog, KeysDialog, RemoveDialog } from "./entry_dialogs.tsx";
import { FileList } from "./file_list.tsx";
import { Crumbs, Header } from "./header.tsx";
import { Icon } from "../widgets/icons.tsx";
import { LoginForm } from "./login.tsx";
import { Modal } from "./modal.tsx";
import { NewFolderDialog, RenameDialog } from "./name_dialogs.tsx";
import { ShareDialog, SharesDialog } from "./share_dialogs.tsx";

/** What the parts of the page need. */
interface Parts {
  state: PageState;
  uploads: UploadsUi;
}

/** The whole page. */
export function App({ state, uploads }: Parts): VNode {
  const isList = state.problem.value === undefined && !state.blind.value;
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
  const { problem, session } = state;
  if (problem.value) {
    const asksForLogin = problem.value.code === "auth_required" && session.value?.mayLogIn;
    return asksForLogin ? <Login state={state} /> : <Failure state={state} />;
  }
  if (state.blind.value) return <DropBox state={state} uploads={uploads} />;
  return (
    <>
      <Toolbar state={state} uploads={uploads} />
      {state.shown.value.length > 0
        ? <FileList state={state} />
        : <Nothing state={state} uploads={uploads} />}
    </>
  );
}

/** Where one is, and what can be done here or with what is chosen. */
function Toolbar({ state, uploads }: Parts): VNode {
  const t = texts.value;
  const { chosen, entries, link } = state;
  return (
    <div class="toolbar">
      <div class="where">
        <Crumbs state={state} />
        <p class="muted" role="status">{summary(state)}</p>
      </div>
      {chosen.value.length > 0 ? <ChosenTools state={state} /> : (
        <div class="tools">
          {link.value === undefined && (
            <button
              type="button"
              class="icon-button"
              title={t.reload}
              aria-label={t.reload}
              onClick={() => state.reload()}
            >
              <Icon name="reload" />
            </button>
          )}
          {entries.value && entries.value.length > 0 && (
            <a
              class={`button${link.value ? " primary" : ""}`}
              data-test="download-all"
              href={archivePath(state.place)}
              download=""
              title={t.downloadAll}
            >
              <Icon name="download" />
              <span class="wide">{t.downloadAll}</span>
            </a>
          )}
          {state.mayUpload.value && <UploadTools state={state} uploads={uploads} />}
        </div>
      )}
    </div>
  );
}

function UploadTools({ state, uploads }: Parts): VNode {
  const t = texts.value;
  return (
    <>
      {!state.blind.value && (
        <button
          type="button"
          class="button"
          data-test="new-folder"
          title={t.newFolder}
          onClick={() => state.dialog.value = { kind: "new-folder" }}
        >
          <Icon name="newFolder" />
          <span class="wide">{t.newFolder}</span>
        </button>
      )}
      <button
        type="button"
        class="button"
        data-test="upload-folder"
        title={t.uploadFolder}
        onClick={() => uploads.pickFolder()}
      >
        <Icon name="uploadFolder" />
        <span class="wide">{t.uploadFolder}</span>
      </button>
      <button
        type="button"
        class="button primary"
        data-test="upload-files"
        title={t.uploadFiles}
        onClick={() => uploads.pickFiles()}
      >
        <Icon name="upload" />
        <span>{t.uploadFiles}</span>
      </button>
    </>
  );
}

/** What can be done with the entries that are chosen. */
function ChosenTools({ state }: { state: PageState }): VNode {
  const t = texts.value;
  const { chosen, dialog, entries, selection } = state;
  const list = chosen.value;
  const href = downloadOf(state.place, list, entries.value?.length ?? 0);
  return (
    <div class="tools chosen-tools">
      <span class="chosen-count" role="status">{t.chosen(list.length)}</span>
      <a
        class="button"
        data-test="download-chosen"
        download=""
        href={href ?? "#"}
        title={t.download}
        onClick={(event) => {
          if (href !== undefined) return;
          event.preventDefault();
          state.tell(t.tooManyForOne, true);
        }}
      >
        <Icon name="download" />
        <span class="wide">{t.download}</span>
      </a>
      {list.length === 1 && (
        <button
          type="button"
          class="button"
          title={t.details}
          onClick={() => dialog.value = { kind: "details", entry: list[0]! }}
        >
          <Icon name="details" />
          <span class="wide">{t.details}</span>
        </button>
      )}
      {state.mayRemove.value && (
        <button
          type="button"
          class="button dangerous"
          data-test="delete-chosen"
          title={t.remove}
          onClick={() => dialog.value = { kind: "remove", entries: list }}
        >
          <Icon name="remove" />
          <span class="wide">{t.remove}</span>
        </button>
      )}
      <button
        type="button"
        class="icon-button"
        title={t.clearChoice}
        aria-label={t.clearChoice}
        onClick={() => selection.value = { ...NOTHING, at: selection.value.at }}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}

/** What the list has, in a few words; and when the link ends by which the page was opened. */
function summary({ entries, shown, query, link }: PageState): string {
  const t = texts.value;
  const all = entries.value;
  if (!all) return t.loading;
  if (query.value.trim() !== "") return t.foundOf(shown.value.length, all.length);
  const directories = all.filter(({ type }) => type === "directory").length;
  const counted = t.counted(directories, all.length - directories);
  const { expires = null } = link.value ?? {};
  return expires === null ? counted : `${counted} · ${t.endsOn(timeText(expires, locale.value))}`;
}

/** What is shown instead of a list without entries. */
function Nothing({ state, uploads }: Parts): VNode {
  const t = texts.value;
  const { entries, query, mayUpload } = state;
  if (!entries.value) return <div class="nothing" aria-busy="true" />;
  const isSearch = query.value.trim() !== "";
  const hint = isSearch ? t.nothingFoundHint : mayUpload.value ? t.emptyHint : t.emptyReadOnly;
  return (
    <div class="nothing">
      <span class="emblem">
        <Icon name={isSearch ? "search" : "folder"} />
      </span>
      <h2>{isSearch ? t.nothingFound : t.empty}</h2>
      <p class="muted">{hint}</p>
      {isSearch
        ? (
          <button type="button" class="button" onClick={() => state.search("")}>
            {t.clearSearch}
          </button>
        )
        : mayUpload.value && (
          <button
            type="button"
            class="button"
            onClick={() => uploads.pickFiles()}
          >
            <Icon name="upload" />
            {t.uploadFiles}
          </button>
        )}
    </div>
  );
}

/** The page where files may only be sent: nothing is seen of what is there. */
function DropBox({ state, uploads }: Parts): VNode {
  const t = texts.value;
  const here = state.directory.value;
  const { name, expires } = state.link.value ??
    { name: here.slice(here.lastIndexOf("/") + 1), expires: null };
  return (
    <div class="card drop-box" data-test="drop-box">
      <span class="emblem">
        <Icon name="upload" />
      </span>
      <h1>{t.dropTitle(name)}</h1>
      <p class="muted">{t.dropHint}</p>
      <div class="card-buttons">
        <UploadTools state={state} uploads={uploads} />
      </div>
      {expires !== null && <p class="muted">{t.endsOn(timeText(expires, locale.value))}</p>}
    </div>
  );
}

function Login({ state }: { state: PageState }): VNode {
  return (
    <div class="card">
      <h1>{texts.value.welcome}</h1>
      <LoginForm state={state} />
    </div>
  );
}

/** Why nothing can be shown, and what can be done. */
function Failure({ state }: { state: PageState }): VNode {
  const t = texts.value;
  const { door, link, session, elsewhere } = state;
  const problem = state.problem.value!;
  const isUnknownLink = door.prefix !== "" && link.value === undefined && problem.status === 404;
  const mayTryAgain = ![404, 410].includes(problem.status);
  return (
    <div class="card" role="alert">
      <span class="emblem">
        <Icon name="alert" />
      </span>
      <h1>{t.failed}</h1>
      <p data-test="message">{isUnknownLink ? t.problems.link : problemText(problem, t)}</p>
      {problem.status === 403 && elsewhere.value.length > 0 && (
        <nav aria-label={t.elsewhere}>
          <p class="muted">{t.elsewhere}</p>
          <div class="actions">
            {elsewhere.value.map((name) => (
              <a key={name} href={directoryPath(door.prefix, name)}>
                <Icon name="folder" />
                {name || t.root}
              </a>
            ))}
          </div>
        </nav>
      )}
      <div class="card-buttons">
        {mayTryAgain && (
          <button type="button" class="button" onClick={() => state.reload()}>
            <Icon name="reload" />
            {t.tryAgain}
          </button>
        )}
        {(door.prefix === "" || link.value) && (
          <a class="button" href={`${door.prefix}/`}>{t.back}</a>
        )}
        {problem.status === 403 && session.value?.mayLogIn && (
          <button
            type="button"
            class="button"
            onClick={() => state.dialog.value = { kind: "log-in" }}
          >
            {t.logIn}
          </button>
        )}
      </div>
    </div>
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
