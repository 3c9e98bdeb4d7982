import { el, fixed } from "./dom.js";
import { Ends } from "./ends.js";
import { Slider } from "./slider.js";

const SLIDERS_REACH = 4;
const SLIDERS_END = 2.5;

/** Sliders over the leading components, each with the interval that the others leave it. */
export class SlidersPanel {
  constructor(store, engine, info, notice) {
    this.store = store;
    this.ends = new Ends(store, engine, notice);
    this.sliders = Array.from({ length: info.sliders }, (_, i) => {
      const name = `c${i + 1}`;
      const slider = new Slider({
        id: `component-${i + 1}`,
        label: String(i + 1),
        name: `Component ${i + 1}`,
        least: -SLIDERS_REACH,
        most: SLIDERS_REACH,
        step: 0.01,
        unit: "σ",
        ends: info.image ? [-SLIDERS_END, SLIDERS_END] : undefined,
        reset: () => store.change(store.recipe.edited(name, undefined)),
        changed: (value, live) => store.change(store.recipe.edited(name, value), { live }),
        settled: () => store.settle(),
      });
      slider.element.title = `${fixed(100 * info.ratio[i], 1)} % of the variance`;
      return slider;
    });
    const total = info.ratio.slice(0, info.sliders).reduce((a, b) => a + b, 0);
    this.element = el(
      "div",
      {},
      el(
        "p",
        { class: "quiet" },
        `The ${info.sliders} leading principal components, ${fixed(100 * total, 0)} % of the variance, in standard deviations. `,
        "The band is what the other components leave to each: move one far out, and the bands of all others shrink. ",
        "Red: the others are outside already. ",
        info.image ? `The small pictures show the ${info.thing} at −${SLIDERS_END} and +${SLIDERS_END} σ.` : "",
      ),
      el("div", { class: "row" }, el("button", { onclick: () => store.change(store.recipe.withoutEdits()) }, "Reset all")),
      el("div", { class: "sliders" }, this.sliders.map((slider) => slider.element)),
    );
  }

  show(look) {
    this.sliders.forEach((slider, i) => {
      slider.set(look.components.data[i], this.store.recipe.edit(`c${i + 1}`) !== undefined);
      slider.setBand([look.intervals.data[2 * i], look.intervals.data[2 * i + 1]]);
    });
    this.ends.show(this.sliders.map((slider, i) => [`c${i + 1}`, slider]));
  }
}
