/**
 * The decoder of a trained autoencoder: latent vector in, pixels out.
 *
 * A transposed convolution of stride 2 is four plain convolutions, one for each parity of row and column of
 * the result (as in jaxlatent/autoencoder/conv.py). Feature maps lie in memory with a border of zeros,
 * channels last, so that what a pixel of the result sees is a few lines of adjacent numbers, and none have to
 * be gathered.
 */

import { createMatmul } from "./matmul.js";

/** Every one leaves zero as it is. */
const NETWORK_ACTIVATIONS = {
  relu: (x) => (x > 0 ? x : 0),
  leaky_relu: (x) => (x > 0 ? x : 0.1 * x),
  gelu: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
  silu: (x) => x / (1 + Math.exp(-x)),
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
};

// The unit in the last place of a half float, by the five bits of its exponent.
const HALF_FLOAT_UNITS = Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 25));

export class Network {
  /**
   * @param {object} description from `jaxlatent.explorer.network.describe_decoder`
   * @param {Uint16Array} weights the array from there, as its bits
   */
  constructor(description, weights) {
    const { image_shape, innermost, latent_dim, kernel_size, activation, layers } = description;
    let length = 0;
    const take = (count) => {
      const at = length;
      length += Math.ceil(count / 16) * 16; // whole cache lines
      return at;
    };
    /** Height, width and channels of an image. */
    this.shape = image_shape;
    this.activation = NETWORK_ACTIVATIONS[activation];
    this.latent = { at: take(latent_dim), length: latent_dim };
    let input = null;
    this.layers = layers.map(({ channels }, i) => {
      // Shifted, as a power is never an integer to V8, and typed arrays are slower at addresses that are not.
      const map = createFeatureMap(innermost[0] << i, innermost[1] << i, channels, take);
      const products = input ? upProducts(input, map, kernel_size) : denseProducts(this.latent, map);
      for (const product of products) product.b = take(product.panels * panelLength(product));
      input = map;
      return { map, products };
    });
    const { floats, product, simd } = createMatmul(length);
    this.floats = floats;
    this.product = product;
    /** Whether the products run in WebAssembly. */
    this.simd = simd;
    this.layers.forEach((layer, i) => {
      const { kernel, bias, norm } = layers[i];
      const read = (place) => readNetworkArray(weights, place);
      const columns = { kernel: read(kernel), bias: read(bias) };
      for (const product of layer.products) packPanels(floats, product, columns);
      if (norm) layer.norm = { ...norm, scale: read(norm.scale), bias: read(norm.bias) };
    });
  }

  /**
   * Decodes one latent vector.
   * @param {Float32Array} z of the model's length
   * @param {Uint8ClampedArray} pixels (height * width * channels), written
   */
  decode(z, pixels) {
    const { floats, latent, layers } = this;
    if (z.length !== latent.length) {
      throw new RangeError(`z: expected ${latent.length} numbers, got ${z.length}`);
    }
    floats.set(z, latent.at);
    const image = layers.at(-1).map;
    for (const { map, products, norm } of layers) {
      for (const product of products) multiplyPanels(this.product, product);
      if (norm) normalizeFeatureGroups(floats, map, norm);
      if (map !== image) activateFeatureMap(floats, map, this.activation);
    }
    writeImagePixels(floats, image, this.shape, pixels);
  }
}

/** A feature map with a border of one pixel; channels are padded with zeros to a multiple of four. */
function createFeatureMap(height, width, channels, take) {
  const step = Math.ceil(channels / 4) * 4;
  const line = (width + 2) * step;
  const length = (height + 2) * line;
  const start = take(length);
  return { height, width, channels, step, line, start, length, first: start + line + step };
}

/**
 * One product for each pixel of the map: the kernel's columns from `column` on are the pixel's channels.
 *
 * A product has the arguments of `Product` for one row of `columns` pixels; the number of `rows`, and the
 * steps from one to the next; and where each row of its matrix starts in the kernel, null for a channel of
 * the input's padding.
 */
function denseProducts(latent, map) {
  const { height, width, channels, step } = map;
  const kernelRows = Array.from({ length: latent.length }, (_, k) => k * height * width * channels);
  const from = { a: latent.at, aStep: 0, aLine: 0, aRow: 0, lines: 1, depth: latent.length };
  const to = { cStep: 0, cRow: 0, rows: 1, columns: 1, panels: step / 4, channels };
  return Array.from({ length: height * width }, (_, pixel) => {
    const c = map.first + Math.floor(pixel / width) * map.line + (pixel % width) * step;
    return { ...from, ...to, c, kernelRows, column: pixel * channels };
  });
}

