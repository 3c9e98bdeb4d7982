import { AttributesPanel } from "./attributes.js";
import { el } from "./dom.js";
import { FaceView } from "./face.js";
import { FavouritesPanel } from "./favourites.js";
import { GridPanel } from "./grid.js";
import { HelpPanel } from "./help.js";
import { latest } from "./latest.js";
import { MapPanel } from "./map.js";
import { NeighboursPanel } from "./neighbours.js";
import { SlidersPanel } from "./sliders.js";
import { Store } from "./store.js";
import { Tabs } from "./tabs.js";
import { UploadPanel } from "./upload.js";

const MAIN_POLL_MS = 700;

/** Builds the page on an engine, which answers for the model. */
export async function openPage(engine) {
  const line = document.getElementById("notice");
  const notice = (error) => {
    line.textContent = error.message;
    line.hidden = false;
  };
  window.addEventListener("unhandledrejection", (event) => notice(event.reason));
  let info;
  try {
    info = await engine.info();
  } catch (error) {
    notice(error);
    return;
  }
  document.title = `${info.title} – jaxlatent explorer`;
  document.getElementById("title").textContent = info.title;
  document.getElementById("subtitle").textContent =
    `${info.points.toLocaleString("en")} z-points of ${info.coordinates} dimensions` + (info.note ? `. ${info.note}` : "");
  const store = new Store();
  const face = new FaceView(document.getElementById("face"), store, info);
  const attributes = new AttributesPanel(store, engine, info, notice);
  const panels = {
    sliders: ["Sliders", new SlidersPanel(store, engine, info, notice)],
    attributes: ["Attributes", attributes],
    map: ["Map", new MapPanel(store, engine, info, notice)],
    ...(info.neighbours && { neighbours: ["Neighbours", new NeighboursPanel(store, engine, notice)] }),
    ...(info.image && {
      grid: ["Grid", new GridPanel(store, engine, info, notice)],
      favourites: ["Favourites", new FavouritesPanel(store, engine, info, notice)],
    }),
    ...(info.encoder && { upload: ["Your image", new UploadPanel(store, engine, notice)] }),
    help: ["Help", new HelpPanel(info)],
  };
  const tabs = new Tabs(document.getElementById("tabs"), document.getElementById("panels"), panels, store);
  const request = latest(
    (state) => engine.face(state),
    (look, state) => {
      line.hidden = true;
      face.show(look, state);
      tabs.show(look);
    },
    notice,
  );
  store.subscribe((recipe, view) => {
    face.follow(recipe, view);
    tabs.follow(view);
    request(recipe.toString());
  });
  // For tests and measurements.
  globalThis.explorerState = () => store.recipe.toString();
  globalThis.explorerLook = () => face.look;
  globalThis.explorerMap = () => panels.map[1];
  document.addEventListener("keydown", (event) => pressed(event, { store, face, tabs }));
  if (!store.recipe.fields.sampler) store.recipe = store.recipe.with({ sampler: info.samplers[0].name });
  store.tell();
  while (info.progress === "loading") {
    await new Promise((resolve) => setTimeout(resolve, MAIN_POLL_MS));
    info = await engine.info().catch(() => info);
    if (info.progress !== "loading") {
      attributes.lay(info);
      panels.map[1].lay(info);
      if (info.progress !== "ready") notice(new Error(info.progress));
      store.tell();
    }
  }
}

function pressed(event, { store, face, tabs }) {
  const typing = event.target.closest?.("input:not([type=range]):not([type=checkbox]), select, textarea");
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) {
    event.preventDefault();
    if (event.shiftKey) store.redo();
    else store.undo();
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const number = Number(event.key);
  if (number >= 1 && number <= tabs.names.length) tabs.open(tabs.names[number - 1]);
  const action = {
    n: () => face.fresh(),
    u: () => store.undo(),
    r: () => store.redo(),
    f: () => face.toggleFavourite(),
    i: () => face.stay(!store.recipe.inside),
    "?": () => tabs.open("help"),
  }[event.key];
  action?.();
}
