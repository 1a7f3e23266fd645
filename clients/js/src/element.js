/**
 * `<realtime-room>`: an element whose content changes with a room, without a line of JavaScript.
 *
 *     {% load realtime static %}
 *     <script type="module" src="{% static 'realtime/element.js' %}"></script>
 *     <realtime-room {% realtime_room "orders" html=True %} target="ul"><ul>…</ul></realtime-room>
 *
 * The rows that the server rendered stay until something changes, and without JavaScript. Each
 * publication that `html_change` made appends, prepends, replaces or removes an element. Where
 * publications were missed for good, the page is fetched again, and the element's content taken out
 * of it: by the room, then `target`, `src`, and the place among those that have all in common. HTML is code: it is taken only with `data-html`, which the template tag writes for rooms
 * that clients can't publish to.
 */

import { RealtimeClient } from "./client.js";

/** @typedef {{html?: string, swap?: string, id?: string}} Change */

/** @type {Map<string, RealtimeClient>} One for each address, for all elements of the page. */
const clients = new Map();

/** @param {string} url */
function clientOf(url) {
  let client = clients.get(url);
  if (client === undefined) {
    client = new RealtimeClient(url);
    clients.set(url, client);
    client.connect();
  }
  return client;
}

/**
 * What an element says that `{% realtime_room %}` was written into: which room, and from where.
 * @param {Element} element
 * @returns {{room: string, since: {offset: number, epoch: string} | null, token: string | undefined}}
 */
export function roomOf(element) {
  const { room = "", offset, epoch, token } = /** @type {HTMLElement} */ (element).dataset;
  const since = offset !== undefined && epoch !== undefined;
  return { room, since: since ? { offset: Number(offset), epoch } : null, token };
}

/** @type {{createHTML(text: string): string} | undefined} Trusted Types, where a browser has them. */
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("shardlayer", {
  createHTML: (/** @type {string} */ text) => text,
});

/** @param {string} html @returns {DocumentFragment} */
function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = policy?.createHTML(html) ?? html;
  return template.content;
}

/**
 * Put a change into a container. What comes twice changes nothing the second time.
 * @param {Element} container
 * @param {Change} change
 */
export function apply(container, { html, swap = "append", id }) {
  const old = id === undefined ? null : container.querySelector(`#${CSS.escape(id)}`);
  if (swap === "remove") old?.remove();
  else if (html === undefined) return;
  else if (old !== null) old.replaceWith(parse(html));
  else if (swap === "append") container.append(parse(html));
  else if (swap === "prepend") container.prepend(parse(html));
}

/**
 * Attributes: those of `{% realtime_room %}`; `target`, a selector of the element inside, or
 * anywhere in the page, that has the rows (default: this one); `src`, the page to fetch again (default:
 * this one); `url`, the WebSocket (default: `/ws/`).
 *
 * Events, which bubble: `realtime-change` (detail: {data, origin}), before a publication is put in,
 * which does not happen after `preventDefault()`; `realtime-loaded`, after the content was fetched
 * again; `realtime-gap` (detail: a Gap), after the fetched page was too old for the room's history: what
 * lies between is missing until the page is fetched once more; `realtime-error` (detail: a RealtimeError).
 */
export class RealtimeRoom extends HTMLElement {
  /** @type {import("./subscription.js").Subscription | null} */
  #subscription = null;

  connectedCallback() {
    const { room, since, token } = roomOf(this);
    const client = clientOf(this.getAttribute("url") ?? "/ws/");
    const subscription = client.subscribe(room, (data, origin) => this.#change(data, origin), {
      since,
      token,
      // The page that has this element has the state; a room without history can't say more.
      state: () => this.#load(),
    });
    let isWarned = false;
    subscription.addEventListener("error", (event) => {
      const { detail } = /** @type {CustomEvent} */ (event);
      // Nobody knows who listens on the way up to the document, but for a listener that says so.
      if (!this.#tell("error", detail) || isWarned) return;
      isWarned = true; // an error that passes comes again and again
      console.warn(`Room ${detail.room}: ${detail.message} (${detail.code})`);
    });
    subscription.addEventListener("gap", (event) => this.#tell("gap", /** @type {CustomEvent} */ (event).detail));
    this.#subscription = subscription;
  }

  disconnectedCallback() {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
  }

  /** The element that has the rows. */
  get container() {
    return containerOf(this, document);
  }

  /** @param {any} data @param {any} origin */
  #change(data, origin) {
    if (!this.#tell("change", { data, origin })) return;
    if (this.dataset.html !== undefined && data?.swap !== undefined) apply(this.container, data);
  }

  async #load() {
    const page = this.getAttribute("src") ?? location.href;
    const index = alike(this, document).indexOf(this);
    const response = await fetch(page, { headers: { accept: "text/html" }, cache: "no-store" });
    if (!response.ok) throw new Error(`${page} answered ${response.status}.`);
    const text = await response.text();
    const parsed = new DOMParser().parseFromString(policy?.createHTML(text) ?? text, "text/html");
    const all = alike(this, parsed);
    const fresh = all[index] ?? (this.hasAttribute("src") ? all[0] : undefined); // one there may serve many here
    if (fresh === undefined) throw new Error(`${page} has no such element of this room.`);
    this.container.replaceChildren(...containerOf(fresh, parsed).childNodes);
    this.#tell("loaded", {});
    return roomOf(fresh).since;
  }

  /** @param {string} type @param {unknown} detail @returns {boolean} Whether to go on. */
  #tell(type, detail) {
    const init = { bubbles: true, cancelable: true, detail };
    return this.dispatchEvent(new CustomEvent(`realtime-${type}`, init));
  }
}

/**
 * The elements of a page that are like one. A page that `src` names need not have the same attributes.
 * @param {RealtimeRoom} element
 * @param {Document} page
 */
function alike(element, page) {
  /** @type {NodeListOf<HTMLElement>} */
  const all = page.querySelectorAll("realtime-room");
  let found = [...all].filter(({ dataset }) => dataset.room === element.dataset.room);
  for (const name of ["target", "src"]) {
    const same = found.filter((each) => each.getAttribute(name) === element.getAttribute(name));
    if (same.length > 0 || !element.hasAttribute("src")) found = same;
  }
  return found;
}

/** @param {Element} element @param {Document} page @returns {Element} */
function containerOf(element, page) {
  const target = element.getAttribute("target");
  if (target === null) return element;
  return element.querySelector(target) ?? page.querySelector(target) ?? element;
}

customElements.define("realtime-room", RealtimeRoom);
