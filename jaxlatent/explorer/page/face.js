import { el, fixed, paint, shown } from "./dom.js";
import { keepSection } from "./keep.js";
import { Slider } from "./slider.js";

const FACE_DIALS = {
  fact: ["Half-width factor", "Semi-axes in half-widths (FWHM) of the components: larger means more varied, then broken."],
  temperature: ["Temperature", "Scales how far the vectors lie from the middle: below 1 cleaner, above 1 more varied."],
  edge: ["Half the edge", "Of the naive cube, in latent units: every latent coordinate is uniform, without regard to the data."],
};

/** The face itself, its numbers, and the dials that every vector has. */
export class FaceView {
  constructor(root, store, info) {
    this.store = store;
    this.info = info;
    this.canvas = el("canvas", { id: "face-canvas", class: "large", role: "img", "aria-label": `The ${info.thing}` });
    [this.canvas.height, this.canvas.width] = info.image ?? [64, 64];
    this.status = el("p", { id: "status", class: "status", "aria-live": "polite" });
    this.pull = el("button", { id: "pull", hidden: true, onclick: () => this.stay(true) }, "Pull back inside");
    this.undo = el("button", { id: "undo", onclick: () => store.undo(), title: "Undo (U)" }, "Undo");
    this.redo = el("button", { id: "redo", onclick: () => store.redo(), title: "Redo (R)" }, "Redo");
    this.favourite = el("button", { id: "favourite", onclick: () => this.toggleFavourite(), title: "Keep as a favourite (F)" }, "☆ Favourite");
    this.sampler = el(
      "select",
      { id: "sampler", onchange: () => this.choose(this.sampler.value) },
      info.samplers.map(({ name }) => el("option", { value: name }, name)),
    );
    this.about = el("small", { id: "about", class: "quiet" });
    this.index = el("input", { id: "index", type: "number", min: 0, max: 4294967295, step: 1, onchange: () => this.number("index") });
    this.seed = el("input", { id: "seed", type: "number", min: 0, step: 1, onchange: () => this.number("seed") });
    this.inside = el("input", { id: "inside", type: "checkbox", onchange: () => this.stay(this.inside.checked) });
    this.components = new Slider({
      id: "components",
      label: "Components",
      help: "Only so many leading principal components of the vector are kept, the others are put at their mean.",
      least: 1,
      most: info.components,
      step: 1,
      decimals: 0,
      reset: () => store.change(store.recipe.with({ components: undefined })),
      changed: (value) => store.change(store.recipe.with({ components: value >= info.components ? undefined : String(value) }), { live: true }),
      settled: () => store.settle(),
    });
    this.dials = el("div", { class: "dials" });
    this.keep = keepSection(store, this, info);
    const fresh = el("button", { id: "new", class: "primary", onclick: () => this.fresh(), title: `New ${info.thing} (N)` }, `New ${info.thing}`);
    root.append(
      el("figure", { class: "stage" }, info.image ? this.canvas : el("p", { class: "quiet" }, "No decoder here: map and numbers only.")),
      el("div", { class: "numbers" }, this.status, this.pull),
      el("div", { class: "row" }, fresh, this.undo, this.redo, this.favourite),
      el(
        "div",
        { class: "fields" },
        el("label", { for: "sampler" }, "Sampler"),
        this.sampler,
        this.about,
        el("label", { for: "index", title: "Which vector of the seed" }, "Number"),
        this.index,
        el("label", { for: "seed", title: "Of the random numbers" }, "Seed"),
        this.seed,
      ),
      el("label", { class: "check", title: "Whatever is moved stops at the border (I)" }, this.inside, " Stay inside the region"),
      this.components.element,
      this.dials,
      this.keep.element,
    );
    this.dialSliders = new Map();
  }

  get law() {
    const name = this.store.recipe.fields.sampler ?? this.info.samplers[0].name;
    return this.info.samplers.find((each) => each.name === name) ?? this.info.samplers[0];
  }

