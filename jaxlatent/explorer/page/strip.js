import { download, el, paint, picture } from "./dom.js";
import { imageAt, rowAt } from "./wire.js";

const STRIP_SHOWN = 9;
const STRIP_MS = 90;

/** A way through the latent space: film strip, moving picture, files. */
export class Strip {
  constructor(store, engine, info, notice) {
    Object.assign(this, { store, engine, notice });
    this.canvas = el("canvas", { class: "moving", role: "img", "aria-label": "The way, as a moving picture" });
    this.frames = el("div", { class: "strip" });
    this.play = el("button", { onclick: () => this.toggle() }, "Pause");
    const files = info.animations.map((kind) =>
      el("button", { "data-format": kind, onclick: () => this.save(kind) }, `Save as ${kind === "gif" ? "GIF" : "WebP"}`),
    );
    this.element = el("div", { class: "film", hidden: true }, this.canvas, el("div", {}, this.frames, el("div", { class: "row" }, this.play, files)));
    this.isPlaying = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.play.textContent = this.isPlaying ? "Pause" : "Play";
  }

  /** Asks for the frames of a question, as `engine.faces` takes it, and shows them. */
  async show(question) {
    let answer;
    try {
      answer = await this.engine.faces(question, "strip");
    } catch (error) {
      this.notice(error);
      return;
    }
    if (!answer?.images) return;
    this.question = question;
    this.images = answer.images;
    this.element.hidden = false;
    const count = answer.images.shape[0];
    const some = Math.min(STRIP_SHOWN, count);
    this.frames.replaceChildren(
      ...Array.from({ length: some }, (_, i) => {
        const row = some === 1 ? 0 : Math.round((i * (count - 1)) / (some - 1));
        const label = `Frame ${row + 1} of ${count}`;
        return el(
          "button",
          { class: "cell", "aria-label": `${label}: look at it`, onclick: () => this.store.change(this.store.recipe.ofVector(rowAt(answer.vectors, row))) },
          picture(imageAt(answer.images, row), label),
        );
      }),
    );
    this.frame = 0;
    paint(this.canvas, imageAt(this.images, 0));
    clearInterval(this.timer);
    this.timer = setInterval(() => this.advance(), STRIP_MS);
  }

  advance() {
    if (!this.element.isConnected || this.element.closest("[hidden]") || !this.isPlaying) return;
    const count = this.images.shape[0];
    this.frame = (this.frame + 1) % Math.max(1, 2 * count - 2);
    paint(this.canvas, imageAt(this.images, this.frame < count ? this.frame : 2 * count - 2 - this.frame));
  }

  toggle() {
    this.isPlaying = !this.isPlaying;
    this.play.textContent = this.isPlaying ? "Pause" : "Play";
  }

  async save(kind) {
    try {
      download(`way.${kind}`, await this.engine.animation({ ...this.question, format: kind }));
    } catch (error) {
      this.notice(error);
    }
  }
}
