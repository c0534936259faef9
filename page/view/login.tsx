/// <reference lib="dom" />
/**
 * The form that logs in.
 *
 * @module
 */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { PageState } from "../state/page_state.ts";
import { texts } from "../text/language.ts";

/** The form. */
export function LoginForm({ state }: { state: PageState }): VNode {
  const token = useSignal("");
  const failure = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const t = texts.value;
  useLayoutEffect(() => field.current!.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (token.value.trim() === "" || isBusy.value) return;
    isBusy.value = true;
    failure.value = undefined;
    failure.value = await state.logIn(token.value);
    isBusy.value = false;
  };
  return (
    <form class="form" onSubmit={submit}>
      <label>
        <span>{t.token}</span>
        <input
          ref={field}
          data-first
          data-test="login-token"
          type="password"
          name="token"
          autocomplete="current-password"
          autocapitalize="off"
          spellcheck={false}
          aria-describedby="login-says"
          aria-invalid={failure.value !== undefined}
          value={token.value}
          onInput={(event) => token.value = event.currentTarget.value}
        />
      </label>
      <p id="login-says" class={failure.value ? "form-failure" : "form-hint"} role="status">
        {failure.value ? <span data-test="message">{failure.value}</span> : t.tokenHint}
      </p>
      <div class="form-buttons">
        <button
          type="submit"
          class="button primary"
          data-test="login-submit"
          disabled={isBusy.value}
        >
          {isBusy.value ? t.loggingIn : t.logIn}
        </button>
      </div>
    </form>
  );
}
