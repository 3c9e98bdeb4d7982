const WIRE_TYPES = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array, float16: Uint16Array };

/**
 * Reads a message of `wire.pack`: its header, with each array as { data, shape } under its name.
 * Half precision stays as bits, see `widened`.
 * @param {ArrayBuffer} buffer
 */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  for (const [name, { type, shape, offset }] of Object.entries(header.arrays)) {
    const count = shape.reduce((a, b) => a * b, 1);
    header[name] = { data: new WIRE_TYPES[type](buffer, 4 + length + offset, count), shape, type };
  }
  delete header.arrays;
  return header;
}

/** Image `row` of an array of images (n, h, w, c). */
export function imageAt(images, row) {
  const shape = images.shape.slice(1);
  const size = shape.reduce((a, b) => a * b, 1);
  return { data: images.data.subarray(row * size, (row + 1) * size), shape };
}

/** Row `row` of an array (n, d). */
export function rowAt(array, row) {
  const d = array.shape[1];
  return array.data.subarray(row * d, (row + 1) * d);
}
