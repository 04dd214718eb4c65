/*
 * Client of gesture-agent's WebSocket stream, for any page. No dependencies.
 *
 *   import { GestureClient } from "http://localhost:8765/static/gesture-client.js";
 *
 *   const gestures = new GestureClient({ dwell: { ok: 800 } });
 *   gestures.addEventListener("ring", ({ detail }) => draw(detail.gesture, detail.ring));
 *   gestures.addEventListener("choose", ({ detail }) => act(detail.gesture));
 *   gestures.start();
 *
 * Every message of the stream is an event of its `type` (hello, progress, fired, ended, rule, camera, armed,
 * enabled), its `detail` the message. Derived events for pages:
 *
 *   ring    {gesture, ring 0..1, camera, hand, confidence, x, y}  once a frame for the hand with the most progress;
 *           gesture null and ring 0 when no gesture is forming
 *   choose  {gesture, ...}   once per hold: the ring is full
 *   hand    a hand came into view;  lost: the last one left, or the connection was lost
 *   state   {connected}
 *
 * `dwell` are hold times in ms longer than the agent's own; the default is the agent's `hold`.
 *
 * Messages more than `maxAge` ms late are dropped: after a stall of the page or the network, old gestures
 * must not act. The delay is relative to the fastest message of the last minute or two, so that
 * the clocks of the two machines need not agree.
 */

const MOMENTARY = new Set(["progress", "fired", "ended", "rule"]); // expire; the others are states
const MINUTE_MS = 60_000; // either clock may be changed: the fastest message is forgotten after a while
const AGAIN_MS = [250, 500, 1000, 2000, 5000]; // between two connection attempts

export class GestureClient extends EventTarget {
  #url;
  #token;
  #dwell;
  #maxAge;
  #quickest = [Infinity, Infinity]; // minimum of (our clock - theirs), this minute and the previous one
  #minute = 0;
  #socket = null;
  #timer = 0;
  #failures = 0;
  #running = false;
  #hands = new Map(); // camera: hands of the newest progress message
  #chosen = new Map(); // hand id: the chosen gesture while it is active
  #shown = false; // the last ring event had a gesture

  constructor({ url = new URL("../ws/kiosk", import.meta.url), token = "", dwell = {}, maxAge = 5000 } = {}) {
    super();
    this.#url = new URL(url, import.meta.url);
    this.#url.protocol = this.#url.protocol === "https:" || this.#url.protocol === "wss:" ? "wss:" : "ws:";
    this.#token = token;
    this.#dwell = dwell;
    this.#maxAge = maxAge;
  }

  get connected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  start() {
    this.#running = true;
    this.#connect();
    return this;
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #connect() {
    const protocols = this.#token ? ["gesture-agent", `token.${base64url(this.#token)}`] : ["gesture-agent"];
    const socket = new WebSocket(this.#url, protocols);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#emit("state", { connected: true });
    };
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = () => this.#lost();
  }

  #lost() {
    this.#forget();
    this.#emit("state", { connected: false });
    if (!this.#running) return;
    const wait = AGAIN_MS[Math.min(this.#failures, AGAIN_MS.length - 1)];
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#connect(), wait * (0.75 + Math.random() / 2));
  }

  #hear(message) {
    if (message.type === "camera" && message.state !== "online") this.#forget(message.camera);
    if (message.type === "enabled" && !message.enabled) this.#forget();
    if (this.#late(message)) return;
    this.#emit(message.type, message);
    if (message.type === "progress") this.#follow(message);
    else if (message.type === "fired" && !(message.gesture in this.#dwell)) this.#emit("choose", message);
  }

  #late({ type, ts_ms }) {
    if (type === "hello") this.#quickest = [Infinity, Infinity]; // another connection, perhaps another agent
    if (ts_ms === undefined) return false;
    const behind = Date.now() - ts_ms;
    const minute = Math.floor(Date.now() / MINUTE_MS);
    if (minute !== this.#minute) this.#quickest = [behind, this.#quickest[0]];
    else this.#quickest[0] = Math.min(this.#quickest[0], behind);
    this.#minute = minute;
    return MOMENTARY.has(type) && behind - Math.min(...this.#quickest) > this.#maxAge;
  }

  #follow({ camera, hands }) {
    const before = this.#count();
    this.#hands.set(camera, hands);
    const now = this.#count();
    if (now && !before) this.#emit("hand", hands[0]);
    const rings = hands.filter((hand) => hand.gesture); // a flickering gesture is still the same hold
    for (const hand of hands) if (!hand.gesture) this.#chosen.delete(hand.id);
    for (const hand of rings) this.#dwellOn(camera, hand);
    this.#ring(camera, rings);
    if (before && !now) this.#forget();
  }

  #dwellOn(camera, hand) {
    if (this.#chosen.has(hand.id) && this.#chosen.get(hand.id) !== hand.gesture) this.#chosen.delete(hand.id);
    const full = hand.gesture in this.#dwell && hand.phase === "on" && this.#ringOf(hand) >= 1;
    if (!full || this.#chosen.has(hand.id)) return;
    this.#chosen.set(hand.id, hand.gesture);
    this.#emit("choose", { camera, ...hand, ring: 1 });
  }

  #ring(camera, hands) {
    const [first] = hands.map((hand) => ({ camera, ...hand, ring: this.#ringOf(hand) })).sort((a, b) => b.ring - a.ring);
    if (first || this.#shown) this.#emit("ring", first ?? { gesture: null, ring: 0, camera });
    this.#shown = Boolean(first);
  }

  /* Progress of the page's own dwell time, or of the agent's hold. */
  #ringOf(hand) {
    const wanted = this.#dwell[hand.gesture];
    return wanted ? Math.min(hand.ring, hand.held_ms / wanted) : hand.ring;
  }

  #count() {
    let seen = 0;
    for (const hands of this.#hands.values()) seen += hands.length;
    return seen;
  }

  #forget(camera) {
    const before = this.#count();
    if (camera === undefined) this.#hands.clear();
    else this.#hands.delete(camera);
    if (this.#count()) return;
    this.#chosen.clear();
    if (this.#shown) this.#emit("ring", { gesture: null, ring: 0 });
    this.#shown = false;
    if (before || camera === undefined) this.#emit("lost", {});
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function base64url(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
