/// <reference lib="dom" />
/**
 * The dialogs about share links: to make one, to see and revoke one's own.
 *
 * @module
 */

import { type Signal, useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Share } from "../door/door.ts";
import type { PageState } from "../state/page_state.ts";
import { problemText } from "../state/problem_text.ts";
import { shownName, timeText } from "../text/format.ts";
import { locale, texts } from "../text/language.ts";
import { Icon } from "../widgets/icons.tsx";
import { Modal } from "./modal.tsx";

const HOUR = 60 * 60 * 1000;

/** After how many hours a link may end; 0 is never. */
const HOURS = [1, 24, 7 * 24, 30 * 24, 0];

/** The numbers of downloads that there may be; 0 is any. */
const LIMITS = [0, 1, 5, 20, 100];

/** Makes links to a file or directory, and shows those that there are. */
export function ShareDialog(
  { state, name, isDirectory, onClose }: {
    state: PageState;
    name: string;
    isDirectory: boolean;
    onClose: () => void;
  },
): VNode {
  const shares = useSignal<readonly Share[] | undefined>(undefined);
  const made = useSignal<Share | undefined>(undefined);
  const upload = useSignal(false);
  const hours = useSignal(7 * 24);
  const limit = useSignal(0);
  const failure = useSignal<string | undefined>(undefined);
  const t = texts.value;
  useEffect(() => void load(state, shares, failure, name), []);
  const create = async (event: Event) => {
    event.preventDefault();
    failure.value = undefined;
    try {
      made.value = await state.door.share({
        name,
        upload: upload.value,
        expires_in: hours.value === 0 ? null : hours.value * HOUR,
        downloads: upload.value || limit.value === 0 ? null : limit.value,
      });
      await load(state, shares, failure, name);
    } catch (error) {
      failure.value = problemText(error, texts.value);
    }
  };
  const chosen = (value: Signal<number>) => ({
    value: value.value,
    onChange: (event: { currentTarget: HTMLSelectElement }) =>
      value.value = Number(event.currentTarget.value),
  });
  const short = name.slice(name.lastIndexOf("/") + 1) || t.root;
  return (
    <Modal title={t.shareTitle(shownName(short))} onClose={onClose}>
      {made.value && <MadeLink key={made.value.id} share={made.value} />}
      <form class="form" onSubmit={create}>
        {isDirectory && (
          <fieldset class="choices">
            <legend>{t.shareFor}</legend>
            {[false, true].map((isUpload) => (
              <label key={String(isUpload)}>
                <input
                  type="radio"
                  name="share-for"
                  data-test={isUpload ? "share-for-upload" : "share-for-download"}
                  checked={upload.value === isUpload}
                  onChange={() => upload.value = isUpload}
                />
                {isUpload ? t.shareUpload : t.shareDownload}
              </label>
            ))}
          </fieldset>
        )}
        <div class="form-pair">
          <label>
            <span>{t.shareExpires}</span>
            <select data-test="share-expires" {...chosen(hours)}>
              {HOURS.map((count) => (
                <option key={count} value={count}>
                  {count === 0 ? t.shareNever : t.shareHours(count)}
                </option>
              ))}
            </select>
          </label>
          {!upload.value && (
            <label>
              <span>{t.shareLimit}</span>
              <select data-test="share-downloads" {...chosen(limit)}>
                {LIMITS.map((count) => (
                  <option key={count} value={count}>{count === 0 ? t.shareAny : count}</option>
                ))}
              </select>
            </label>
          )}
        </div>
        <p class="form-failure" role="status">
          {failure.value && <span data-test="message">{failure.value}</span>}
        </p>
        <div class="form-buttons">
          <button
            type="submit"
            class={`button${made.value ? "" : " primary"}`}
            data-first
            data-test="share-create"
          >
            {made.value ? t.shareAnother : t.shareCreate}
          </button>
        </div>
      </form>
      {shares.value && shares.value.length > 0 && (
        <Shares state={state} shares={shares} failure={failure} of={name} />
      )}
    </Modal>
  );
}

