/* Preview pictures with skeleton and hands. Requests the next one when the last is drawn. */

const AGAIN_MS = 1000;
const STALE_MS = 10000; // a picture without a successor is outdated
const FINGERS = [[0, 1, 2, 3, 4], [0, 5, 6, 7, 8], [5, 9, 13, 17, 0], [9, 10, 11, 12], [13, 14, 15, 16], [17, 18, 19, 20]];

export class PreviewPicture {
  #canvas = document.createElement("canvas");
  #stage;
  #camera;
  #socket;
  #stopped = false;
  #epoch = 0; // changes when the picture is cleared, so that pictures still being decoded are not drawn
  #stale = 0;

  constructor(camera, stage) {
    this.#camera = camera;
    this.#stage = stage;
    this.#canvas.setAttribute("role", "img");
    this.#canvas.setAttribute("aria-label", `Picture of camera ${camera}`);
    this.#canvas.hidden = true;
    stage.append(this.#canvas);
    this.#connect();
  }

  /* Clear the picture at once. */
  clear() {
    this.#epoch += 1;
    clearTimeout(this.#stale);
    this.#stage.classList.remove("has-picture");
    this.#canvas.width = 0;
    this.#canvas.hidden = true;
  }

  stop() {
    this.#stopped = true;
    this.#socket.close();
    this.clear();
    this.#canvas.remove();
  }

  #connect() {
    if (this.#stopped) return;
    const url = new URL(`../ws/preview/${encodeURIComponent(this.#camera)}`, import.meta.url);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, ["gesture-agent"]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send("next");
    socket.onmessage = async ({ data }) => {
      const length = new DataView(data).getUint32(0);
      if (data.byteLength === 4 + length) {
        this.clear();
        return;
      }
      await this.#draw(data, length);
      requestAnimationFrame(() => socket.readyState === WebSocket.OPEN && socket.send("next"));
    };
    socket.onclose = () => {
      this.clear();
      setTimeout(() => this.#connect(), AGAIN_MS);
    };
  }

  async #draw(data, length) {
    const epoch = this.#epoch;
    const found = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const picture = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
    if (epoch !== this.#epoch) {
      picture.close();
      return;
    }
    const canvas = this.#canvas;
    if (canvas.width !== picture.width * 2) {
      canvas.width = picture.width * 2;
      canvas.height = picture.height * 2;
      this.#stage.style.aspectRatio = `${picture.width} / ${picture.height}`;
    }
    canvas.hidden = false;
    const pen = canvas.getContext("2d");
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    picture.close();
    this.#stage.classList.add("has-picture");
    clearTimeout(this.#stale);
    this.#stale = setTimeout(() => this.clear(), STALE_MS);
    pen.lineCap = pen.lineJoin = "round";
    for (const [ax, ay, bx, by] of found.bones) this.#line([[ax, ay], [bx, by]], "#facc15", 5);
    for (const hand of found.hands) {
      this.#line([...hand.corners, hand.corners[0]], "#2dd4bf", 4);
      for (const finger of FINGERS) this.#line(finger.map((i) => hand.landmarks[i]), "#ffffff", 3);
    }
  }

  #line(points, colour, width) {
    if (points.some((point) => !point)) return;
    const { width: w, height: h } = this.#canvas;
    const pen = this.#canvas.getContext("2d");
    pen.beginPath();
    for (const [x, y] of points) pen.lineTo(x * w, y * h);
    pen.strokeStyle = "rgb(0 0 0 / 45%)";
    pen.lineWidth = width + 3;
    pen.stroke();
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.stroke();
  }
}
