import { el } from "./dom.js";
import { faceCell, markCells } from "./grid.js";
import { Strip } from "./strip.js";
import { imageAt } from "./wire.js";

const FAVOURITES_FRAMES = 24;
const FAVOURITES_MOST = 100;

/** The favourites, and the way from one to another. */
export class FavouritesPanel {
  constructor(store, engine, info, notice) {
    Object.assign(this, { store, engine, notice });
    this.cells = el("div", { class: "grid", id: "favourites" });
    this.none = el("p", { class: "quiet" }, "None yet: press F, or a star in the grid. They are kept in the address of this page.");
    const change = () => this.travel();
    this.from = el("select", { id: "from", onchange: change });
    this.to = el("select", { id: "to", onchange: change });
    this.kind = el("select", { id: "kind", onchange: change }, el("option", { value: "linear" }, "straight line"), el("option", { value: "spherical" }, "turn about the mean"));
    this.inside = el("input", { id: "way-inside", type: "checkbox", onchange: change });
    this.strip = new Strip(store, engine, info, notice);
    this.way = el(
      "div",
      {},
      el("h3", {}, "The way between two"),
      el(
        "div",
        { class: "row" },
        el("label", {}, "From ", this.from),
        el("label", {}, "to ", this.to),
        el("label", {}, "by a ", this.kind),
      ),
      el("label", { class: "check" }, this.inside, " Pull every frame inside the region of the first one’s sampler"),
      this.strip.element,
    );
    this.element = el("div", {}, this.none, this.cells, this.way);
  }

  show() {
    const texts = this.store.view.favourites.slice(0, FAVOURITES_MOST);
    this.none.hidden = texts.length > 0;
    this.way.hidden = texts.length < 2;
    const known = texts.join("\n");
    if (known === this.known) {
      markCells(this.cells, this.store);
      return;
    }
    this.known = known;
    this.lay(texts);
  }

  async lay(texts) {
    let answer = null;
    try {
      if (texts.length) answer = await this.engine.faces({ states: texts }, "favourites");
    } catch (error) {
      this.notice(error);
    }
    if (this.known !== texts.join("\n")) return;
    this.cells.replaceChildren(
      ...texts.map((text, i) => faceCell(this.store, text, answer?.images ? imageAt(answer.images, i) : null, `Favourite ${i + 1}`)),
    );
    markCells(this.cells, this.store);
    for (const [select, standard] of [
      [this.from, 0],
      [this.to, texts.length - 1],
    ]) {
      const before = select.value;
      select.replaceChildren(...texts.map((text, i) => el("option", { value: text }, `favourite ${i + 1}`)));
      select.value = texts.includes(before) ? before : texts[standard];
    }
    if (texts.length > 1) this.travel();
  }

  travel() {
    this.strip.show({
      states: [this.from.value, this.to.value],
      way: this.kind.value,
      count: FAVOURITES_FRAMES,
      inside: this.inside.checked,
    });
  }
}
