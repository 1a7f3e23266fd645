/**
 * Files of their own, which most pages never load: each is fetched when it is needed.
 */

export const loadShared = () => import("./shared.js");
export const loadSse = () => import("./sse.js");
