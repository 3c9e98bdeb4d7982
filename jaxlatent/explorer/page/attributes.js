import { el, fixed } from "./dom.js";
import { Ends } from "./ends.js";
import { Slider } from "./slider.js";

const ATTRIBUTES_REACH = 3;
const ATTRIBUTES_END = 2;
const ATTRIBUTES_PICTURED = 48;

/** Directions along which attributes of the images change. */
export class AttributesPanel {
  constructor(store, engine, info, notice) {
    this.store = store;
    this.ends = new Ends(store, engine, notice);
    this.list = el("div", { class: "sliders wide" });
    this.filter = el("input", { type: "search", placeholder: "Find an attribute", "aria-label": "Find an attribute", oninput: () => this.sift() });
    this.note = el("p", { class: "quiet" });
    this.element = el(
      "div",
      {},
      this.note,
      el("div", { class: "row" }, this.filter, el("button", { onclick: () => this.reset() }, "Reset all")),
      this.list,
    );
    this.lay(info);
  }

  /** Once the labels have been read. */
  lay(info) {
    this.note.textContent = info.attributes.length
      ? "From the labels of the training images. 1 is the distance between the mean vectors with and without the attribute; " +
        "the share says how well its direction tells images apart that it was not found from. “Stay inside” keeps the " + info.thing + " in the region."
      : info.progress === "loading"
        ? "The labels are being read …"
        : "The data have no labels.";
    this.sliders = info.attributes.map(({ name, accuracy }, i) => {
      const key = `a.${name}`;
      const slider = new Slider({
        label: name.replaceAll("_", " "),
        help: accuracy === null ? undefined : `told apart ${fixed(100 * accuracy, 0)} %`,
        least: -ATTRIBUTES_REACH,
        most: ATTRIBUTES_REACH,
        ends: info.image && i < ATTRIBUTES_PICTURED ? [-ATTRIBUTES_END, ATTRIBUTES_END] : undefined,
        step: 0.01,
        reset: () => this.store.change(this.store.recipe.edited(key, undefined)),
        changed: (value, live) => this.store.change(this.store.recipe.edited(key, value || undefined), { live }),
        settled: () => this.store.settle(),
      });
      slider.input.dataset.attribute = name;
      return [name, slider];
    });
    this.list.replaceChildren(...this.sliders.map(([, slider]) => slider.element));
    this.sift();
  }

  sift() {
    const wanted = this.filter.value.trim().toLowerCase();
    for (const [name, slider] of this.sliders) {
      slider.element.hidden = !name.replaceAll("_", " ").toLowerCase().includes(wanted);
    }
  }

  reset() {
    let { recipe } = this.store;
    for (const [name] of recipe.edits) if (name.startsWith("a.")) recipe = recipe.edited(name, undefined);
    this.store.change(recipe);
  }

  show() {
    for (const [name, slider] of this.sliders) {
      const value = this.store.recipe.edit(`a.${name}`);
      slider.set(value ?? 0, value !== undefined);
    }
    this.ends.show(this.sliders.filter(([, slider]) => !slider.element.hidden).map(([name, slider]) => [`a.${name}`, slider]));
  }
}
