/**
 * The page "Shardlayer live": puts the client, the rooms and the chat together.
 */

import { Recorder, TimeAxis } from "./charts.js";
import { RealtimeClient } from "../realtime/client.js";
import { Announcements } from "./page/announcements.js";
import { Chat } from "./page/chat.js";
import { Figures } from "./page/figures.js";
import { PeopleHere } from "./page/people-here.js";
import { RoomPanel } from "./page/room-panel.js";
import { ageWords, connectionMood, connectionWords, rateWords } from "./page/words.js";

/** Time between two looks at the figures, in milliseconds: figures that can still be read. */
const REFRESH = 250;

/** @param {string} selector @returns {HTMLElement} */
function find(selector) {
  const found = document.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new TypeError(`The page has no ${selector}.`);
  return found;
}

const page = find("[data-websocket-path]");
const client = new RealtimeClient(page.dataset.websocketPath ?? "/ws/", {
  heartbeat: 5_000, // a page that shows the connection's state should know it soon
  sentAt: (data, room) => (room.startsWith("machine.") ? data.t * 1000 : undefined),
});
const figures = new Figures(performance.now());
const panels = [...document.querySelectorAll("[data-room^='machine.']")].map(
  (element) =>
    new RoomPanel(/** @type {HTMLElement} */ (element), client, (age) => {
      figures.record(performance.now(), age);
    }),
);
new Announcements(find("[data-part='announcements']"), client);
new PeopleHere(find("[data-room='chat.lobby'] [data-part='people']"), client, "chat.lobby");
new Chat(find("[data-room='chat.lobby']"), client);
const axis = new TimeAxis(/** @type {HTMLCanvasElement} */ (find("[data-part='axis']")));
new Recorder([...panels.map(({ chart }) => chart), axis]);

let isLive = false;
let wasLive = false;

client.addEventListener("state", () => {
  const { state } = client.status;
  const connected = state === "live" || state === "behind";
  if (connected && !isLive) figures.restart(performance.now());
  for (const { chart } of panels) {
    if (connected) chart.track.mend(Date.now() / 1000);
    else if (wasLive) chart.track.cut(Date.now() / 1000);
  }
  isLive = connected;
  wasLive ||= connected;
  refresh();
});

const state = find("[data-part='state']");
const spoken = find("[data-part='spoken']");
const reason = find("[data-part='reason']");
const lead = find("[data-part='lead']");
const again = find("[data-part='again']");
const allRate = find("[data-part='all-rate']");
const allP50 = find("[data-part='all-p50']");
const allP95 = find("[data-part='all-p95']");
again.addEventListener("click", () => client.connect());

/** Put the present state and figures in place. */
function refresh() {
  const { status } = client;
  const mood = connectionMood(status, wasLive);
  state.textContent = connectionWords(status, wasLive, Date.now());
  // A countdown that is read out each second helps nobody: say the state when it changes.
  if (page.dataset.mood !== mood) spoken.textContent = state.textContent;
  page.dataset.mood = mood;
  reason.textContent = status.reason;
  lead.hidden = status.reason !== "";
  again.hidden = !status.final;
  const { rate, p50, p95 } = figures.summary(performance.now());
  allRate.textContent = rateWords(rate);
  allP50.textContent = ageWords(p50);
  allP95.textContent = ageWords(p95);
  for (const panel of panels) panel.refresh(status);
}

client.connect();
setInterval(refresh, REFRESH);
