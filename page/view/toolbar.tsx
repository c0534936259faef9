/// <reference lib="dom" />
/**
 * Where one is, and what can be done there or with what is chosen.
 *
 * @module
 */

import type { VNode } from "preact";
import { archivePath, downloadOf } from "../door/download.ts";
import { NOTHING } from "../listing/selection.ts";
import type { PageState } from "../state/page_state.ts";
import { timeText } from "../text/format.ts";
import { locale, texts } from "../text/language.ts";
import type { UploadsUi } from "../upload/mount.ts";
import { Icon } from "../widgets/icons.tsx";
import { Crumbs } from "./header.tsx";

/** What parts of the page need. */
export interface Parts {
  /** What the page shows. */
  state: PageState;
  /** The uploads. */
  uploads: UploadsUi;
}

/** Where one is, and what can be done here or with what is chosen. */
export function Toolbar({ state, uploads }: Parts): VNode {
  const t = texts.value;
  const { chosen, entries, link, query, deep } = state;
  return (
    <div class="toolbar">
      <div class="where">
        <Crumbs state={state} />
        <p class="muted">
          <span role="status">{summary(state)}</span>
          {query.value !== "" && !deep.value && (
            <>
              {" · "}
              <button
                type="button"
                class="link"
                data-test="search-below"
                onClick={() => state.searchBelow(true)}
              >
                {t.searchBelow}
              </button>
            </>
          )}
        </p>
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

/** The ways to upload, and to make a folder for that. */
export function UploadTools({ state, uploads }: Parts): VNode {
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
function summary({ entries, shown, query, link, loading }: PageState): string {
  const t = texts.value;
  const all = entries.value;
  if (!all) return t.loading;
  if (query.value.trim() !== "" && loading.value) return t.loading;
  if (query.value.trim() !== "") return t.foundOf(shown.value.length, all.length);
  const directories = all.filter(({ type }) => type === "directory").length;
  const counted = t.counted(directories, all.length - directories);
  const { expires = null } = link.value ?? {};
  return expires === null ? counted : `${counted} · ${t.endsOn(timeText(expires, locale.value))}`;
}
