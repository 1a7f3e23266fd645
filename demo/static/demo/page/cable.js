/**
 * The connection: on which worker it is, a button that cuts it, and what the last cut cost.
 */

import { fill, gettext, number } from "./language.js";
import { Ledger } from "./ledger.js";

/** How long a cut by hand lasts, in milliseconds. */
export const CUT = 5_000;

/** @typedef {import("../../realtime/client.js").RealtimeClient} RealtimeClient */

/**
 * A cut in a sentence.
 * @param {number} away Milliseconds.
 * @param {string} from The worker before it; empty if unknown.
 * @param {string} to The worker after it.
 */
export function cutWords(away, from, to) {
  const values = { seconds: number(away / 1_000, 1), from, to };
  if (from === "" || to === "") return fill(gettext("Away for %(seconds)s s."), values);
  if (from === to) return fill(gettext("Away for %(seconds)s s, then back on %(to)s."), values);
  return fill(gettext("Away for %(seconds)s s: from %(from)s to %(to)s."), values);
}

export class Cable {
  #client;
  #parts;
  #ledger = new Ledger();
  #worker = "";
  #before = "";
  #connected = false;
  /** @type {number | null} `performance.now()` at the beginning of the cut that the report is about. */
  #cutAt = null;
  #away = 0;
  /** @type {number | undefined} */
  #timer;
  /** @type {number | null} When the cut by hand ends, as `Date.now()` counts. */
  backAt = null;

  /**
   * @param {RealtimeClient} client
   * @param {Record<"worker" | "cut" | "missed" | "fetched" | "lost" | "cut-words", HTMLElement>} parts
   */
  constructor(client, parts) {
    this.#client = client;
    this.#parts = parts;
    parts.cut.addEventListener("click", () => (this.backAt === null ? this.#cut() : this.#mend()));
    client.addEventListener("state", () => this.#changed());
    client.addEventListener("gap", (event) => {
      const { room, missed } = /** @type {CustomEvent} */ (event).detail;
      this.#ledger.gap(room, missed);
    });
  }

  /** @param {string} room @param {number | null} offset @param {boolean} replayed */
  note(room, offset, replayed) {
    this.#ledger.note(room, offset, replayed);
  }

  #cut() {
    this.backAt = Date.now() + CUT;
    this.#timer = setTimeout(() => this.#mend(), CUT);
    this.#client.close();
  }

  #mend() {
    clearTimeout(this.#timer);
    this.backAt = null;
    this.#client.connect();
  }

  #changed() {
    const { state } = this.#client.status;
    const connected = state === "live" || state === "behind";
    if (connected === this.#connected) return;
    this.#connected = connected;
    if (connected) void this.#arrived();
    else {
      this.#cutAt = performance.now();
      this.#before = this.#worker;
      this.#ledger.begin();
    }
  }

  async #arrived() {
    if (this.#cutAt !== null) this.#away = performance.now() - this.#cutAt;
    this.#worker = "";
    try {
      this.#worker = String(await this.#client.command("worker", null));
    } catch {
      // It is not told over an event stream, and need not be.
    }
    if (this.#worker !== "") this.#parts.worker.textContent = this.#worker;
    else this.#parts.worker.textContent = gettext("unknown");
    if (this.#cutAt !== null) {
      this.#parts["cut-words"].textContent = cutWords(this.#away, this.#before, this.#worker);
    }
  }

  /** Put the present state in place. */
  refresh() {
    const { cut, missed, fetched, lost } = this.#parts;
    const { final } = this.#client.status;
    const byHand = this.backAt !== null;
    write(cut, byHand ? gettext("Connect now") : gettext("Cut it for 5 s"));
    /** @type {HTMLButtonElement} */ (cut).disabled = !byHand && (final || !this.#connected);
    if (this.#cutAt === null) return;
    if (!this.#connected) {
      write(this.#parts["cut-words"], gettext("Counted when the connection is back."));
      for (const part of [missed, fetched, lost]) write(part, "–");
      lost.dataset.lost = "false";
      return;
    }
    const report = this.#ledger.report();
    write(missed, number(report.missed));
    write(fetched, number(report.fetched));
    write(lost, report.unknown ? gettext("unknown") : number(report.lost));
    lost.dataset.lost = String(report.lost > 0 || report.unknown);
  }
}

/** @param {HTMLElement} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
