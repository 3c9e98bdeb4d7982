/**
 * The one hot loop of the decoder: a product of pixels with a panel of four columns of a matrix.
 *
 * In WebAssembly with SIMD it takes a sixth of the time; its module is assembled here, when the page loads.
 * Where that is missing, or a page's policy forbids it (script-src without 'wasm-unsafe-eval'), plain typed
 * arrays do the same.
 */

/**
 * @callback Product
 * Multiplies `rows` pixels with one panel: all addresses and steps count floats.
 *
 * For each row r < rows, c[r * cStep + 0..3] becomes the panel's first four floats, the biases, plus the sum
 * over l < lines and i < depth of a[r * aStep + l * aLine + i] times the panel's next four floats.
 * @param {number} a address of the first pixel's first value
 * @param {number} aStep from one pixel to the next; pixels may overlap
 * @param {number} aLine from one line of a pixel's values to the next
 * @param {number} lines at least 1
 * @param {number} depth values in a line, at least 1
 * @param {number} b address of the panel, 4 * (1 + lines * depth) floats
 * @param {number} c address of the first result
 * @param {number} cStep from one pixel's result to the next
 * @param {number} rows pixels, at least 1
 */

/**
 * Memory for `length` floats and the product on it.
 * @param {number} length
 * @returns {{floats: Float32Array, product: Product, simd: boolean}}
 */
export function createMatmul(length) {
  try {
    const module = new WebAssembly.Module(assembleProduct());
    const memory = new WebAssembly.Memory({ initial: Math.ceil((4 * length) / 65536) });
    const { product } = new WebAssembly.Instance(module, { page: { memory } }).exports;
    return { floats: new Float32Array(memory.buffer), product, simd: true };
  } catch {
    const floats = new Float32Array(length);
    return { floats, product: typedArrayProduct(floats), simd: false };
  }
}

/**
 * The product in JavaScript: four pixels at once, their sums in sixteen variables.
 * @param {Float32Array} m
 * @returns {Product}
 */
function typedArrayProduct(m) {
  return (a, aStep, aLine, lines, depth, b, c, cStep, rows) => {
    for (; rows >= 4; rows -= 4, a += 4 * aStep, c += 4 * cStep) {
      let [p0, p1, p2, p3] = [m[b], m[b + 1], m[b + 2], m[b + 3]];
      let [q0, q1, q2, q3] = [p0, p1, p2, p3];
      let [r0, r1, r2, r3] = [p0, p1, p2, p3];
      let [s0, s1, s2, s3] = [p0, p1, p2, p3];
      for (let w = b + 4, line = a, l = 0; l < lines; l++, line += aLine) {
        for (let x = line; x < line + depth; x++, w += 4) {
          const w0 = m[w], w1 = m[w + 1], w2 = m[w + 2], w3 = m[w + 3];
          const p = m[x], q = m[x + aStep], r = m[x + 2 * aStep], s = m[x + 3 * aStep];
          p0 += p * w0; p1 += p * w1; p2 += p * w2; p3 += p * w3;
          q0 += q * w0; q1 += q * w1; q2 += q * w2; q3 += q * w3;
          r0 += r * w0; r1 += r * w1; r2 += r * w2; r3 += r * w3;
          s0 += s * w0; s1 += s * w1; s2 += s * w2; s3 += s * w3;
        }
      }
      let to = c;
      m[to] = p0; m[to + 1] = p1; m[to + 2] = p2; m[to + 3] = p3;
      to += cStep;
      m[to] = q0; m[to + 1] = q1; m[to + 2] = q2; m[to + 3] = q3;
      to += cStep;
      m[to] = r0; m[to + 1] = r1; m[to + 2] = r2; m[to + 3] = r3;
      to += cStep;
      m[to] = s0; m[to + 1] = s1; m[to + 2] = s2; m[to + 3] = s3;
    }
    for (; rows > 0; rows--, a += aStep, c += cStep) {
      let p0 = m[b], p1 = m[b + 1], p2 = m[b + 2], p3 = m[b + 3];
      for (let w = b + 4, line = a, l = 0; l < lines; l++, line += aLine) {
        for (let x = line; x < line + depth; x++, w += 4) {
          const p = m[x];
          p0 += p * m[w]; p1 += p * m[w + 1]; p2 += p * m[w + 2]; p3 += p * m[w + 3];
        }
      }
      m[c] = p0; m[c + 1] = p1; m[c + 2] = p2; m[c + 3] = p3;
    }
  };
}

