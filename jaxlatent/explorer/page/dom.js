/**
 * An element: `el("button", { class: "big", onclick: f, "aria-label": "x" }, "text", child)`.
 * Properties that are undefined, null or false are left out.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (["value", "checked", "disabled", "hidden", "htmlFor"].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts an image { data, shape (h, w, c) } on a canvas, pixel by pixel. */
export function paint(canvas, { data, shape: [height, width, channels] }) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const pixels = new ImageData(width, height);
  const out = pixels.data;
  for (let i = 0; i < width * height; i += 1) {
    const from = i * channels;
    const grey = channels < 3;
    out[4 * i] = data[from];
    out[4 * i + 1] = data[grey ? from : from + 1];
    out[4 * i + 2] = data[grey ? from : from + 2];
    out[4 * i + 3] = channels === 4 ? data[from + 3] : 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** A canvas with an image on it. */
export function picture(image, label) {
  const canvas = el("canvas", { role: "img", "aria-label": label, class: "picture" });
  if (image) paint(canvas, image);
  return canvas;
}

/** A number for people: three significant digits, thousands apart. */
export function shown(number, digits = 3) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  const size = Math.abs(number);
  if (size >= 1000) return Math.round(number).toLocaleString("en");
  return String(Number(number.toPrecision(digits))).replace("-", "−");
}

/** A fixed number of decimals, with a true minus sign, so that numbers stand below each other. */
export function fixed(number, decimals = 2) {
  const text = number.toFixed(decimals);
  return (Number(text) === 0 ? (0).toFixed(decimals) : text).replace("-", "−");
}

/** Lets the browser save a file. */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

let labelled = 0;

/** An id that no other element has. */
export function freshId(prefix) {
  labelled += 1;
  return `${prefix}-${labelled}`;
}
