/* Cameras of the agent as they are seen now, for a page that shows them in more than one place. */

import { CameraCard } from "./camera-card.js";
import { GestureClient } from "./gesture-client.js";

export class Live extends EventTarget {
  hello = null; // the newest of the agent; null while it is away
  #cards = new Map();
  #stream = new GestureClient({ url: new URL("../ws/page", import.meta.url) });

  constructor() {
    super();
    const on = (type, act) => this.#stream.addEventListener(type, ({ detail }) => act(detail));
    on("hello", (hello) => this.#greeted(hello));
    on("state", ({ connected }) => {
      if (connected) return;
      this.hello = null;
      for (const card of this.#cards.values()) card.clear();
      this.#tell("away");
    });
    on("progress", ({ camera, hands, people }) => this.#cards.get(camera)?.progress(hands, people));
    on("camera", ({ camera, state, reason }) => this.#cards.get(camera)?.state(state, reason));
    on("armed", ({ camera, armed, until_ms: until, ts_ms: now }) => this.#cards.get(camera)?.arm(armed, until === null ? null : until - now));
    on("vitals", ({ health }) => {
      for (const [name, camera] of Object.entries(health.camera)) this.#cards.get(name)?.rate(camera);
      this.#tell("health", health);
    });
    for (const type of ["fired", "rule", "rules"]) on(type, (message) => this.#tell(type, message));
    on("log", ({ entry }) => this.#tell("log", entry));
    this.#stream.start();
  }

  /* Show the cameras inside an element. */
  show(place) {
    place.replaceChildren(...[...this.#cards.values()].map(({ element }) => element));
  }

  #greeted(hello) {
    this.hello = hello;
    for (const card of this.#cards.values()) card.stop();
    this.#cards = new Map(hello.cameras.map((name) => [name, new CameraCard(name, hello.preview)]));
    for (const card of this.#cards.values()) card.enable(hello.enabled ?? true);
    for (const [name, { state, reason }] of Object.entries(hello.camera)) this.#cards.get(name)?.state(state, reason);
    this.#tell("hello", hello);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
