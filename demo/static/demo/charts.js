/**
 * Strip charts on canvas, after the paper recorders of laboratories: the paper moves to the left
 * under a pen at the right edge, and its rules (one each ten seconds) move along.
 *
 * Under the traces runs the rug: one bar for each message, the higher the older it arrived, on a
 * logarithmic scale. What came from the room's history after a cut has its own colour in both.
 *
 * Nothing is drawn that would look the same: the paper's place is rounded to device pixels, and a
 * frame in which neither it nor the data changed costs a comparison.
 */

import { fill, gettext } from "./page/language.js";
import { Sheet } from "./charts/sheet.js";
import { SPAN, Track, heightFor, niceCeiling, runs } from "./charts/track.js";

/** Seconds between two rules of the paper. */
const RULE = 10;

/** CSS pixels: the rug's height, and the gap above it. */
const RUG = 16;
const GAP = 5;

/** The age of a bar as high as the rug, in milliseconds. One of 1 ms is a dot. */
const RUG_AGE = 10_000;

/** Time between frames for those who asked for less motion, in milliseconds. */
const STILL_INTERVAL = 1_000;

/**
 * @typedef {object} Scale
 * @property {number} [max] The fixed upper end; without it the data's own, rounded up.
 * @property {number} [floor] The least upper end, so that noise does not fill the chart.
 * @property {boolean} [mirrored] The second trace hangs down from a line in the middle.
 * @property {(value: number) => string} label
 */

/** One room's chart. */
export class StripChart {
  track = new Track();
  #sheet;
  #scale;

  /** @param {HTMLCanvasElement} canvas @param {Scale} scale */
  constructor(canvas, scale) {
    this.#sheet = new Sheet(canvas);
    this.#scale = scale;
  }

  repaint() {
    this.#sheet.repaint();
  }

  /** @param {number} now Seconds. */
  draw(now) {
    const sheet = this.#sheet;
    const x = sheet.begin(now, this.track.version);
    const { palette, context, density, height } = sheet;
    if (x === null || palette === null) return;
    this.track.trim(now);
    const { mirrored = false, max, floor = 1, label } = this.#scale;
    const top = 1.5 * density;
    const bottom = height - (RUG + GAP) * density;
    const base = mirrored ? (top + bottom) / 2 : bottom;
    const limit = max ?? niceCeiling(Math.max(floor, heightFor(this.track.values())));
    const y = [
      (/** @type {number} */ value) => base - (Math.min(value, limit) / limit) * (base - top),
      (/** @type {number} */ value) => base + (Math.min(value, limit) / limit) * (bottom - base),
    ];

    this.#rules(x, now, [0, 1, 2, 3, 4].map((i) => top + ((bottom - top) * i) / 4));
    this.#cuts(x, now, bottom);
    context.lineJoin = "round";
    for (const run of runs(this.track.readings)) {
      const colours = run.recovered
        ? [palette.replay, palette.replay]
        : [palette.trace, palette.low];
      const xs = run.readings.map(({ t }) => x(t));
      const banded = run.readings[0].band !== null;
      if (banded) {
        const lows = run.readings.map(({ band }) => y[0](band?.[0] ?? 0));
        const highs = run.readings.map(({ band }) => y[0](band?.[1] ?? 0));
        this.#area(xs, lows, highs, colours[0]);
      }
      for (let trace = 0; trace < run.readings[0].values.length; trace += 1) {
        const ys = run.readings.map(({ values }) => y[trace](values[trace]));
        if (!banded) this.#area(xs, Array(xs.length).fill(base), ys, colours[trace]);
        this.#line(xs, ys, colours[trace]);
      }
    }
    this.#spikes(x, limit, [top, bottom]);
    this.#rug(x);
    this.#pen(x, y);
    this.#captions(x, now);
    sheet.print(label(limit), 2 * density, top + 3 * density, "top");
    if (mirrored) sheet.print(label(limit), 2 * density, bottom - 3 * density, "bottom");
  }

