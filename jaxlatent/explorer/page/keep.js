import { download, el } from "./dom.js";

const KEEP_LARGE = 8;

/** What can be taken along: the picture, the vector, the same again in Python and as a command, the link. */
export function keepSection(store, view, info) {
  const python = copyLine("python", "The same again in Python");
  const command = copyLine("command", "and as a command");
  const link = el(
    "button",
    {
      id: "link",
      onclick: () => {
        store.write();
        copyText(location.href, link);
      },
    },
    "Copy the link",
  );
  const png = (factor) => async () => {
    const large = document.createElement("canvas");
    large.width = view.canvas.width * factor;
    large.height = view.canvas.height * factor;
    const context = large.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(view.canvas, 0, 0, large.width, large.height);
    download(`${info.thing}.png`, await new Promise((resolve) => large.toBlob(resolve, "image/png")));
  };
  const [height, width] = info.image ?? [0, 0];
  const element = el(
    "details",
    { class: "keep" },
    el("summary", {}, `Keep this ${info.thing}`),
    el(
      "div",
      { class: "row" },
      info.image ? el("button", { id: "png", onclick: png(1) }, `PNG, ${width} × ${height}`) : null,
      info.image ? el("button", { onclick: png(KEEP_LARGE) }, `PNG, ${KEEP_LARGE} times as large`) : null,
      el("button", { id: "npy", onclick: () => download("vector.npy", npyFile(view.look.vector.data)) }, "Vector, .npy"),
      link,
    ),
    python.element,
    command.element,
  );
  return {
    element,
    show(look) {
      python.set(look.again.python);
      command.set(look.again.command);
    },
  };
}

function copyLine(id, label) {
  const code = el("code", { id });
  const button = el("button", { "aria-label": `Copy: ${label}`, onclick: () => copyText(code.textContent, button) }, "Copy");
  const element = el("div", { class: "again" }, el("span", { class: "quiet" }, label), code, button);
  return {
    element,
    set(text) {
      element.hidden = !text;
      code.textContent = text ?? "";
    },
  };
}

async function copyText(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    window.prompt("Copy this:", text);
  }
  setTimeout(() => {
    button.textContent = before;
  }, 1500);
}

/** A NumPy file of one vector of float32, version 1.0 of the format. */
export function npyFile(vector) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (1, ${vector.length}), }`;
  const header = text.padEnd(128 - 10 - 1) + "\n";
  const head = new Uint8Array(128);
  head.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
  head.set(new TextEncoder().encode(header), 10);
  return new Blob([head, vector.slice().buffer], { type: "application/octet-stream" });
}
