import { el, picture } from "./dom.js";

/** An image of one's own: encoded, shown beside its reconstruction, and edited like the rest. */
export class UploadPanel {
  constructor(store, engine, notice) {
    Object.assign(this, { store, engine, notice });
    this.file = el("input", { id: "file", type: "file", accept: "image/*", onchange: () => this.take(this.file.files[0]) });
    this.shown = el("div", { class: "grid" });
    const drop = el(
      "div",
      {
        class: "drop",
        ondragover: (event) => event.preventDefault(),
        ondrop: (event) => {
          event.preventDefault();
          this.take(event.dataTransfer.files[0]);
        },
      },
      el("label", { for: "file" }, "An image of your own, or drop one here: "),
      this.file,
    );
    this.element = el(
      "div",
      {},
      el(
        "p",
        { class: "quiet" },
        "Its centred square is encoded; what the autoencoder makes of it is shown, and can be edited like all others. " +
          "The image goes to this machine’s own server, is not stored, and at most 20 MB large.",
      ),
      drop,
      this.shown,
    );
  }

  async take(file) {
    if (!file) return;
    try {
      const { vector, image } = await this.engine.encode(file);
      this.store.change(this.store.recipe.ofVector(vector.data));
      this.shown.replaceChildren(el("figure", {}, picture(image, "Your image"), el("figcaption", {}, "your image; beside it, large, its reconstruction")));
    } catch (error) {
      this.notice(error);
    }
  }

  show() {}
}