/** One product for each parity of row and column of the map `output`, twice as high and wide as `input`. */
function upProducts(input, output, size) {
  const { height, width, step, line } = input;
  const { channels } = output;
  const to = { cStep: 2 * output.step, cRow: 2 * output.line, panels: output.step / 4, channels };
  const parities = [[0, 0], [0, 1], [1, 0], [1, 1]];
  return parities.map(([p, q]) => {
    const down = parityTaps(size, p);
    const right = parityTaps(size, q);
    const taps = down.taps.flatMap((s) => right.taps.map((t) => s * size + t));
    const kernelRows = taps.flatMap((tap) =>
      Array.from({ length: step }, (_, channel) =>
        channel < input.channels ? (tap * input.channels + channel) * channels : null,
      ),
    );
    const a = input.first + down.first * line + right.first * step;
    const c = output.first + p * output.line + q * output.step;
    const [lines, depth] = [down.taps.length, right.taps.length * step];
    const from = { aStep: step, aLine: line, aRow: line, lines, depth, rows: height, columns: width };
    return { ...from, ...to, a, c, kernelRows, column: 0 };
  });
}

/**
 * The rows of a kernel that reach the result's rows 2i + parity, in the order of the input's rows that they
 * read, i + first and on: through its row s, row i + (before + parity - s) / 2 is read. Columns alike.
 */
function parityTaps(size, parity) {
  const before = Math.floor((size - 2) / 2);
  const taps = [];
  for (let s = size - 1; s >= 0; s--) if ((before + parity - s) % 2 === 0) taps.push(s);
  return { taps, first: (before + parity - taps[0]) / 2 };
}

function panelLength({ lines, depth }) {
  return 4 * (1 + lines * depth);
}

/** Writes a product's panels: the biases of four channels, then row after row of the kernel. */
function packPanels(floats, product, { kernel, bias }) {
  const { b, channels, column, kernelRows } = product;
  const length = panelLength(product);
  for (let channel = 0; channel < channels; channel++) {
    let at = b + Math.floor(channel / 4) * length + (channel % 4);
    floats[at] = bias[column + channel];
    for (const row of kernelRows) {
      at += 4;
      if (row !== null) floats[at] = kernel[row + column + channel];
    }
  }
}

/** Panel by panel: one stays in the processor's first cache while all pixels pass. */
function multiplyPanels(multiply, product) {
  const { a, aStep, aLine, aRow, lines, depth, b, c, cStep, cRow, rows, columns, panels } = product;
  const length = panelLength(product);
  for (let panel = 0; panel < panels; panel++) {
    for (let i = 0; i < rows; i++) {
      const to = c + i * cRow + 4 * panel;
      multiply(a + i * aRow, aStep, aLine, lines, depth, b + panel * length, to, cStep, columns);
    }
  }
}

/** An array of the description, of half floats or of 32-bit floats. */
function readNetworkArray(weights, { shape, dtype, offset }) {
  const length = shape.reduce((product, n) => product * n);
  if (dtype === "float32") return new Float32Array(weights.slice(offset, offset + 2 * length).buffer);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const bits = weights[offset + i];
    const exponent = (bits >> 10) & 31;
    const magnitude = HALF_FLOAT_UNITS[exponent] * ((bits & 1023) + (exponent ? 1024 : 0));
    values[i] = bits >> 15 ? -magnitude : magnitude;
  }
  return values;
}

function activateFeatureMap(floats, { start, length }, activation) {
  for (let i = start; i < start + length; i++) floats[i] = activation(floats[i]);
}

/** Group norm: adjacent channels to mean 0 and variance 1 over all pixels; then scale and bias of each. */
function normalizeFeatureGroups(floats, map, { groups, epsilon, scale, bias }) {
  const width = map.channels / groups;
  const count = map.height * map.width * width;
  for (let from = 0; from < map.channels; from += width) {
    let [sum, squares] = [0, 0];
    forEachFeaturePixel(map, (at) => {
      for (let channel = from; channel < from + width; channel++) {
        sum += floats[at + channel];
        squares += floats[at + channel] ** 2;
      }
    });
    const mean = sum / count;
    const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean) + epsilon);
    forEachFeaturePixel(map, (at) => {
      for (let channel = from; channel < from + width; channel++) {
        floats[at + channel] = ((floats[at + channel] - mean) / deviation) * scale[channel] + bias[channel];
      }
    });
  }
}

/** The image is the centre of the last map. */
function writeImagePixels(floats, map, [height, width, channels], pixels) {
  const top = Math.floor((map.height - height) / 2);
  const left = Math.floor((map.width - width) / 2);
  const centre = { ...map, height, width, first: map.first + top * map.line + left * map.step };
  let to = 0;
  forEachFeaturePixel(centre, (at) => {
    // A clamped array rounds what it is given.
    for (let channel = 0; channel < channels; channel++) pixels[to++] = 255 / (1 + Math.exp(-floats[at + channel]));
  });
}

function forEachFeaturePixel({ height, width, step, line, first }, visit) {
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) visit(first + i * line + j * step);
  }
}
