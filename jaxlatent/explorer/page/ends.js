import { paint } from "./dom.js";
import { latest } from "./latest.js";
import { imageAt } from "./wire.js";

/**
 * What each slider does to the face: it at both ends, in one question, once nothing is dragged.
 * `sliders`: pairs of the name of an edit and its slider.
 */
export class Ends {
  constructor(store, engine, notice) {
    this.store = store;
    this.ask = latest((states) => engine.faces({ states }, "ends"), (answer) => this.answered(answer), notice);
  }

  show(sliders) {
    const { recipe, settled } = this.store;
    if (!settled || !sliders.length) return;
    this.thumbs = [];
    const states = [];
    for (const [name, slider] of sliders) {
      for (const thumb of slider.thumbs) {
        this.thumbs.push(thumb);
        states.push(recipe.edited(name, thumb.value).toString());
      }
    }
    const known = states.join("\n");
    if (known === this.known || !states.length) return;
    this.known = known;
    this.ask(states);
  }

  answered(answer) {
    if (!answer.images || answer.images.shape[0] !== this.thumbs.length) return;
    this.thumbs.forEach(({ canvas }, i) => paint(canvas, imageAt(answer.images, i)));
  }
}
