/// <reference lib="dom" />
/**
 * What is shown where there is no list: a login, a failure, an empty folder, what a share link leads to.
 *
 * @module
 */

import type { VNode } from "preact";
import type { Entry } from "../door/door.ts";
import { downloadPath } from "../door/download.ts";
import { directoryPath } from "../door/place.ts";
import type { PageState } from "../state/page_state.ts";
import { problemText } from "../state/problem_text.ts";
import { shownName, sizeText, timeText } from "../text/format.ts";
import { locale, texts } from "../text/language.ts";
import { Icon, iconOf } from "../widgets/icons.tsx";
import { LoginForm } from "./login.tsx";
import { type Parts, UploadTools } from "./toolbar.tsx";

/** What is shown instead of a list without entries. */
export function Nothing({ state, uploads }: Parts): VNode {
  const t = texts.value;
  const { entries, query, mayUpload } = state;
  const isSearch = query.value.trim() !== "";
  // What is on its way may be what is searched for.
  const isBusy = entries.value === undefined || isSearch && state.loading.value;
  if (isBusy) return <div class="nothing" aria-busy="true" />;
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
export function DropBox({ state, uploads }: Parts): VNode {
  const t = texts.value;
  const here = state.directory.value;
  const { name, expires } = state.link.value ??
    { name: here.slice(here.lastIndexOf("/") + 1), expires: null };
  return (
    <div class="card drop-box" data-test="drop-box">
      <span class="emblem">
        <Icon name="upload" />
      </span>
      <h1>{t.dropTitle(shownName(name))}</h1>
      <p class="muted">{t.dropHint}</p>
      <div class="card-buttons">
        <UploadTools state={state} uploads={uploads} />
      </div>
      {expires !== null && <p class="muted">{t.linkEnds(timeText(expires, locale.value))}</p>}
    </div>
  );
}

/** The page of a link to one file. */
export function SharedFile({ state, file }: { state: PageState; file: Entry }): VNode {
  const t = texts.value;
  const link = state.link.value!;
  const { expires, downloads } = link;
  const take = (event: MouseEvent) => {
    if (!downloads) return;
    const taken = downloads.taken + 1;
    // What browsers say of a download that is refused is hard to understand.
    if (taken > downloads.most) {
      event.preventDefault();
      state.tell(t.problems.gone, true);
    } else state.link.value = { ...link, downloads: { ...downloads, taken } };
  };
  return (
    <div class="card drop-box shared-file" data-test="shared-file">
      <span class="emblem">
        <Icon name={iconOf(file.type, file.name)} />
      </span>
      <h1>{shownName(file.name)}</h1>
      <p class="muted">
        {`${sizeText(file.size, locale.value)} · ${timeText(file.mtime, locale.value)}`}
      </p>
      <div class="card-buttons">
        <a
          class="button primary"
          data-test="row-download"
          href={downloadPath(state.place, file)}
          download=""
          onClick={take}
        >
          <Icon name="download" />
          {t.download}
        </a>
      </div>
      {file.md5 && (
        <p class="muted">
          MD5 <code>{file.md5}</code>
        </p>
      )}
      {expires !== null && <p class="muted">{t.linkEnds(timeText(expires, locale.value))}</p>}
      {downloads && <p class="muted">{t.taken(downloads.taken, downloads.most)}</p>}
    </div>
  );
}

/** The form that logs in, where nothing can be seen without. */
export function Login({ state }: { state: PageState }): VNode {
  return (
    <div class="card">
      <h1>{texts.value.welcome}</h1>
      <LoginForm state={state} />
    </div>
  );
}

/** Why nothing can be shown, and what can be done. */
export function Failure({ state }: { state: PageState }): VNode {
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
                {shownName(name) || t.root}
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
