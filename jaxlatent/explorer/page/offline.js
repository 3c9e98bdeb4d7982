import { EllipseRegion } from "./ellipses.js";
import { Network } from "./network.js";
import { pairwiseVector, randomNumbers } from "./pairwise.js";
import { decodeVector, encodeVector, Recipe } from "./recipe.js";
import { unpack } from "./wire.js";

/** Half-precision bits to numbers. */
function offlineHalves(bits) {
  const table = new Float32Array(65536);
  for (let h = 0; h < 65536; h += 1) {
    const [sign, exponent, fraction] = [h & 0x8000 ? -1 : 1, (h >> 10) & 31, h & 1023];
    table[h] = sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024);
  }
  return Float32Array.from(bits, (h) => table[h]);
}

/**
 * A latent space without a server: what `jaxlatent.explorer.Space` does, on the numbers that the page holds.
 * Its answers have the form of the server's.
 */
export class OfflineSpace {
  constructor(buffer) {
    const data = unpack(buffer);
    this.header = data;
    this.network = new Network(data.decoder, data.weights.data);
    this.d = data.mean.data.length;
    this.k = data.sigma.data.length;
    this.mean = data.mean.data;
    this.rows = data.rows.data;
    this.sigma = data.sigma.data;
    this.points = offlineHalves(data.points.data);
    this.laws = new Map(data.info.samplers.map((law) => [law.name, this.law(law)]));
    this.attributes = new Map(
      data.info.attributes.map(({ name }, i) => [name, data.attributes.data.subarray(i * this.d, (i + 1) * this.d)]),
    );
  }

  law(law) {
    const array = (name) => this.header[name]?.data;
    return {
      ...law,
      bank: law.kind === "bank" && offlineHalves(array(`bank:${law.name}`)),
      region: new EllipseRegion(array(`region:${law.name}`)),
    };
  }

  info() {
    return this.header.info;
  }

  /** A vector in components; exact to rounding, as the frame has all directions in which the z-points vary. */
  components(z) {
    const { d, k, rows, mean } = this;
    const y = new Float64Array(k);
    for (let i = 0; i < k; i += 1) {
      let sum = 0;
      for (let j = 0; j < d; j += 1) sum += rows[i * d + j] * (z[j] - mean[j]);
      y[i] = sum;
    }
    return y;
  }

  /** The latent vector of components. */
  vector(y) {
    const { d, rows, mean } = this;
    const z = Float64Array.from(mean);
    for (let i = 0; i < y.length; i += 1) {
      if (y[i]) for (let j = 0; j < d; j += 1) z[j] += y[i] * rows[i * d + j];
    }
    return z;
  }

  chosen(recipe) {
    const name = recipe.fields.sampler ?? this.header.info.samplers[0].name;
    const law = this.laws.get(name);
    if (!law) throw new Error(`state: there is no sampler ${name} on this page`);
    return law;
  }

  /** The semi-axes of the law's region, with the dial. */
  region(recipe, law) {
    const ratio = law.kind === "pairwise" ? this.ratio(recipe, law, "fact") : 1;
    return ratio === 1 ? law.region : new EllipseRegion(law.region.axes.map((a) => a * ratio));
  }

  ratio(recipe, law, name) {
    const dial = law.dials.find((each) => each.name === name);
    const value = recipe.number(name);
    if (value === undefined) return 1;
    if (!dial) throw new Error(`state: ${name}: this sampler has no such dial on this page`);
    if (!(value > 0)) throw new Error(`state: ${name}: expected a number above 0`);
    return value / dial.value;
  }

  draw(recipe, law, index = recipe.number("index") ?? 0) {
    const seed = recipe.number("seed") ?? 0;
    if (law.kind === "bank") {
      if (seed !== 0 || !(index >= 0 && index < law.count)) {
        throw new Error(
          `index: this page holds the numbers 0 to ${law.count - 1} of seed 0 of this sampler, got ${index} of ${seed}; the explorer with a server draws any`,
        );
      }
      return law.bank.subarray(index * this.d, (index + 1) * this.d);
    }
    const random = randomNumbers(seed, index);
    if (law.kind === "box") {
      const edge = law.dials[0].value * this.ratio(recipe, law, "edge");
      return Float64Array.from({ length: this.d }, () => edge * (2 * random() - 1));
    }
    const ratio = this.ratio(recipe, law, "fact");
    return this.vector(pairwiseVector(law.region.axes, random).map((y) => ratio * y));
  }

