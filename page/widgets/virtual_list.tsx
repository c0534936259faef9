/// <reference lib="dom" />
/**
 * A list of which only what is in view is in the document, so that a very long one is as fast as a short one.
 *
 * @module
 */

import type { ComponentChildren, HTMLAttributes, VNode } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** How many rows more than those in view are there at both ends. */
const SPARE = 8;

/** The properties of {@linkcode VirtualList}; all others are those of its element, which scrolls. */
export interface VirtualListProps<T> extends Omit<HTMLAttributes<HTMLDivElement>, "children"> {
  /** All the items. */
  items: readonly T[];
  /** The height of each row in pixels. */
  rowHeight: number;
  /** The index of the item to keep in view; below 0 for none. */
  keepInView?: number;
  /** What stands above the rows and stays in view. */
  head?: VNode;
  /** The height of that in pixels. */
  headHeight?: number;
  /** Makes the row of an item. It has to have a key. */
  children: (item: T, index: number) => ComponentChildren;
}

/** A list that scrolls, with rows of the same height. */
export function VirtualList<T>(props: VirtualListProps<T>): VNode {
  const { items, rowHeight, keepInView = -1, head, headHeight = 0, children, ...rest } = props;
  const element = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ first: 0, last: 40 });

  const look = () => {
    const { scrollTop, clientHeight } = element.current!;
    const first = Math.max(0, Math.floor(scrollTop / rowHeight) - SPARE);
    const last = Math.ceil((scrollTop + clientHeight) / rowHeight) + SPARE;
    setView((now) => now.first === first && now.last === last ? now : { first, last });
  };

  useLayoutEffect(() => {
    const observer = new ResizeObserver(look);
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, [rowHeight]);

  // A shorter list may have scrolled by itself.
  useLayoutEffect(look, [items.length, rowHeight]);

  useLayoutEffect(() => {
    const { scrollTop, clientHeight } = element.current!;
    const top = keepInView * rowHeight;
    if (keepInView < 0) return;
    if (top < scrollTop) element.current!.scrollTop = top;
    const bottom = headHeight + top + rowHeight - clientHeight;
    if (bottom > scrollTop) element.current!.scrollTop = bottom;
  }, [keepInView, rowHeight]);

  const { first, last } = view;
  return (
    <div {...rest} ref={element} onScroll={look}>
      {head}
      <div
        role="presentation"
        class="virtual-content"
        style={{ height: `${items.length * rowHeight}px` }}
      >
        <div
          role="presentation"
          class="virtual-rows"
          style={{ transform: `translateY(${first * rowHeight}px)` }}
        >
          {items.slice(first, last).map((item, i) => children(item, first + i))}
        </div>
      </div>
    </div>
  );
}
