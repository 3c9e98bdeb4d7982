import { paint } from "./dom.js";
import { openPage } from "./main.js";
import { animatedWebp } from "./webp.js";
import { imageAt } from "./wire.js";

const STATIC_LEAST_SIDE = 256;
const STATIC_SECONDS = 3;

/** Asks the worker that this page brings along; the same questions and answers as `ServerEngine`. */
class StaticEngine {
  constructor(source, buffer) {
    this.worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    this.waiting = new Map();
    this.number = 0;
    this.worker.onmessage = ({ data: { number, answer, error } }) => {
      const { resolve, reject } = this.waiting.get(number);
      this.waiting.delete(number);
      if (error === undefined) resolve(answer);
      else reject(new Error(error));
    };
    this.worker.onerror = (event) => {
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || "the worker cannot be started"));
    };
    this.opened = this.ask("open", buffer, [buffer]);
  }

  ask(name, question, transfer = []) {
    this.number += 1;
    const { number } = this;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.worker.postMessage({ number, name, question }, transfer);
    });
  }

  async info() {
    await this.opened;
    return this.ask("info");
  }

  face(state) {
    return this.ask("face", state);
  }

  faces(question) {
    return this.ask("faces", question);
  }

  plane(question) {
    return this.ask("plane", question);
  }

  async animation(question) {
    const { images } = await this.faces(question);
    const count = images.shape[0];
    const small = document.createElement("canvas");
    const frames = Array.from({ length: 2 * count - 2 }, (_, i) => {
      paint(small, imageAt(images, i < count ? i : 2 * count - 2 - i));
      const factor = Math.ceil(STATIC_LEAST_SIDE / small.width);
      const large = document.createElement("canvas");
      [large.width, large.height] = [small.width * factor, small.height * factor];
      const context = large.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.drawImage(small, 0, 0, large.width, large.height);
      return large;
    });
    return animatedWebp(frames, Math.round((1000 * STATIC_SECONDS) / count));
  }
}

function staticData() {
  const text = atob(document.getElementById("data").textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}

openPage(new StaticEngine(document.getElementById("worker").textContent, staticData()));