  base(recipe, law) {
    const { vector, image } = recipe.fields;
    if (vector !== undefined) return decodeVector(vector, this.d);
    if (image === undefined) return this.draw(recipe, law);
    const row = Number(image);
    const count = this.points.length / this.d;
    if (!(row >= 0 && row < count)) throw new Error(`image: this page holds the z-points 0 to ${count - 1}, got ${image}`);
    return this.points.subarray(row * this.d, (row + 1) * this.d);
  }

  /** The latent vector of a recipe. */
  make(recipe) {
    const law = this.chosen(recipe);
    let z = this.base(recipe, law);
    const components = recipe.number("components");
    if (components !== undefined && components < this.k) z = this.vector(this.components(z).subarray(0, components));
    const region = this.region(recipe, law);
    if (recipe.inside && !recipe.edits.length) z = this.shifted(z, (y) => region.pull(y));
    for (const [name, value] of recipe.edits) {
      const [step, strength] = this.edit(z, name, value);
      if (recipe.inside) z = this.shifted(z, (y) => region.move(y, this.along(step), strength));
      else z = Float64Array.from(z, (x, i) => x + strength * step[i]);
    }
    return z;
  }

  /** z with its components changed; what lies outside the frame stays. */
  shifted(z, change) {
    const y = this.components(z);
    const moved = change(y);
    const by = this.vector(moved.map((x, i) => x - y[i]));
    return Float64Array.from(z, (x, i) => x + by[i] - this.mean[i]);
  }

  along(step) {
    return this.components(Float64Array.from(step, (x, i) => x + this.mean[i]));
  }

  edit(z, name, value) {
    if (name.startsWith("a.")) {
      const step = this.attributes.get(name.slice(2));
      if (!step) throw new Error(`state: there is no attribute ${name.slice(2)} on this page`);
      return [step, value];
    }
    const row = Number(name.slice(1)) - 1;
    const isComponent = name.startsWith("c");
    if (row >= (isComponent ? this.k : this.d)) throw new Error(`state: ${name}: expected a number up to ${isComponent ? this.k : this.d}`);
    if (!isComponent) return [Float64Array.from({ length: this.d }, (_, i) => (i === row ? 1 : 0)), value - z[row]];
    const step = this.rows.subarray(row * this.d, (row + 1) * this.d);
    let now = 0;
    for (let j = 0; j < this.d; j += 1) now += step[j] * (z[j] - this.mean[j]);
    return [step, value * this.sigma[row] - now];
  }

  decode(z) {
    const { shape } = this.network;
    const data = new Uint8ClampedArray(shape.reduce((a, b) => a * b));
    this.network.decode(Float32Array.from(z), data);
    return { data, shape };
  }

  face(state) {
    const recipe = Recipe.parse(state);
    const law = this.chosen(recipe);
    const vector = Float32Array.from(this.make(recipe));
    const y = this.components(vector);
    const region = this.region(recipe, law);
    const { sliders } = this.header.info;
    const components = Float32Array.from({ length: sliders }, (_, i) => y[i] / this.sigma[i]);
    const intervals = new Float32Array(2 * sliders);
    for (let i = 0; i < sliders; i += 1) intervals.set(region.interval(y, i).map((x) => x / this.sigma[i]), 2 * i);
    const logDensity = this.logDensity(y);
    const ranks = this.header.ranks.data;
    const gauge = region.gauge(y);
    return {
      vector: { data: vector, shape: [this.d] },
      components: { data: components },
      intervals: { data: intervals },
      image: this.decode(vector),
      gauge,
      inside: gauge <= 1,
      logDensity,
      rank: ranks.filter((each) => each < logDensity).length / ranks.length,
      again: { python: this.header.again.replace("VECTOR", encodeVector(vector)) },
    };
  }

