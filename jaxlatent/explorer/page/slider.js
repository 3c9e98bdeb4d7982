import { el, fixed, freshId } from "./dom.js";

/**
 * A labelled slider: the interval that is left to it as a band, its value with unit, a help line, a reset.
 * `changed(value, live)` is called while it is dragged (live) and when it is let go.
 */
export class Slider {
  constructor({ id = freshId("slider"), label, name, help, least, most, step, unit = "", decimals = 2, reset, changed, settled, ends }) {
    this.range = [least, most];
    this.unit = unit;
    this.decimals = decimals;
    this.dragged = false;
    this.input = el("input", {
      type: "range",
      id,
      "aria-label": name,
      min: least,
      max: most,
      step,
      "aria-describedby": help ? `${id}-help` : undefined,
      oninput: () => {
        this.dragged = true;
        this.say(Number(this.input.value));
        changed(Number(this.input.value), true);
      },
      onchange: () => {
        this.dragged = false;
        settled?.();
      },
      onpointerup: () => {
        this.dragged = false;
      },
      onblur: () => {
        this.dragged = false;
      },
    });
    this.band = el("i", { class: "band", "aria-hidden": "true" });
    this.output = el("output", { for: id });
    this.resetButton = reset
      ? el("button", { class: "reset", title: `Reset ${name ?? label}`, "aria-label": `Reset ${name ?? label}`, onclick: reset, hidden: true }, "×")
      : null;
    this.element = el(
      "div",
      { class: "slider" },
      el("label", { for: id }, label),
      el("span", { class: "track" }, this.band, this.input),
      this.output,
      this.resetButton ?? el("span"),
      help ? el("small", { id: `${id}-help`, class: "quiet help" }, help) : null,
    );
    this.thumbs = (ends ?? []).map((value) => {
      const canvas = el("canvas", { "aria-hidden": "true", class: "picture" });
      const text = `${name ?? label}: ${fixed(value, 1)}${unit && ` ${unit}`}`;
      const button = el("button", { class: "end", "aria-label": text, title: text, onclick: () => changed(value, false) }, canvas);
      return { value, canvas, button };
    });
    if (this.thumbs.length) {
      const track = this.element.querySelector(".track");
      track.before(this.thumbs[0].button);
      track.after(this.thumbs[1].button);
      this.element.classList.add("with-ends");
    }
    this.setBand(null);
  }

  /** Shows a value, unless it is being dragged. */
  set(value, isEdited = false) {
    if (!this.dragged) {
      this.input.value = String(value);
      this.say(value);
    }
    if (this.resetButton) this.resetButton.hidden = !isEdited;
  }

  say(value) {
    const text = fixed(value, this.decimals) + (this.unit && ` ${this.unit}`);
    this.output.value = text;
    this.input.setAttribute("aria-valuetext", text);
  }

  /** The interval [low, high] that is left, in the slider's unit; null for none that is known, NaN for empty. */
  setBand(interval) {
    const known = interval !== null && Number.isFinite(interval[0]);
    const empty = interval !== null && Number.isNaN(interval[0]);
    this.element.classList.toggle("empty", empty);
    this.band.hidden = !known;
    if (!known) return;
    const [least, most] = this.range;
    const share = (value) => Math.min(1, Math.max(0, (value - least) / (most - least)));
    this.band.style.setProperty("--from", share(interval[0]));
    this.band.style.setProperty("--to", share(interval[1]));
    this.band.title = `inside from ${fixed(interval[0])} to ${fixed(interval[1])}`;
  }
}