  fresh() {
    const { recipe } = this.store;
    const isDraw = recipe.fields.vector === undefined && recipe.fields.image === undefined;
    const index = isDraw ? (recipe.number("index") ?? 0) + 1 : Math.floor(Math.random() * 1e6);
    this.store.change(recipe.drawn(this.law.name, index % this.law.count));
  }

  choose(name) {
    const { recipe } = this.store;
    const dials = { fact: undefined, temperature: undefined, edge: undefined };
    this.store.change(recipe.with({ sampler: name, ...dials }));
  }

  number(name) {
    // As text: a seed has 64 bits, a number 53.
    const value = /^\d+$/.test(this[name].value) ? this[name].value : "0";
    const { recipe } = this.store;
    this.store.change(recipe.with({ seed: recipe.fields.seed ?? "0", image: undefined, vector: undefined, [name]: value }));
  }

  stay(inside) {
    this.store.change(this.store.recipe.stay(inside));
  }

  toggleFavourite() {
    const text = this.store.recipe.toString();
    const { favourites } = this.store.view;
    const others = favourites.filter((each) => each !== text);
    this.store.show({ favourites: others.length < favourites.length ? others : [...favourites, text] });
  }

  /** Shows what the recipe says, before its face is there. */
  follow(recipe, view) {
    const law = this.law;
    this.sampler.value = law.name;
    this.about.textContent = law.about;
    this.index.value = recipe.fields.index ?? "0";
    this.seed.value = recipe.fields.seed ?? "0";
    this.inside.checked = recipe.inside;
    this.undo.disabled = !this.store.before.length;
    this.redo.disabled = !this.store.after.length;
    const isKept = view.favourites.includes(recipe.toString());
    this.favourite.textContent = isKept ? "★ Favourite" : "☆ Favourite";
    this.favourite.setAttribute("aria-pressed", String(isKept));
    const components = recipe.number("components");
    this.components.set(components ?? this.info.components, components !== undefined);
    if (this.dialsOf !== law.name) this.layDials(law);
    for (const [name, slider] of this.dialSliders) {
      const value = recipe.number(name);
      slider.set(value ?? law.dials.find((dial) => dial.name === name).value, value !== undefined);
    }
  }

  layDials(law) {
    this.dialsOf = law.name;
    this.dialSliders = new Map(
      law.dials.map((dial) => {
        const [label, help] = FACE_DIALS[dial.name];
        const slider = new Slider({
          id: `dial-${dial.name}`,
          label,
          help,
          least: dial.least,
          most: dial.most,
          step: dial.step,
          reset: () => this.store.change(this.store.recipe.with({ [dial.name]: undefined })),
          changed: (value) => this.store.change(this.store.recipe.with({ [dial.name]: String(value) }), { live: true }),
          settled: () => this.store.settle(),
        });
        return [dial.name, slider];
      }),
    );
    this.dials.replaceChildren(...[...this.dialSliders.values()].map((slider) => slider.element));
  }

  /** Shows a face that has come. */
  show(look, state) {
    this.look = look;
    if (look.image) paint(this.canvas, look.image);
    this.canvas.dataset.state = state;
    const { ownRegion, ownDensity } = this.law;
    const region = ownRegion ? "the sampler’s region" : "the ellipses that hold 99 % of the z-points";
    const law = ownDensity ? "the sampler’s law" : "one Gaussian of all";
    this.status.replaceChildren(
      el("strong", { class: look.inside ? "inside" : "outside" }, look.inside ? "Inside" : "Outside"),
      ` ${region}: gauge ${shown(look.gauge)} (1 is the border). `,
      `Denser there than at ${fixed(100 * look.rank, 0)} % of the z-points (log-density ${shown(look.logDensity)} nats, ${law}).`,
    );
    this.status.dataset.inside = String(look.inside);
    this.status.dataset.gauge = String(look.gauge);
    this.status.dataset.logDensity = String(look.logDensity);
    this.pull.hidden = look.inside || this.store.recipe.inside;
    this.canvas.setAttribute("aria-label", `The ${this.info.thing} of ${this.law.name}, ${look.inside ? "inside" : "outside"} its region`);
    this.keep.show(look);
  }
}
