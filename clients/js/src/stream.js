/**
 * The events in a response's body, as text/event-stream has them.
 */

/**
 * @typedef {object} StreamEvent
 * @property {string} type `message` if it has no other.
 * @property {string} data
 * @property {number} [retry] Milliseconds until the client may come back.
 */

/**
 * Read a response to its end.
 * @param {ReadableStream<BufferSource>} body
 * @param {() => void} onHeard Called for whatever comes, also comments.
 * @returns {AsyncGenerator<StreamEvent, void>}
 */
export async function* eventsIn(body, onHeard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onHeard();
    const blocks = (text + value).split(/\r?\n\r?\n/);
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      /** @type {StreamEvent} */
      const event = { type: "message", data: "" };
      for (const line of block.split(/\r?\n/)) {
        const [, name, value] = /^(event|data|retry): ?(.*)$/.exec(line) ?? [];
        if (name === "event") event.type = value;
        else if (name === "retry") event.retry = Number(value);
        else if (name === "data") event.data += value; // JSON, to which line ends mean nothing
      }
      if (event.data !== "") yield event;
    }
  }
}
