/* Plays the server's part of the stream to the real client; prints what the page would act on. */
import { GestureClient } from "../../agent/web/static/gesture-client.js";

let socket;
globalThis.WebSocket = class {
  static OPEN = 1;
  readyState = 1;
  constructor() {
    socket = this;
  }
};

const client = new GestureClient({ url: "http://localhost/ws/kiosk", maxAge: 2000 });
const heard = [];
client.addEventListener("choose", ({ detail }) => heard.push(detail.gesture));
client.addEventListener("camera", ({ detail }) => heard.push(detail.state));
client.start();

const skew = 3_600_000; // the agent's clock is an hour ahead
const say = (type, age, more) =>
  socket.onmessage({ data: JSON.stringify({ type, ts_ms: Date.now() + skew - age, ...more }) });

socket.onmessage({ data: JSON.stringify({ type: "hello" }) });
say("fired", 50, { camera: "front", gesture: "in time" });
say("fired", 5000, { camera: "front", gesture: "late" });
say("camera", 5000, { camera: "front", state: "offline" });
say("fired", 50, { camera: "front", gesture: "in time again" });
console.log(JSON.stringify(heard));
