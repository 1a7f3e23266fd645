/** Tabs of one browser, all in this process: the channel between them is Node's own, the locks are as browsers have them. */

/** @type {Map<string, Promise<unknown>>} */
const held = new Map();

/** One holds a lock; the next gets it when what that one does has ended. */
async function request(name, how, hold = how) {
  const ends = (held.get(name) ?? Promise.resolve()).then(() => hold());
  held.set(name, ends);
  return ends;
}

/** To be called before a client shares. */
export function openBrowser() {
  Object.defineProperty(globalThis, "navigator", { value: { locks: { request } }, configurable: true });
}
