/**
 * The paper of a strip chart: a canvas in device pixels, its colours from CSS, its place in time.
 */

import { SPAN } from "./track.js";

/**
 * @typedef {object} Palette
 * @property {string} muted
 * @property {string} edge
 * @property {string} rule
 * @property {string} paper
 * @property {string} trace
 * @property {string} low The second trace.
 * @property {string} replay
 * @property {string} cut
 * @property {string} font In device pixels.
 */

/** CSS pixels between the present and the right edge: room for the pen. */
const PEN = 7;

/** A canvas as large as its box, in device pixels. */
export class Sheet {
  width = 0;
  height = 0;
  density = 1;
  shown = true;
  /** @type {Palette | null} */
  palette = null;
  #drawn = "";

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    new ResizeObserver(() => this.#resize()).observe(canvas);
    new IntersectionObserver((entries) => (this.shown = entries.some((e) => e.isIntersecting)), {
      rootMargin: "200px", // drawn before it is scrolled to
    }).observe(canvas);
    this.#resize();
  }

  #resize() {
    this.density = devicePixelRatio;
    this.width = Math.round(this.canvas.clientWidth * this.density);
    this.height = Math.round(this.canvas.clientHeight * this.density);
    this.canvas.width = this.width;
    this.canvas.height = this.height;
    this.#drawn = "";
  }

  /** The colours have changed. */
  repaint() {
    this.palette = null;
    this.#drawn = "";
  }

  /**
   * Whether there is anything to draw, and if so prepare for it.
   * @param {number} now Seconds.
   * @param {number} version What else the picture depends on.
   * @returns {((t: number) => number) | null} The place of a time, in device pixels.
   */
  begin(now, version) {
    if (!this.shown || this.width === 0) return null;
    if (this.density !== devicePixelRatio) this.#resize();
    const pen = this.width - Math.round(PEN * this.density);
    const perSecond = pen / SPAN;
    const origin = Math.round(now * perSecond);
    const picture = `${origin} ${version}`;
    if (picture === this.#drawn) return null;
    this.#drawn = picture;
    this.palette ??= this.#readPalette();
    this.context.clearRect(0, 0, this.width, this.height);
    this.context.font = this.palette.font;
    return (t) => pen - origin + t * perSecond;
  }

  /** @returns {Palette} */
  #readPalette() {
    const style = getComputedStyle(this.canvas);
    /** As the browser has it at last: in forced colours it is one of the reader's own. @param {string} name */
    const colour = (name) => {
      this.canvas.style.color = `var(--${name})`;
      const { color } = style;
      this.canvas.style.color = "";
      return color;
    };
    return {
      muted: colour("muted"),
      edge: colour("edge"),
      rule: colour("rule"),
      paper: colour("paper"),
      trace: colour("trace"),
      low: colour("trace-low"),
      replay: colour("replay"),
      cut: colour("cut"),
      font: `${parseFloat(style.fontSize) * this.density}px ${style.fontFamily}`,
    };
  }

  /**
   * Text with a rim of the paper's own colour, so that a trace below it leaves it readable.
   * @param {string} text @param {number} x @param {number} y @param {CanvasTextBaseline} baseline
   * @param {string} [colour]
   */
  print(text, x, y, baseline, colour = this.palette?.muted) {
    const { context, palette } = this;
    if (palette === null) return;
    context.textBaseline = baseline;
    context.lineJoin = "round";
    context.lineWidth = 4 * this.density;
    context.strokeStyle = palette.paper;
    context.strokeText(text, x, y);
    context.fillStyle = colour ?? "";
    context.fillText(text, x, y);
  }
}