  /** @param {(t: number) => number} x @param {number} now @param {number[]} levels */
  #rules(x, now, levels) {
    const { context, palette, density, width } = this.#sheet;
    context.fillStyle = palette?.rule ?? "";
    const line = Math.max(1, Math.round(density));
    for (const level of levels) context.fillRect(0, Math.round(level - line / 2), width, line);
    const [first, last] = [levels[0], levels[levels.length - 1]];
    for (let t = Math.ceil((now - SPAN) / RULE) * RULE; t <= now; t += RULE) {
      context.fillRect(Math.round(x(t)), first, line, last - first);
    }
  }

  /** @param {(t: number) => number} x @param {number} now @param {number} bottom */
  #cuts(x, now, bottom) {
    const { context, palette, density, height } = this.#sheet;
    for (const { start, end } of this.track.cuts) {
      const left = Math.max(0, x(start));
      const right = x(end ?? now);
      if (right <= 0) continue;
      context.globalAlpha = 0.1;
      context.fillStyle = palette?.cut ?? "";
      context.fillRect(left, 0, right - left, height);
      context.globalAlpha = 1;
      context.fillRect(left, bottom, Math.max(density, right - left), density);
    }
  }

  /** How long each cut lasted, where there is room. @param {(t: number) => number} x @param {number} now */
  #captions(x, now) {
    const { context, palette, density } = this.#sheet;
    for (const { start, end } of this.track.cuts) {
      const left = x(start) + 5 * density;
      const words = fill(gettext("cut off %(seconds)s s"), { seconds: Math.round((end ?? now) - start) });
      if (left + context.measureText(words).width > x(end ?? now)) continue;
      this.#sheet.print(words, left, 5 * density, "top", palette?.cut);
    }
  }

  /** @param {number[]} xs @param {number[]} lows @param {number[]} highs @param {string} colour */
  #area(xs, lows, highs, colour) {
    const { context } = this.#sheet;
    context.beginPath();
    xs.forEach((x, i) => context.lineTo(x, highs[i]));
    for (let i = xs.length - 1; i >= 0; i -= 1) context.lineTo(xs[i], lows[i]);
    context.globalAlpha = 0.12;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  }

  /** @param {number[]} xs @param {number[]} ys @param {string} colour */
  #line(xs, ys, colour) {
    const { context, density } = this.#sheet;
    context.beginPath();
    xs.forEach((x, i) => context.lineTo(x, ys[i]));
    context.lineWidth = 1.4 * density;
    context.strokeStyle = colour;
    context.stroke();
  }

  /**
   * A mark on the edge for what is above the axis, and the highest in figures.
   * @param {(t: number) => number} x @param {number} limit @param {number[]} edges One for each trace.
   */
  #spikes(x, limit, edges) {
    const { context, palette, density, width } = this.#sheet;
    edges.forEach((edge, trace) => {
      const inwards = trace === 0 ? 1 : -1;
      /** @type {{left: number, value: number} | null} */
      let highest = null;
      for (const { t, values } of this.track.readings) {
        const value = values[trace] ?? 0;
        if (value <= limit || x(t) < 0) continue;
        const left = x(t);
        context.fillStyle = (trace === 0 ? palette?.trace : palette?.low) ?? "";
        context.beginPath();
        context.moveTo(left, edge);
        context.lineTo(left - 3 * density, edge + inwards * 5 * density);
        context.lineTo(left + 3 * density, edge + inwards * 5 * density);
        context.fill();
        if (highest === null || value > highest.value) highest = { left, value };
      }
      if (highest === null) return;
      const words = this.#scale.label(highest.value);
      const room = context.measureText(words).width + 6 * density;
      const left = highest.left + room > width ? highest.left - room : highest.left + 6 * density;
      this.#sheet.print(words, left, edge + inwards * 3 * density, trace === 0 ? "top" : "bottom");
    });
  }

  /** @param {(t: number) => number} x */
  #rug(x) {
    const { context, palette, density, height } = this.#sheet;
    if (palette === null) return;
    const colours = { earlier: palette.edge, live: palette.muted, recovered: palette.replay };
    const line = Math.max(1, Math.round(density * 0.75));
    for (const { t, age, from } of this.track.readings) {
      const share = from === "earlier" ? 0 : Math.log(Math.max(1, age)) / Math.log(RUG_AGE);
      const bar = Math.round((1.5 + Math.min(1, share) * (RUG - 1.5)) * density);
      context.fillStyle = colours[from];
      context.fillRect(Math.round(x(t)), height - bar, line, bar);
    }
  }

  /** @param {(t: number) => number} x @param {((value: number) => number)[]} y */
  #pen(x, y) {
    const { context, palette, density } = this.#sheet;
    const last = this.track.readings.at(-1);
    if (last === undefined || palette === null) return;
    last.values.forEach((value, trace) => {
      context.beginPath();
      context.arc(x(last.t), y[trace](value), 3 * density, 0, 2 * Math.PI);
      context.fillStyle = trace === 0 ? palette.trace : palette.low;
      context.fill();
    });
  }
}

/** The times under the charts, on the same moving paper. */
export class TimeAxis {
  #sheet;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#sheet = new Sheet(canvas);
  }

  repaint() {
    this.#sheet.repaint();
  }

  /** @param {number} now Seconds. */
  draw(now) {
    const sheet = this.#sheet;
    const x = sheet.begin(now, 0);
    if (x === null) return;
    const { context, density, width } = sheet;
    const sample = context.measureText("00:00:00").width;
    const step = (sample + 24 * density) * (SPAN / RULE) < width ? RULE : 2 * RULE;
    for (let t = Math.ceil((now - SPAN) / step) * step; t <= now; t += step) {
      const left = x(t) - sample / 2;
      if (left < 0 || left + sample > width) continue;
      sheet.print(new Date(t * 1000).toTimeString().slice(0, 8), left, 2 * density, "top");
    }
  }
}

/** Draws charts, all in one frame, as long as somebody can see them. */
export class Recorder {
  #last = 0;
  #charts;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /** @param {{draw(now: number): void, repaint(): void}[]} charts */
  constructor(charts) {
    this.#charts = charts;
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => {
        for (const chart of charts) chart.repaint();
      });
    }
    requestAnimationFrame(this.#frame); // never called in a page that is hidden
  }

  #frame = (/** @type {number} */ time) => {
    requestAnimationFrame(this.#frame);
    if (this.#still.matches && time - this.#last < STILL_INTERVAL) return;
    this.#last = time;
    const now = Date.now() / 1000;
    for (const chart of this.#charts) chart.draw(now);
  };
}
