/**
 * The page "Shardlayer live": puts the client, the rooms and the chat together.
 */

import { Recorder, TimeAxis } from "./charts.js";
import { RealtimeClient } from "../realtime/client.js";
import { Announcements } from "./page/announcements.js";
import { Cable } from "./page/cable.js";
import { Chat } from "./page/chat.js";
import { Figures } from "./page/figures.js";
import { Histogram } from "./page/histogram.js";
import { PeopleHere } from "./page/people-here.js";
import { RoomPanel } from "./page/room-panel.js";
import { Unread } from "./page/unread.js";
import { ageWords, rateWords, standingOf } from "./page/words.js";

/** Time between two looks at the figures, in milliseconds: figures that can still be read. */
const REFRESH = 250;

/** The room whose members are the people here. Its name for others is told when it is joined. */
const PEOPLE_ROOM = "chat.people";

/** @param {string} selector @returns {HTMLElement} */
function find(selector) {
  const found = document.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new TypeError(`The page has no ${selector}.`);
  return found;
}

/** @param {string} name */
const part = (name) => find(`[data-part='${name}']`);

const page = find("[data-websocket-path]");
const client = new RealtimeClient(page.dataset.websocketPath ?? "/ws/", {
  heartbeat: 5_000, // a page that shows the connection's state should know it soon
  sentAt: (data, room) => (room.startsWith("machine.") ? data.t * 1000 : undefined),
});
const figures = new Figures(performance.now());
const histogram = new Histogram(part("histogram"));
const cable = new Cable(client, {
  worker: part("worker"),
  cut: part("cut"),
  missed: part("missed"),
  fetched: part("fetched"),
  lost: part("lost"),
  "cut-words": part("cut-words"),
});
const panels = [...document.querySelectorAll("[data-room^='machine.']")].map((found) => {
  const element = /** @type {HTMLElement} */ (found);
  return new RoomPanel(element, client, ({ offset, replayed, age }) => {
    cable.note(element.dataset.room ?? "", offset, replayed);
    if (replayed) return;
    const now = performance.now();
    figures.record(now, age);
    histogram.record(now, age);
  });
});
new Announcements(part("announcements"), client);
const chat = new Chat(find("[data-room='chat.lobby']"), client);
const people = { count: part("people"), names: part("names") };
const here = new PeopleHere(people, client, PEOPLE_ROOM, chat.name);
chat.onName = (name) => void here.rename(name);
const unread = new Unread(part("unread"), find(".chat"));
chat.onMessage = () => unread.more();
const axis = new TimeAxis(/** @type {HTMLCanvasElement} */ (part("axis")));
new Recorder([...panels.map(({ chart }) => chart), axis]);

const begun = performance.now();
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

const state = part("state");
const spoken = part("spoken");
const reason = part("reason");
const lead = part("lead");
const again = part("again");
const allRate = part("all-rate");
const allP50 = part("all-p50");
const allP95 = part("all-p95");
again.addEventListener("click", () => client.connect());

/** Put the present state and figures in place. */
function refresh() {
  const { status } = client;
  const now = performance.now();
  const silence = wasLive ? Math.min(...panels.map((panel) => panel.silence(now))) : now - begun;
  const { backAt } = cable;
  const standing = standingOf(status, { wasLive, silence, now: Date.now(), backAt });
  state.textContent = standing.words;
  // A countdown that is read out each second helps nobody: say the state when it changes.
  if (page.dataset.mood !== standing.mood || spoken.textContent === "") {
    spoken.textContent = standing.words;
    if (standing.mood === "live") chat.recovered();
  }
  page.dataset.mood = standing.mood;
  reason.textContent = standing.reason;
  lead.hidden = standing.reason !== "";
  again.hidden = !status.final || backAt !== null;
  const { rate, p50, p95 } = figures.summary(now);
  allRate.textContent = rateWords(rate);
  allP50.textContent = ageWords(p50);
  allP95.textContent = ageWords(p95);
  histogram.refresh(now);
  cable.refresh();
  for (const panel of panels) panel.refresh(status);
}

client.connect();
setInterval(refresh, REFRESH);
