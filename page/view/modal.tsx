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
    const element = dialog.current!;
    element.showModal();
    element.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => {
      // The keyboard is again where it was before; if that has gone, as a row whose entry was deleted, in the list.
      element.close();
      if (document.activeElement === document.body) {
        document.querySelector<HTMLElement>("#list")?.focus();
      }
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
