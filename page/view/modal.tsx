/// <reference lib="dom" />
/**
 * A dialog that has the page to itself.
 *
 * @module
 */

import type { ComponentChildren, VNode } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { texts } from "../text/language.ts";
import { Icon } from "../widgets/icons.tsx";

/** The properties of {@linkcode Modal}. */
export interface ModalProps {
  /** What it is about. */
  title: string;
  /** Called when the user closes it. */
  onClose: () => void;
  /** Its content. */
  children: ComponentChildren;
}

/** A dialog that is open as long as it is there. Escape and a click beside it close it. */
export function Modal({ title, onClose, children }: ModalProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current!.showModal();
    dialog.current!.querySelector<HTMLElement>("[data-first]")?.focus();
    // The element may be gone, as a row whose entry was deleted: the list has the keyboard then.
    return () => {
      const back = before instanceof HTMLElement && before.isConnected && before !== document.body
        ? before
        : document.querySelector<HTMLElement>("#list");
      back?.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class="modal"
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => event.target === dialog.current && onClose()}
    >
      <div class="modal-inner">
        <header class="modal-header">
          <h2>{title}</h2>
          <button
            type="button"
            class="icon-button"
            aria-label={texts.value.close}
            onClick={onClose}
          >
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