/**
 * Assembles the same product as a WebAssembly module that imports page.memory and exports product.
 *
 * Codes and layout are those of the WebAssembly specification, "Binary Format". Constants are below 64 and
 * indices below 128, so that each is one byte; only lengths take more.
 * @returns {Uint8Array}
 */
function assembleProduct() {
  const parameters = ["a", "aStep", "aLine", "lines", "depth", "b", "c", "cStep", "rows"];
  const integers = ["line", "l", "w", "end", "x0", "x1", "x2", "x3"];
  const vectors = ["weights", "sum0", "sum1", "sum2", "sum3"];
  const locals = [...parameters, ...integers, ...vectors];
  const [i32, v128] = [0x7f, 0x7b];

  const get = (name) => [0x20, locals.indexOf(name)];
  const set = (name) => [0x21, locals.indexOf(name)];
  const constant = (n) => [0x41, n];
  const [lessSigned, lessUnsigned, greaterOrEqualSigned] = [0x48, 0x49, 0x4e];
  const [add, subtract, multiply, shiftLeft] = [0x6a, 0x6b, 0x6c, 0x74];
  const [load, loadSplat, store] = [0, 9, 11].map((code) => [0xfd, code, 2, 0]); // addresses of whole floats
  const [addVectors, multiplyVectors] = [0xe4, 0xe6].map((code) => [0xfd, code, 1]);
  const increase = (name, ...by) => [get(name), by, add, set(name)];
  const loopWhile = (condition, ...body) => [0x03, 0x40, condition, 0x04, 0x40, body, 0x0c, 1, 0x0b, 0x0b];

  // Takes `count` pixels at a time while there are as many; the loops are those of `typedArrayProduct`.
  const tiles = (count) => {
    const pixels = [0, 1, 2, 3].slice(0, count);
    return loopWhile(
      [get("rows"), constant(count), greaterOrEqualSigned],
      pixels.map((r) => [get("b"), load, set(`sum${r}`)]),
      [get("b"), constant(16), add, set("w"), get("a"), set("line"), constant(0), set("l")],
      loopWhile(
        [get("l"), get("lines"), lessSigned],
        [get("line"), get("depth"), add, set("end"), get("line"), set("x0")],
        pixels.slice(1).map((r) => [get(`x${r - 1}`), get("aStep"), add, set(`x${r}`)]),
        loopWhile(
          [get("x0"), get("end"), lessUnsigned],
          [get("w"), load, set("weights")],
          pixels.map((r) => [
            [get(`x${r}`), loadSplat, get("weights"), multiplyVectors],
            [get(`sum${r}`), addVectors, set(`sum${r}`)],
          ]),
          pixels.map((r) => increase(`x${r}`, constant(4))),
          increase("w", constant(16)),
        ),
        increase("line", get("aLine")),
        increase("l", constant(1)),
      ),
      pixels.map((r) => [get("c"), get(`sum${r}`), store, increase("c", get("cStep"))]),
      increase("a", get("aStep"), constant(count), multiply),
      [get("rows"), constant(count), subtract, set("rows")],
    );
  };
  const inBytes = ["a", "aStep", "aLine", "depth", "b", "c", "cStep"].map((name) => [
    [get(name), constant(2), shiftLeft, set(name)],
  ]);

  const unsigned = (n) => (n < 128 ? n : [(n & 127) | 128, unsigned(n >> 7)]);
  const sized = (...content) => {
    const bytes = content.flat(Infinity);
    return [unsigned(bytes.length), bytes];
  };
  const text = (string) => sized([...string].map((letter) => letter.charCodeAt(0)));
  const module = [
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    [1, sized(1, 0x60, sized(parameters.map(() => i32)), 0)], // type 0: nine integers to nothing
    [2, sized(1, text("page"), text("memory"), 2, 0, 1)], // a memory of at least one page
    [3, sized(1, 0)], // one function, of type 0
    [7, sized(1, text("product"), 0, 0)], // which is exported
    [10, sized(1, sized(2, integers.length, i32, vectors.length, v128, inBytes, tiles(4), tiles(1), 0x0b))],
  ];
  return new Uint8Array(module.flat(Infinity));
}
