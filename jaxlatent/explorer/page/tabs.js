import { el } from "./dom.js";

/** Tabs as the ARIA Authoring Practices describe them: arrow keys move, one panel is there at a time. */
export class Tabs {
  /** `panels`: name to [title, panel with `element` and `show(look)`]. */
  constructor(bar, root, panels, store) {
    this.names = Object.keys(panels);
    this.panels = panels;
    this.store = store;
    this.buttons = this.names.map((name, i) =>
      el(
        "button",
        {
          role: "tab",
          id: `tab-${name}`,
          "aria-controls": `panel-${name}`,
          title: `${panels[name][0]} (${i + 1})`,
          onclick: () => this.open(name),
          onkeydown: (event) => this.move(event, i),
        },
        panels[name][0],
      ),
    );
    bar.append(...this.buttons);
    this.roots = this.names.map((name) =>
      el("section", { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, class: "panel", hidden: true }, panels[name][1].element),
    );
    root.append(...this.roots);
  }

  get current() {
    return this.names.includes(this.store.view.tab) ? this.store.view.tab : this.names[0];
  }

  open(name) {
    this.store.show({ tab: name });
  }

  move(event, i) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (i + step + this.names.length) % this.names.length;
    this.open(this.names[next]);
    this.buttons[next].focus();
  }

  follow() {
    this.names.forEach((name, i) => {
      const isOpen = name === this.current;
      this.buttons[i].setAttribute("aria-selected", String(isOpen));
      this.buttons[i].tabIndex = isOpen ? 0 : -1;
      this.roots[i].hidden = !isOpen;
    });
    if (this.look && this.shown !== this.current) this.show(this.look);
  }

  /** A face that has come; only the panel that is open shows it. */
  show(look) {
    this.look = look;
    this.shown = this.current;
    this.panels[this.current][1].show(look);
  }
}
