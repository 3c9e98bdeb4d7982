/** Frames (canvases of one size) as an animated WebP: each frame by the browser's own encoder, joined here. */
export async function animatedWebp(frames, milliseconds) {
  const [width, height] = [frames[0].width, frames[0].height];
  const parts = [webpChunk("VP8X", [2, 0, 0, 0, ...webpNumber(width - 1, 3), ...webpNumber(height - 1, 3)]), webpChunk("ANIM", [0, 0, 0, 0, 0, 0])];
  for (const frame of frames) {
    const blob = await new Promise((resolve) => frame.toBlob(resolve, "image/webp", 0.9));
    if (blob?.type !== "image/webp") throw new Error("this browser cannot write WebP; take another, or the explorer with a server");
    const bytes = new Uint8Array(await blob.arrayBuffer());
    const head = [...webpNumber(0, 6), ...webpNumber(width - 1, 3), ...webpNumber(height - 1, 3), ...webpNumber(milliseconds, 3), 2];
    parts.push(webpChunk("ANMF", head, webpPicture(bytes)));
  }
  const size = parts.reduce((sum, part) => sum + part.length, 4);
  return new Blob([new TextEncoder().encode("RIFF"), Uint8Array.from(webpNumber(size, 4)), new TextEncoder().encode("WEBP"), ...parts], { type: "image/webp" });
}

/** The chunks that hold the picture: all but the extended header. */
function webpPicture(bytes) {
  const kept = [];
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = String.fromCharCode(...bytes.subarray(at, at + 4));
    const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + 4, true);
    const end = at + 8 + size + (size % 2);
    if (["VP8 ", "VP8L", "ALPH"].includes(name)) kept.push(...bytes.subarray(at, end));
    at = end;
  }
  return kept;
}

function webpChunk(name, head, rest = []) {
  const size = head.length + rest.length;
  return Uint8Array.from([...new TextEncoder().encode(name), ...webpNumber(size, 4), ...head, ...rest, ...(size % 2 ? [0] : [])]);
}

function webpNumber(value, bytes) {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) & 255);
}
