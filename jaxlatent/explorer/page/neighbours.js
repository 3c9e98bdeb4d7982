import { el, fixed, picture, shown } from "./dom.js";
import { latest } from "./latest.js";
import { imageAt } from "./wire.js";

/** Fewer of the images that are no copies are as near as this. */
const NEIGHBOURS_CLOSE = 0.01;

/** The nearest training images, and whether the face is a copy. */
export class NeighboursPanel {
  constructor(store, engine, notice) {
    this.store = store;
    this.verdict = el("p", { id: "verdict", "aria-live": "polite" });
    this.list = el("div", { class: "grid" });
    this.element = el(
      "div",
      {},
      el("p", { class: "quiet" }, "Is it a copy? The training images whose vectors are nearest, with the distance in latent units."),
      this.verdict,
      this.list,
    );
    this.ask = latest((state) => engine.neighbours(state), (answer) => this.answered(answer), notice);
  }

  show() {
    this.ask(this.store.recipe.toString());
  }

  answered({ rows, distance, images, usual, comparedWith }) {
    const nearest = distance.data[0];
    const nearer = usual.data.filter((each) => each <= nearest).length / usual.data.length;
    const isCopy = nearer < NEIGHBOURS_CLOSE;
    const middle = usual.data[usual.data.length >> 1];
    this.verdict.textContent =
      `${isCopy ? "Perhaps a copy" : "No copy"}: ${fixed(nearest)} from its nearest training image. ` +
      `Of ${shown(usual.data.length)} ${comparedWith}, ${fixed(100 * nearer, 0)} % are nearer than that to theirs, and half are nearer than ${fixed(middle)}.`;
    this.verdict.dataset.copy = String(isCopy);
    this.list.replaceChildren(
      ...Array.from(rows.data, (row, i) => {
        const text = `Training image ${shown(row)}, ${fixed(distance.data[i])} away`;
        return el(
          "button",
          { class: "cell", title: `${text}; click to go there`, onclick: () => this.store.change(this.store.recipe.ofImage(row)) },
          images ? picture(imageAt(images, i), text) : null,
          el("span", {}, fixed(distance.data[i])),
        );
      }),
    );
  }
}
