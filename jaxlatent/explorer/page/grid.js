import { el, picture, shown } from "./dom.js";
import { Recipe } from "./recipe.js";
import { imageAt } from "./wire.js";

const GRID_COUNTS = [12, 24, 48, 100];

/** New faces by the dozen; those that are chosen become favourites. */
export class GridPanel {
  constructor(store, engine, info, notice) {
    Object.assign(this, { store, engine, info, notice });
    this.start = 0;
    this.count = el(
      "select",
      { id: "grid-count", "aria-label": "How many", onchange: () => this.draw() },
      GRID_COUNTS.map((n) => el("option", { value: n }, `${n} ${info.thing}s`)),
    );
    this.cells = el("div", { class: "grid", id: "grid" });
    this.said = el("p", { class: "quiet", "aria-live": "polite" });
    this.element = el(
      "div",
      {},
      el("p", { class: "quiet" }, `New ${info.thing}s of the chosen sampler, with its dials. Click one to look at it; the star keeps it.`),
      el(
        "div",
        { class: "row" },
        el("button", { id: "grid-more", class: "primary", onclick: () => this.more() }, "Others"),
        this.count,
        this.said,
      ),
      this.cells,
    );
  }

  more() {
    this.start += Number(this.count.value);
    this.draw();
  }

  show() {
    const { sampler, seed, components, fact, temperature, edge } = this.store.recipe.fields;
    const law = JSON.stringify([sampler, seed, components, fact, temperature, edge, this.store.recipe.inside]);
    if (law !== this.law) {
      this.law = law;
      this.draw();
    } else this.mark();
  }

  async draw() {
    const count = Number(this.count.value);
    const wanted = this.store.recipe.fields.sampler;
    const law = this.info.samplers.find(({ name }) => name === wanted) ?? this.info.samplers[0];
    const recipes = Array.from({ length: count }, (_, i) => this.store.recipe.drawn(law.name, (this.start + i) % law.count));
    const began = performance.now();
    let answer;
    try {
      answer = await this.engine.faces({ states: recipes.map(String) }, "grid");
    } catch (error) {
      this.notice(error);
      return;
    }
    if (!answer) return;
    this.said.textContent = `numbers ${shown(this.start)} to ${shown(this.start + count - 1)}, in ${shown((performance.now() - began) / 1000, 2)} s`;
    this.texts = recipes.map(String);
    this.cells.replaceChildren(...this.texts.map((text, i) => faceCell(this.store, text, imageAt(answer.images, i), `${this.info.thing} ${this.start + i}`)));
    this.mark();
  }

  mark() {
    markCells(this.cells, this.store);
  }
}

/** A face to click, with its star. */
export function faceCell(store, text, image, label) {
  const star = el(
    "button",
    {
      class: "star",
      onclick: () => {
        const { favourites } = store.view;
        const others = favourites.filter((each) => each !== text);
        store.show({ favourites: others.length < favourites.length ? others : [...favourites, text] });
      },
    },
    "☆",
  );
  const open = el("button", { class: "cell", "aria-label": `${label}: look at it`, onclick: () => store.change(Recipe.parse(text)) }, picture(image, label));
  return el("div", { class: "kept", "data-state": text, "data-label": label }, open, star);
}

/** Shows which of the cells is looked at, and which are favourites. */
export function markCells(root, store) {
  const current = store.recipe.toString();
  for (const cell of root.querySelectorAll(".kept")) {
    const { state, label } = cell.dataset;
    const isKept = store.view.favourites.includes(state);
    cell.classList.toggle("current", state === current);
    const star = cell.querySelector(".star");
    star.textContent = isKept ? "★" : "☆";
    star.setAttribute("aria-pressed", String(isKept));
    star.setAttribute("aria-label", `${label}: favourite`);
  }
}
