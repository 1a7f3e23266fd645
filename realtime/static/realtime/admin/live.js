// Shows a page of the admin anew while it is open: its parts come over a WebSocket as HTML.
//
// The page asks for each look, so a hidden or paused page costs nothing and nothing piles up.

import { renew } from "./renew.js";

const FIRST_RETRY = 1_000; // ms
const LAST_RETRY = 30_000; // ms
const CLOSE_REFUSED = 4003; // signed out, or the permission is gone: it would be no use to try again
const CLOSE_BUSY = 1013; // as many pages refresh themselves as may

const page = document.getElementById("content-main");
const state = document.getElementById("realtime-state");
const button = document.getElementById("realtime-pause");
const words = {}; // in the reader's language
for (const { dataset, textContent } of document.getElementById("realtime-words").content.children) {
  words[dataset.word] = textContent;
}

let socket = null;
let retry = FIRST_RETRY;
let timer = 0;
let isPaused = false;
let isRefused = false;

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function isWanted() {
  return !isPaused && !isRefused && !document.hidden;
}

function ask() {
  if (isWanted() && socket?.readyState === WebSocket.OPEN) socket.send("next");
}

function connect() {
  clearTimeout(timer);
  const address = new URL(page.dataset.liveAddress, location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(address);
  socket.onopen = () => socket.send(page.dataset.liveTicket);
  socket.onmessage = ({ data }) => {
    retry = FIRST_RETRY;
    if (isPaused) return;
    for (const [id, html] of Object.entries(JSON.parse(data))) renew(document.getElementById(id), html);
    say(words.fresh);
    ask();
  };
  socket.onclose = ({ code }) => {
    socket = null;
    if (code === CLOSE_REFUSED) {
      isRefused = true;
      button.hidden = true;
      say(words.refused);
      return;
    }
    if (!isWanted()) return;
    if (code === CLOSE_BUSY) retry = LAST_RETRY;
    say(code === CLOSE_BUSY ? words.busy : words.lost);
    timer = setTimeout(connect, retry * (0.5 + Math.random() / 2));
    retry = Math.min(2 * retry, LAST_RETRY);
  };
}

function goOn() {
  if (!isWanted()) return;
  if (socket === null) connect();
  else ask();
}

button.hidden = false;
button.addEventListener("click", () => {
  isPaused = !isPaused;
  button.textContent = isPaused ? words.resume : words.pause;
  if (isPaused) say(words.paused);
  else goOn();
});
document.addEventListener("visibilitychange", goOn);
addEventListener("pageshow", goOn);
goOn();
