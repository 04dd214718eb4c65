/* Small sounds for awake, fired and refused, made here of pure tones. Silent until switched on. */

const LOUDNESS = 0.12;
const KEPT = "gesture-agent.sounds";
const TONES = {
  // [Hz, begins after s, lasts s]: rising, bright, falling
  awake: [[523, 0, 0.12], [784, 0.1, 0.2]],
  fired: [[880, 0, 0.09], [1319, 0.07, 0.16]],
  refused: [[294, 0, 0.14], [220, 0.13, 0.22]],
};

export class Sounds {
  #context = null;
  #on = false;

  constructor(on = false) {
    this.switch(on);
    // Browsers let a page sound once somebody has touched it.
    for (const touch of ["pointerdown", "keydown"]) addEventListener(touch, () => this.#on && this.#audible());
  }

  get on() {
    return this.#on;
  }

  switch(on) {
    this.#on = on;
    if (!on) this.#context?.suspend();
  }

  play(kind) {
    if (!this.#on || !TONES[kind]) return;
    const context = this.#audible();
    if (context.state === "suspended" && !navigator.userActivation?.hasBeenActive) return;
    for (const [hertz, after, lasts] of TONES[kind]) tone(context, hertz, context.currentTime + after, lasts);
  }

  #audible() {
    this.#context ??= new AudioContext();
    if (this.#context.state === "suspended") this.#context.resume().catch(() => {});
    return this.#context;
  }
}

function tone(context, hertz, at, lasts) {
  const voice = new OscillatorNode(context, { type: "sine", frequency: hertz });
  const volume = new GainNode(context, { gain: 0 });
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(LOUDNESS, at + 0.01);
  volume.gain.exponentialRampToValueAtTime(0.0001, at + lasts);
  voice.connect(volume).connect(context.destination);
  voice.start(at);
  voice.stop(at + lasts);
}

/* A button that switches them, and remembers it in this browser. */
export function soundButton(button) {
  const sounds = new Sounds(stored() === "on");
  const show = () => button.setAttribute("aria-pressed", String(sounds.on));
  button.addEventListener("click", () => {
    sounds.switch(!sounds.on);
    store(sounds.on ? "on" : "off");
    show();
    sounds.play("fired");
  });
  show();
  return sounds;
}

function stored() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function store(value) {
  try {
    localStorage.setItem(KEPT, value);
  } catch {
    // as above: it holds until the page is left
  }
}
