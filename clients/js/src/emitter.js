/**
 * An EventTarget that knows whether anybody listens for its errors. A refused room that nobody hears of
 * would look like a room in which nothing happens.
 */

export class Emitter extends EventTarget {
  /** Somebody listens for errors, or did; also true of who was warned. */
  hearsErrors = false;

  /**
   * @param {string} type
   * @param {EventListenerOrEventListenerObject | null} listener
   * @param {boolean | AddEventListenerOptions} [options]
   */
  addEventListener(type, listener, options) {
    if (type === "error") this.hearsErrors = true;
    super.addEventListener(type, listener, options);
  }

  /** @internal @param {string} type @param {unknown} detail */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
