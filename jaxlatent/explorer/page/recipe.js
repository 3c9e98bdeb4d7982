const RECIPE_EDIT = /^(c[1-9]\d*|z[1-9]\d*|a\..+)$/s;
const RECIPE_FIELDS = ["sampler", "seed", "index", "image", "vector", "components", "fact", "temperature", "edge"];

/**
 * What a vector is made from; the same text as `jaxlatent.explorer.Recipe`. Never changed: each method gives
 * another one.
 */
export class Recipe {
  constructor(fields = {}, edits = [], inside = false) {
    this.fields = fields;
    this.edits = edits;
    this.inside = inside;
  }

  /** From text; names that are not known are passed over, as the server names those that matter. */
  static parse(text) {
    const fields = {};
    const edits = new Map();
    let inside = false;
    for (const [name, value] of new URLSearchParams(text)) {
      if (RECIPE_EDIT.test(name)) {
        edits.delete(name);
        if (Number.isFinite(Number(value))) edits.set(name, Number(value));
      } else if (name === "inside") inside = value === "1";
      else if (RECIPE_FIELDS.includes(name)) fields[name] = value;
    }
    return new Recipe(fields, [...edits], inside);
  }

  toString() {
    const parts = RECIPE_FIELDS.filter((name) => this.fields[name] !== undefined).map((name) => [
      name,
      this.fields[name],
    ]);
    parts.push(...this.edits.map(([name, value]) => [name, String(Number(value.toPrecision(7)))]));
    if (this.inside) parts.push(["inside", "1"]);
    return parts.map(([name, value]) => `${recipeQuote(name)}=${recipeQuote(String(value))}`).join("&");
  }

  /** With other fields; undefined takes one away. */
  with(fields) {
    const all = { ...this.fields, ...fields };
    for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
    return new Recipe(all, this.edits, this.inside);
  }

  /** The edit comes last, wherever it was; undefined takes it away. */
  edited(name, value) {
    const others = this.edits.filter(([other]) => other !== name);
    return new Recipe(this.fields, value === undefined ? others : [...others, [name, value]], this.inside);
  }

  withoutEdits() {
    return new Recipe(this.fields, [], this.inside);
  }

  stay(inside) {
    return new Recipe(this.fields, this.edits, inside);
  }

  edit(name) {
    return this.edits.find(([other]) => other === name)?.[1];
  }

  number(name) {
    return this.fields[name] === undefined ? undefined : Number(this.fields[name]);
  }

  /** The draw of a sampler, with the dials that belong to all vectors. */
  drawn(sampler, index) {
    const kept = { sampler, seed: this.fields.seed ?? "0", index: String(index) };
    for (const name of ["components", "fact", "temperature", "edge"]) kept[name] = this.fields[name];
    return new Recipe({}, [], this.inside).with(kept);
  }

  /** A vector that comes from elsewhere, in the region of the same sampler. */
  ofVector(vector) {
    return new Recipe({ sampler: this.fields.sampler, vector: encodeVector(vector) }, [], this.inside);
  }

  /** A training image. */
  ofImage(row) {
    return new Recipe({ sampler: this.fields.sampler, image: String(row) }, [], this.inside);
  }
}

function recipeQuote(text) {
  return encodeURIComponent(text).replace(/%3A/g, ":").replace(/%2C/g, ",").replace(/%3D/g, "=");
}

/** Float32Array to the text of a recipe. */
export function encodeVector(vector) {
  const bytes = new Uint8Array(vector.slice().buffer);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** The text of a recipe to a Float32Array; an error of one line if it is none. */
export function decodeVector(text, size) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  } catch {
    throw new Error("state: vector: expected numbers of float32 as base64");
  }
  if (bytes.length !== 4 * size) {
    throw new Error(`state: vector: expected ${size} numbers, got ${bytes.length / 4}`);
  }
  return new Float32Array(bytes.buffer);
}
