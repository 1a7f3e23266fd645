/** A page for libraries that draw, and a client whose connection the test is. */

import { Window } from "happy-dom";

import { RealtimeClient } from "../../src/client.js";

/** To be called before a library is imported. @returns {HTMLElement} Where it may draw. */
export function openPage() {
  const window = new Window({ url: "http://127.0.0.1/" });
  for (const name of ["window", "document", "Node", "Text", "Comment", "Element", "HTMLElement", "SVGElement", "MutationObserver", "DocumentFragment", "HTMLMediaElement", "requestAnimationFrame", "navigator"]) {
    globalThis[name] ??= name === "window" ? window : window[name];
  }
  globalThis.IS_REACT_ACT_ENVIRONMENT = true;
  return document.body.appendChild(document.createElement("main"));
}

/** A connected client, and the server's end of its WebSocket. */
export async function connectedClient() {
  const server = { commands: [], socket: null };
  const client = new RealtimeClient("ws://127.0.0.1/ws/", {
    socket: () => {
      server.socket = {
        send: (frame) => {
          const command = JSON.parse(frame);
          server.commands.push(command);
          const rooms = command.subscribe?.map(({ room }) => ({ room, offset: 1, epoch: "e", recovered: true, publications: [] }));
          if (rooms) queueMicrotask(() => server.say({ id: command.id, subscribed: rooms }));
        },
        close: () => {},
      };
      queueMicrotask(() => server.socket.onopen());
      return server.socket;
    },
  });
  server.say = (message) => server.socket.onmessage({ data: JSON.stringify(message) });
  server.of = (kind) => server.commands.map((command) => command[kind]).filter((each) => each !== undefined);
  client.connect();
  await settled();
  return { client, server };
}

/** A `state` that loads when the test says so, or fails; and from where it was asked for. */
export function slowState() {
  const asked = [];
  const ends = [];
  const state = (since) => new Promise((resolve, reject) => {
    asked.push(since);
    ends.push({ resolve, reject });
  });
  const end = async (how, value) => {
    ends.shift()[how](value);
    await settled();
  };
  return { state, asked, loads: () => end("resolve"), fails: () => end("reject", new Error("no rows")) };
}

export const settled = () => new Promise((resolve) => setTimeout(resolve, 20));
