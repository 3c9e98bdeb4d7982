import { Recipe } from "./recipe.js";

const STORE_URL_DELAY = 250;
const STORE_MOST_UNDO = 500;

/**
 * The recipe of the face that is shown, what was before it, and what of the page is open; all of it in the
 * address. Names of the page's own begin with "v.".
 */
export class Store {
  constructor() {
    this.listeners = new Set();
    this.before = [];
    this.after = [];
    this.settled = true;
    this.read();
    window.addEventListener("hashchange", () => {
      if (location.hash.slice(1) !== this.written) {
        const previous = this.recipe;
        this.read();
        this.before.push(previous);
        this.tell();
      }
    });
  }

  read() {
    const text = location.hash.slice(1);
    const view = new URLSearchParams(text);
    this.recipe = Recipe.parse(text);
    this.view = {
      tab: view.get("v.tab") ?? undefined,
      plane: view.get("v.plane") ?? undefined,
      favourites: view.getAll("v.keep"),
    };
    this.written = text;
  }

  /** Calls `listener` after every change of recipe or view. */
  subscribe(listener) {
    this.listeners.add(listener);
  }

  tell() {
    for (const listener of this.listeners) listener(this.recipe, this.view);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.write(), STORE_URL_DELAY);
  }

  /** Another face. While something is dragged (`live`), all its changes together can be undone. */
  change(recipe, { live = false } = {}) {
    if (recipe.toString() === this.recipe.toString()) return;
    if (this.settled) {
      this.before.push(this.recipe);
      if (this.before.length > STORE_MOST_UNDO) this.before.shift();
    }
    this.after = [];
    this.settled = !live;
    this.recipe = recipe;
    this.tell();
  }

  /** What was dragged has been let go. */
  settle() {
    if (this.settled) return;
    this.settled = true;
    this.tell();
  }

  undo() {
    this.step(this.before, this.after);
  }

  redo() {
    this.step(this.after, this.before);
  }

  step(from, to) {
    if (!from.length) return;
    to.push(this.recipe);
    this.recipe = from.pop();
    this.settled = true;
    this.tell();
  }

  /** Another part of the page, another plane, other favourites. */
  show(view) {
    this.view = { ...this.view, ...view };
    this.tell();
  }

  /** The address's text for what is shown. */
  get text() {
    const view = new URLSearchParams();
    if (this.view.tab) view.append("v.tab", this.view.tab);
    if (this.view.plane) view.append("v.plane", this.view.plane);
    for (const each of this.view.favourites) view.append("v.keep", each);
    const rest = view.toString();
    return this.recipe.toString() + (rest ? `&${rest}` : "");
  }

  write() {
    clearTimeout(this.timer);
    this.written = this.text;
    history.replaceState(null, "", `#${this.written}`);
  }
}
