import { el } from "./dom.js";

const HELP_KEYS = [
  ["N", "a new draw of the chosen sampler"],
  ["U, R", "undo, redo (also Ctrl+Z, Ctrl+Shift+Z)"],
  ["F", "a favourite, or no longer"],
  ["I", "stay inside the region, or no longer"],
  ["1 to 8", "the tabs"],
  ["arrow keys", "move a slider, the tabs, or the mark on the map"],
  ["+ and −", "on the map: nearer, farther"],
];

/** What the words mean, and the keys. */
export class HelpPanel {
  constructor(info) {
    const terms = [
      ["z-point", "the latent vector of a training image."],
      ["sampler", "draws new latent vectors. The naive box draws them without regard to the z-points, and shows what goes wrong then."],
      ["component", "a principal component of the z-points: the first one is the direction in which they vary most. σ is its standard deviation."],
      ["region", "where a sampler draws from: of the source’s method, the vectors of which every pair of components lies inside that pair’s ellipse."],
      ["gauge", "the factor by which the region has to be scaled for the vector to lie on its border: below 1 is inside."],
      ["log-density", "the natural logarithm of the density of the sampler’s law; where it has none, of one Gaussian fitted to all z-points."],
      ["the address", "holds all that you see: whoever opens the link on the same run sees the same."],
    ];
    this.element = el(
      "div",
      {},
      el("h3", {}, "Words"),
      el("dl", {}, terms.flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])),
      el("h3", {}, "Keys"),
      el("dl", { class: "keys" }, HELP_KEYS.flatMap(([keys, text]) => [el("dt", {}, el("kbd", {}, keys)), el("dd", {}, text)])),
      info.about ? el("p", {}, info.about) : null,
    );
  }

  show() {}
}