  /** Of one Gaussian with the z-points' mean and covariance. */
  logDensity(y) {
    let sum = 0;
    for (let i = 0; i < this.k; i += 1) sum -= 0.5 * (y[i] / this.sigma[i]) ** 2 + Math.log(this.sigma[i]) + 0.5 * Math.log(2 * Math.PI);
    return sum;
  }

  /** The vectors of a question, see the server's `faces`. */
  vectors({ states, way, count, inside }) {
    const recipes = states.map((state) => Recipe.parse(state));
    const found = recipes.map((recipe) => this.make(recipe));
    if (!way) return found;
    const [a, b] = found.map((z) => Float64Array.from(z, (x, i) => x - this.mean[i]));
    const region = inside && this.region(recipes[0], this.chosen(recipes[0]));
    return Array.from({ length: count }, (_, i) => {
      const t = i / (count - 1);
      const between = way === "spherical" ? offlineTurn(a, b, t) : a.map((x, j) => (1 - t) * x + t * b[j]);
      const z = between.map((x, j) => x + this.mean[j]);
      return region ? this.shifted(z, (y) => region.pull(y)) : z;
    });
  }

  plane({ kind, i, j, state, count, points }) {
    const at = [i - 1, j - 1];
    const { d } = this;
    const rows = new Float32Array(2 * d);
    const origin = new Float32Array(d);
    let [labels, edits, relative] = [[], [], kind === "attributes"];
    let response = Float32Array.from([1, 0, 0, 1]);
    if (kind !== "coordinates") origin.set(this.mean);
    if (kind === "components") {
      at.forEach((row, axis) => rows.set(this.rows.subarray(row * d, (row + 1) * d).map((x) => x / this.sigma[row]), axis * d));
      [labels, edits] = [at.map((row) => `component ${row + 1} (σ)`), at.map((row) => `c${row + 1}`)];
    } else if (kind === "coordinates") {
      at.forEach((row, axis) => (rows[axis * d + row] = 1));
      [labels, edits] = [at.map((row) => `latent coordinate ${row + 1}`), at.map((row) => `z${row + 1}`)];
    } else {
      labels = at.map((row) => this.header.info.attributes[row].name);
      edits = labels.map((name) => `a.${name}`);
      const steps = labels.map((name) => this.attributes.get(name));
      const dot = (a, b) => a.reduce((sum, x, n) => sum + x * b[n], 0);
      steps.forEach((step, axis) => rows.set(step.map((x) => x / dot(step, step)), axis * d));
      response = Float32Array.from([0, 1, 2, 3], (n) => dot(rows.subarray((n >> 1) * d, ((n >> 1) + 1) * d), steps[n & 1]));
    }
    const project = (all, n) => {
      const out = new Float32Array(2 * n);
      for (let r = 0; r < n; r += 1) {
        for (let axis = 0; axis < 2; axis += 1) {
          let sum = 0;
          for (let c = 0; c < d; c += 1) sum += rows[axis * d + c] * (all[r * d + c] - origin[c]);
          out[2 * r + axis] = sum;
        }
      }
      return { data: out, shape: [n, 2] };
    };
    const recipe = Recipe.parse(state);
    const law = this.chosen(recipe);
    const most = Math.min(count, law.count);
    const drawn = new Float32Array(most * d);
    for (let n = 0; n < most; n += 1) drawn.set(this.draw(recipe, law, n), n * d);
    return {
      labels,
      edits,
      relative,
      stride: 1,
      rows: { data: rows },
      origin: { data: origin },
      response: { data: response },
      drawn: project(drawn, most),
      ...(points && { points: project(this.points, this.points.length / d) }),
    };
  }
}

/** From a to b about the middle: direction along the great circle, length linearly. */
function offlineTurn(a, b, t) {
  const length = (v) => Math.hypot(...v);
  const [la, lb] = [length(a), length(b)];
  const cosine = Math.min(1, Math.max(-1, a.reduce((sum, x, i) => sum + x * b[i], 0) / (la * lb)));
  const angle = Math.acos(cosine);
  if (!(angle > 1e-6) || Math.PI - angle < 1e-6) return a.map((x, i) => (1 - t) * x + t * b[i]);
  const [wa, wb] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  const size = (1 - t) * la + t * lb;
  return a.map((x, i) => size * ((wa * x) / la + (wb * b[i]) / lb));
}