/** Shows all of one's own links. */
export function SharesDialog({ state, onClose }: { state: PageState; onClose: () => void }): VNode {
  const shares = useSignal<readonly Share[] | undefined>(undefined);
  const failure = useSignal<string | undefined>(undefined);
  const t = texts.value;
  useEffect(() => void load(state, shares, failure), []);
  return (
    <Modal title={t.shares} onClose={onClose}>
      {failure.value && <p class="form-failure" role="status">{failure.value}</p>}
      {!shares.value && !failure.value && <p class="muted">{t.loading}</p>}
      {shares.value?.length === 0 && <p class="muted">{t.noShares}</p>}
      {shares.value && shares.value.length > 0 && (
        <Shares state={state} shares={shares} failure={failure} />
      )}
    </Modal>
  );
}

/** Fetches one's own links: all, or those to one name. */
async function load(
  state: PageState,
  shares: Signal<readonly Share[] | undefined>,
  failure: Signal<string | undefined>,
  of?: string,
): Promise<void> {
  try {
    const all = await state.door.shares();
    shares.value = all.filter(({ name }) => of === undefined || name === of);
  } catch (error) {
    failure.value = problemText(error, texts.value);
  }
}

/** A link that was just made, to be copied. */
function MadeLink({ share }: { share: Share }): VNode {
  const t = texts.value;
  return (
    <div class="made-link">
      <label>
        <span>{t.shareLink}</span>
        <input
          data-test="share-link"
          type="text"
          readOnly
          value={share.url}
          onFocus={(event) => event.currentTarget.select()}
        />
      </label>
      <CopyButton text={share.url} isPrimary />
    </div>
  );
}

/** Copies a text. */
function CopyButton({ text, isPrimary = false }: { text: string; isPrimary?: boolean }): VNode {
  const copied = useSignal(false);
  const t = texts.value;
  const copy = async (event: MouseEvent) => {
    copied.value = await copyText(text, event.currentTarget as Element);
  };
  return (
    <button type="button" class={`button${isPrimary ? " primary" : " quiet"}`} onClick={copy}>
      <Icon name={copied.value ? "check" : "copy"} />
      <span aria-live="polite">{copied.value ? t.copied : t.copy}</span>
    </button>
  );
}

/**
 * Copies a text to the clipboard.
 *
 * @param near an element of the dialog that is open: only in there a text can be selected
 */
async function copyText(text: string, near: Element): Promise<boolean> {
  // Without encryption browsers have no clipboard for scripts, but for what is selected.
  if (navigator.clipboard) {
    return await navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  const field = document.createElement("textarea");
  field.value = text;
  near.after(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

interface SharesProps {
  state: PageState;
  shares: Signal<readonly Share[] | undefined>;
  failure: Signal<string | undefined>;
  /** The name that all the links are for; undefined for links to any. */
  of?: string;
}

/** A list of links. */
function Shares({ state, shares, failure, of }: SharesProps): VNode {
  const t = texts.value;
  const revoke = async (id: string) => {
    try {
      await state.door.revoke(id);
      state.tell(t.revoked);
    } catch (error) {
      failure.value = problemText(error, texts.value);
    }
    await load(state, shares, failure, of);
  };
  return (
    <ul class="shares">
      {shares.value!.map((share) => (
        <li key={share.id}>
          <Icon name={share.upload ? "upload" : "share"} />
          <div>
            <strong>{of === undefined ? shownName(share.name) || t.root : rights(share)}</strong>
            <span class="muted">
              {of === undefined ? `${rights(share)}, ${end(share)}` : end(share)}
            </span>
          </div>
          <CopyButton text={share.url} />
          <button
            type="button"
            class="button quiet dangerous"
            data-test="share-revoke"
            onClick={() => revoke(share.id)}
          >
            {t.revoke}
          </button>
        </li>
      ))}
    </ul>
  );
}

/** What a link is for, and how often it was used. */
function rights({ upload, downloads }: Share): string {
  const t = texts.value;
  if (upload) return t.sharedFolder;
  return downloads ? t.taken(downloads.taken, downloads.most) : t.shareDownload;
}

/** When a link ends. */
function end({ expires }: { expires: number | null }): string {
  const t = texts.value;
  return expires === null ? t.endsNever : t.endsOn(timeText(expires, locale.value));
}
