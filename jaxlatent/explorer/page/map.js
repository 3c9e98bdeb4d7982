import { chartColours, Viewport } from "./chart.js";
import { contourLines, ellipseLine, NearestPoint, planeMoments } from "./density.js";
import { el, fixed, picture, shown } from "./dom.js";
import { latest } from "./latest.js";
import { Strip } from "./strip.js";
import { imageAt } from "./wire.js";

const MAP_LEVELS = [1, 2, 2.35];
const MAP_REACH = 3.4;
const MAP_DRAWN = 500;
const MAP_FRAMES = 24;
const MAP_STEP = 0.1;
const MAP_KINDS = { components: "components", coordinates: "latent coordinates", attributes: "attributes" };

/** A plane of the latent space: the z-points in it, and the face, which follows the pointer. */
export class MapPanel {
  constructor(store, engine, info, notice) {
    Object.assign(this, { store, engine, info, notice });
    this.kind = el("select", { id: "plane-kind", "aria-label": "Plane of", onchange: () => this.choose() });
    this.x = el("select", { id: "plane-x", "aria-label": "Across", onchange: () => this.choose() });
    this.y = el("select", { id: "plane-y", "aria-label": "Upwards", onchange: () => this.choose() });
    this.mode = el(
      "select",
      { id: "map-mode", "aria-label": "What dragging does" },
      el("option", { value: "face" }, `move the ${info.thing}`),
      el("option", { value: "path" }, "draw a path"),
      el("option", { value: "pan" }, "move the map"),
    );
    this.layers = Object.fromEntries(
      ["points", "contours", "ellipses", "drawn"].map((name) => [name, el("input", { type: "checkbox", checked: true, id: `layer-${name}`, onchange: () => this.draw() })]),
    );
    this.canvas = el("canvas", {
      id: "map",
      class: "map",
      tabindex: 0,
      role: "img",
      "aria-label": "Map of the latent space",
      "aria-describedby": "map-help",
      onpointerdown: (event) => this.down(event),
      onpointermove: (event) => this.moved(event),
      onpointerup: (event) => this.up(event),
      onpointercancel: (event) => this.up(event),
      onpointerleave: () => this.leave(),
      onwheel: (event) => this.wheel(event),
      onkeydown: (event) => this.key(event),
    });
    this.tip = el("div", { class: "tip", hidden: true });
    this.strip = new Strip(store, engine, info, notice);
    const layerNames = { points: "z-points", contours: "their density at 1, 2, 2.35 σ", ellipses: "ellipses of 1, 2, 2.35 σ", drawn: "new vectors" };
    this.element = el(
      "div",
      {},
      el(
        "div",
        { class: "row" },
        el("label", {}, "Plane of ", this.kind),
        this.x,
        this.y,
        el("label", {}, "Drag to ", this.mode),
        el("button", { onclick: () => this.home(), title: "Show all" }, "Show all"),
      ),
      el("div", { class: "mapbox" }, this.canvas, this.tip),
      el(
        "div",
        { class: "row legend" },
        Object.entries(layerNames).map(([name, text]) => el("label", { class: `check ${name}` }, this.layers[name], el("i", { class: "swatch", "aria-hidden": "true" }), ` ${text}`)),
      ),
      el(
        "p",
        { id: "map-help", class: "quiet" },
        `Click or drag: the ${info.thing} goes there, all else of it stays. Hover: the training image. Wheel or two fingers: nearer, farther. Arrow keys move the ${info.thing}. A drawn path becomes a film.`,
      ),
      this.strip.element,
    );
    this.pointers = new Map();
    this.askPlane = latest((question) => engine.plane(question), (plane, question) => this.planeCame(plane, question), notice);
    this.askPicture = latest((row) => engine.pictures([row]), (answer, row) => this.pictureCame(answer, row), () => this.leave());
    this.lay(info);
    new ResizeObserver(() => this.viewport?.fit() && this.draw()).observe(this.canvas);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Once more when the attributes have come. */
  lay(info) {
    this.info = info;
    const kinds = Object.keys(MAP_KINDS).filter((kind) => this.most(kind) > 1);
    this.kind.replaceChildren(...kinds.map((kind) => el("option", { value: kind }, MAP_KINDS[kind])));
    this.planeKey = undefined;
  }

  most(kind) {
    return { components: this.info.components, coordinates: this.info.coordinates, attributes: this.info.attributes.length }[kind];
  }

  choose() {
    const kind = this.kind.value;
    const isNew = kind !== this.wanted[0];
    let [i, j] = isNew ? [1, 2] : [Number(this.x.value), Number(this.y.value)];
    if (i === j) j = i === 1 ? 2 : 1;
    this.store.show({ plane: `${kind},${i},${j}` });
  }

  get wanted() {
    const [kind, i, j] = (this.store.view.plane ?? "components,1,2").split(",");
    const most = this.most(kind) ?? 0;
    const ok = [i, j].every((n) => Number(n) >= 1 && Number(n) <= most) && i !== j;
    return ok ? [kind, Number(i), Number(j)] : ["components", 1, 2];
  }

  show(look) {
    this.look = look;
    const [kind, i, j] = this.wanted;
    const key = `${kind},${i},${j}`;
    if (key !== this.planeKey) {
      this.planeKey = key;
      this.kind.value = kind;
      const name = (n) => (kind === "attributes" ? this.info.attributes[n - 1].name.replaceAll("_", " ") : `${n}`);
      for (const [select, chosen] of [
        [this.x, i],
        [this.y, j],
      ]) {
        select.replaceChildren(...Array.from({ length: this.most(kind) }, (_, n) => el("option", { value: n + 1 }, name(n + 1))));
        select.value = String(chosen);
      }
      this.plane = undefined;
    }
    const { sampler, seed, fact, temperature, edge } = this.store.recipe.fields;
    const law = JSON.stringify([key, sampler, seed, fact, temperature, edge]);
    if (law !== this.law) {
      this.law = law;
      this.askPlane({ kind, i, j, key, count: MAP_DRAWN, points: !this.plane, state: this.store.recipe.drawn(sampler, 0).toString() });
    }
    this.draw();
  }

  planeCame(plane, question) {
    if (question.key !== this.planeKey) return;
    if (!question.points && this.plane) {
      this.plane.drawn = plane.drawn;
    } else {
      this.plane = plane;
      this.moments = planeMoments(plane.points.data);
      this.contours = contourLines(plane.points.data, this.moments, MAP_LEVELS);
      this.nearest = new NearestPoint(plane.points.data, this.moments);
      this.viewport ??= new Viewport(this.canvas);
      this.viewport.fit();
      this.home();
    }
    this.draw();
  }

  home() {
    if (!this.plane) return;
    this.viewport.show(this.moments, MAP_REACH, !this.plane.relative);
    this.draw();
  }

  /** Where a vector lies in the plane. */
  place(vector) {
    const { rows, origin } = this.plane;
    const d = origin.data.length;
    const found = [0, 0];
    for (let k = 0; k < d; k += 1) {
      const away = vector[k] - origin.data[k];
      found[0] += rows.data[k] * away;
      found[1] += rows.data[d + k] * away;
    }
    return found;
  }

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  paint() {
    const { viewport, plane } = this;
    if (!plane || !viewport?.width) return;
    const colours = chartColours(this.canvas);
    viewport.begin(colours);
    if (this.layers.points.checked) viewport.drawPoints(plane.points.data, colours.point);
    viewport.clip();
    if (this.layers.drawn.checked) this.dots(plane.drawn.data, colours.drawn);
    if (this.layers.contours.checked) for (const lines of this.contours) viewport.segments(lines, colours.link, 1.5);
    if (this.layers.ellipses.checked) for (const level of MAP_LEVELS) viewport.line(ellipseLine(this.moments, level), colours.text, [5, 4], 1.2);
    if (this.path?.length > 1) viewport.line(this.path, colours.mark, [], 3);
    this.mark(colours);
    viewport.axes(plane.labels, colours);
    const [x, y] = this.place(this.look.vector.data);
    this.canvas.setAttribute("aria-label", `Map of ${plane.labels.join(" and ")}; the ${this.info.thing} is at ${fixed(x)}, ${fixed(y)}`);
    this.canvas.dataset.x = String(x);
    this.canvas.dataset.y = String(y);
  }

  dots(points, colour) {
    const { context } = this.viewport;
    context.fillStyle = colour;
    for (let i = 0; i < points.length; i += 2) {
      const [px, py] = this.viewport.toPixel(points[i], points[i + 1]);
      context.beginPath();
      context.arc(px, py, 2, 0, 2 * Math.PI);
      context.fill();
    }
  }

  mark(colours) {
    const { context } = this.viewport;
    const [px, py] = this.viewport.toPixel(...this.place(this.look.vector.data));
    for (const [colour, width] of [
      [colours.page, 6],
      [colours.mark, 3],
    ]) {
      context.beginPath();
      context.arc(px, py, 8, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    if (!this.plane) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.at(event));
    this.leave();
    if (this.pointers.size > 1) {
      this.path = null;
      return;
    }
    const [px, py] = this.at(event);
    if (this.mode.value === "face") this.go(px, py, true);
    else if (this.mode.value === "path") {
      this.path = [this.viewport.toPlane(px, py)];
      this.pathFrom = { recipe: this.store.recipe, place: this.place(this.look.vector.data) };
    }
  }

  moved(event) {
    if (!this.plane) return;
    const now = this.at(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.hover(...now);
      return;
    }
    if (this.pointers.size === 2) this.pinch(event.pointerId, now);
    else if (this.mode.value === "pan" || event.shiftKey) this.viewport.pan(now[0] - before[0], now[1] - before[1]);
    else if (this.mode.value === "face") this.go(...now, true);
    else this.path?.push(this.viewport.toPlane(...now));
    this.pointers.set(event.pointerId, now);
    this.draw();
  }

  pinch(id, now) {
    const [other] = [...this.pointers].filter(([each]) => each !== id).map(([, at]) => at);
    const before = this.pointers.get(id);
    const length = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    this.viewport.zoom(length(now, other) / Math.max(1, length(before, other)), ...other);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    this.store.settle();
    if (this.path?.length > 1) this.film();
  }

  wheel(event) {
    if (!this.plane) return;
    event.preventDefault();
    this.viewport.zoom(Math.exp(-event.deltaY / 400), ...this.at(event));
    this.draw();
  }

  key(event) {
    if (!this.plane) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const zoom = { "+": 1.25, "=": 1.25, "-": 0.8 }[event.key];
    if (!step && !zoom) return;
    event.preventDefault();
    if (zoom) this.viewport.zoom(zoom, this.viewport.width / 2, this.viewport.height / 2);
    else {
      const place = this.place(this.look.vector.data);
      this.store.change(this.recipeAt(place.map((x, i) => x + MAP_STEP * step[i] * this.moments.sigma[i])));
    }
    this.draw();
  }

  /** Moves the face to a pixel. */
  go(px, py, live) {
    this.store.change(this.recipeAt(this.viewport.toPlane(px, py)), { live });
  }

  /** The recipe of the face at another place of the plane. */
  recipeAt(target, from = { recipe: this.store.recipe, place: this.place(this.look.vector.data) }) {
    const { edits, relative, response } = this.plane;
    let values = target;
    if (relative) {
      const [a, b, c, d] = response.data;
      const [dx, dy] = [target[0] - from.place[0], target[1] - from.place[1]];
      const determinant = a * d - b * c;
      const strengths = edits.map((name) => from.recipe.edit(name) ?? 0);
      values = [strengths[0] + (d * dx - b * dy) / determinant, strengths[1] + (a * dy - c * dx) / determinant];
    }
    return from.recipe.edited(edits[0], values[0]).edited(edits[1], values[1]);
  }

  hover(px, py) {
    if (!this.info.pictures || !this.layers.points.checked) return;
    const point = this.nearest.find(...this.viewport.toPlane(px, py), 12 / Math.max(1, this.viewport.scale[0] * this.moments.sigma[0]));
    if (point < 0) {
      this.leave();
      return;
    }
    this.hovered = point * this.plane.stride;
    this.tipAt = [px, py];
    this.askPicture(this.hovered);
  }

  pictureCame(answer, row) {
    if (row !== this.hovered) return;
    const text = `training image ${shown(row)}`;
    this.tip.replaceChildren(picture(imageAt(answer.images, 0), text), text);
    this.tip.hidden = false;
    const [px, py] = this.tipAt;
    const left = Math.min(px + 14, this.viewport.width - 120);
    this.tip.style.setProperty("left", `${Math.max(0, left)}px`);
    this.tip.style.setProperty("top", `${py > this.viewport.height / 2 ? py - 130 : py + 14}px`);
  }

  leave() {
    this.hovered = null;
    this.tip.hidden = true;
  }

  /** Frames at even distances along the drawn path. */
  film() {
    const lengths = [0];
    for (let i = 1; i < this.path.length; i += 1) {
      const [a, b] = [this.path[i - 1], this.path[i]];
      const step = Math.hypot(...b.map((x, k) => (x - a[k]) / (this.moments.sigma[k] || 1)));
      lengths.push(lengths[i - 1] + step);
    }
    const total = lengths[lengths.length - 1];
    if (!(total > 0) || !this.info.image) return;
    const states = Array.from({ length: MAP_FRAMES }, (_, k) => {
      const wanted = (total * k) / (MAP_FRAMES - 1);
      const i = Math.max(1, lengths.findIndex((length) => length >= wanted - 1e-12));
      const t = (wanted - lengths[i - 1]) / (lengths[i] - lengths[i - 1] || 1);
      const place = [0, 1].map((axis) => this.path[i - 1][axis] + t * (this.path[i][axis] - this.path[i - 1][axis]));
      return this.recipeAt(place, this.pathFrom).toString();
    });
    this.strip.show({ states });
  }
}
