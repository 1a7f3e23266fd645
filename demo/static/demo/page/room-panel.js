/**
 * One machine room on the page: its chart, its present value, and how well its messages arrive.
 */

import { BEGINNING } from "../../realtime/client.js";
import { StripChart } from "../charts.js";
import { Figures } from "./figures.js";
import { fill, gettext, ngettext, number } from "./language.js";
import { QUIET_AFTER, ageWords, behindWords, byteWords, rateWords, seconds } from "./words.js";

/** How long it is said that messages were missed, in milliseconds. */
const GAP_SHOWN = 15_000;

/** @param {number} value */
const percent = (value) => `${number(value)} %`;

/** @param {number} value */
const bytesPerSecond = (value) => `${byteWords(value).join(" ").replace(/[.,]0 /, " ")}/s`;

/**
 * What a room's data means: how to draw it, and which figures to show.
 * @typedef {object} Kind
 * @property {import("../charts.js").Scale} scale
 * @property {(data: any) => number[]} values
 * @property {(data: any) => [number, number] | null} band
 * @property {(data: any) => [string, string][]} figures Numbers with their units, the main one first.
 * @property {(data: any) => string} note
 */

/** @param {string} first @param {string} second @returns {Kind} */
function flow(first, second) {
  return {
    scale: { floor: 10_000, mirrored: true, label: bytesPerSecond },
    values: (data) => [data[first], data[second]],
    band: () => null,
    figures: (data) => [first, second].map((key) => {
      const [number, unit] = byteWords(data[key]);
      return [number, `${unit}/s`];
    }),
    note: () => "",
  };
}

/** @type {Record<string, Kind>} */
const KINDS = {
  "machine.cpu": {
    scale: { max: 100, label: percent },
    values: (data) => [data.percent],
    band: ({ per_cpu: cores }) =>
      cores?.length > 1 ? [Math.min(...cores), Math.max(...cores)] : null,
    figures: (data) => [[number(data.percent, 1), "%"]],
    note: ({ load, per_cpu: cores }) =>
      fill(ngettext("load %(load)s on %(count)s core", "load %(load)s on %(count)s cores", cores.length), {
        load: number(load, 1),
        count: cores.length,
      }),
  },
  "machine.memory": {
    scale: { max: 100, label: percent },
    values: (data) => [data.percent],
    band: () => null,
    figures: (data) => [[number(data.percent, 1), "%"]],
    note: ({ used, total }) =>
      fill(gettext("%(used)s of %(total)s"), {
        used: byteWords(used).join(" "),
        total: byteWords(total).join(" "),
      }),
  },
  "machine.network": flow("received", "sent"),
  "machine.disk": flow("read", "written"),
};

export class RoomPanel {
  #parts;
  #kind;
  #subscription;
  #figures = new Figures(performance.now());
  #lastAt = 0; // performance.now() of the last push
  #gapAt = -Infinity;
  #joined = false;
  /** @type {any} */
  #data = null;

  /**
   * @param {HTMLElement} element With `data-room`, and its parts marked by `data-part`.
   * @param {import("../../realtime/client.js").RealtimeClient} client
   * @param {(message: {offset: number | null, replayed: boolean, age: number}) => void} onPush Told
   *   of each message; its age counts unless it was replayed.
   */
  constructor(element, client, onPush) {
    this.element = element;
    this.#parts = partsOf(element);
    this.#kind = KINDS[element.dataset.room ?? ""];
    const canvas = /** @type {HTMLCanvasElement} */ (this.#parts.chart[0]);
    this.chart = new StripChart(canvas, this.#kind.scale);
    // The paper starts filled with what the room still holds.
    this.#subscription = client.subscribe(
      element.dataset.room ?? "",
      (data, { offset, replayed }) => {
        const age = Date.now() - data.t * 1000;
        // The newest is of now, in whichever order they come.
        if (this.#data === null || data.t >= this.#data.t) this.#data = data;
        this.chart.track.add({
          t: data.t,
          values: this.#kind.values(data),
          band: this.#kind.band(data),
          from: replayed ? (this.#joined ? "recovered" : "earlier") : "live",
          age,
        });
        onPush({ offset, replayed, age });
        if (replayed) return;
        this.#lastAt = performance.now();
        this.#figures.record(this.#lastAt, age);
      },
      { since: BEGINNING },
    );
    this.#subscription.addEventListener("gap", () => (this.#gapAt = performance.now()));
    this.#subscription.addEventListener("subscribed", () => {
      this.#joined = true;
      this.#figures.restart(performance.now());
      this.#lastAt = performance.now();
    });
  }

  /** Milliseconds since the last message, or since the room was joined. @param {number} now */
  silence(now) {
    return this.#joined ? now - this.#lastAt : 0;
  }

  /** Put the present figures in place. @param {import("../../realtime/client.js").Status} status */
  refresh(status) {
    const now = performance.now();
    const { rate, p50, p95 } = this.#figures.summary(now);
    const parts = this.#parts;
    write(parts.rate, [rateWords(rate)]);
    write(parts.p50, [ageWords(p50)]);
    write(parts.p95, [ageWords(p95)]);
    const [mood, words] = this.#condition(status, now);
    write(parts.condition, [words]);
    this.element.dataset.mood = mood;
    if (this.#data === null) return;
    const figures = this.#kind.figures(this.#data);
    write(parts.value, figures.map(([number]) => number));
    write(parts.unit, figures.map(([, unit]) => unit));
    write(parts.note, [this.#kind.note(this.#data)]);
  }

  /** @param {import("../../realtime/client.js").Status} status @param {number} now @returns {[string, string]} */
  #condition(status, now) {
    if (status.state === "connecting" || status.state === "offline") {
      return this.#joined ? ["cut", gettext("Cut off")] : ["connecting", gettext("Joining…")];
    }
    if (this.#subscription.state === "left") return ["cut", gettext("Refused")];
    if (this.#subscription.state === "joining") return ["connecting", gettext("Joining…")];
    const silence = this.silence(now);
    if (silence > QUIET_AFTER) {
      return ["quiet", fill(gettext("Quiet for %(seconds)s s"), { seconds: seconds(silence) })];
    }
    if (now - this.#gapAt < GAP_SHOWN) return ["behind", gettext("Missed some")];
    if (this.#data === null) return ["connecting", gettext("Waiting for a first message")];
    if (status.state === "behind") return ["behind", behindWords(status.lag)];
    return ["live", gettext("Live")];
  }
}

/** @param {HTMLElement} element @returns {Record<string, HTMLElement[]>} */
function partsOf(element) {
  /** @type {Record<string, HTMLElement[]>} */
  const parts = {};
  for (const part of element.querySelectorAll("[data-part]")) {
    if (part instanceof HTMLElement) (parts[part.dataset.part ?? ""] ??= []).push(part);
  }
  return parts;
}

/** Change text only where it differs. @param {HTMLElement[] | undefined} parts @param {string[]} texts */
function write(parts, texts) {
  parts?.forEach((part, i) => {
    if (part.textContent !== (texts[i] ?? "")) part.textContent = texts[i] ?? "";
  });
}
