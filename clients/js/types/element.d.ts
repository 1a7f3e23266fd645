/**
 * `<realtime-room>`: importing this defines the element. The guide: docs/live.md in the repository.
 */

import type { Position } from "./client.js";

/** What `{% realtime_room %}` wrote into an element: which room to follow, and from where. */
export function roomOf(element: Element): { room: string; since: Position | null; token: string | undefined };

/** A change that `html_change` made on the server. */
export interface Change {
  html?: string;
  swap?: "append" | "prepend" | "replace" | "remove";
  id?: string;
}

/** Put a change into a container, as `<realtime-room>` does. The HTML has to be trustworthy. */
export function apply(container: Element, change: Change): void;

export class RealtimeRoom extends HTMLElement {
  /** The element that has the rows. */
  readonly container: Element;
}
