import { OfflineSpace } from "./offline.js";

const WORKER_ANSWERS = {
  info: (space) => space.info(),
  face: (space, state) => space.face(state),
  plane: (space, question) => space.plane(question),
};
const workerChannel = new MessageChannel();
let workerSpace = null;

/** Lets questions in that have come meanwhile: a face that is dragged goes before a grid. */
function workerPause() {
  return new Promise((resolve) => {
    workerChannel.port1.onmessage = resolve;
    workerChannel.port2.postMessage(null);
  });
}

async function workerFaces(space, question) {
  const vectors = space.vectors(question);
  const size = space.network.shape.reduce((a, b) => a * b);
  const images = new Uint8ClampedArray(vectors.length * size);
  const all = new Float32Array(vectors.length * space.d);
  for (let i = 0; i < vectors.length; i += 1) {
    all.set(vectors[i], i * space.d);
    images.set(space.decode(vectors[i]).data, i * size);
    await workerPause();
  }
  return { images: { data: images, shape: [vectors.length, ...space.network.shape] }, vectors: { data: all, shape: [vectors.length, space.d] } };
}

let workerQueue = Promise.resolve();

self.onmessage = async ({ data: { number, name, question } }) => {
  try {
    if (name === "open") workerSpace = new OfflineSpace(question);
    let answer = null;
    if (name === "faces") {
      // One after the other, as they share the pause.
      const mine = workerQueue.then(() => workerFaces(workerSpace, question));
      workerQueue = mine.catch(() => {});
      answer = await mine;
    } else answer = WORKER_ANSWERS[name]?.(workerSpace, question) ?? null;
    self.postMessage({ number, answer });
  } catch (error) {
    self.postMessage({ number, error: error.message });
  }
};
