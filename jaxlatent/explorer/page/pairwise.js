/** Random numbers in [0, 1) that belong to a seed and an index: sfc32, of Chris Doty-Humphrey's PractRand. */
export function randomNumbers(seed, index) {
  let [a, b, c, d] = [seed >>> 0, index >>> 0, Math.floor(seed / 4294967296) >>> 0, 1];
  const next = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return (t >>> 0) / 4294967296;
  };
  for (let i = 0; i < 16; i += 1) next();
  return next;
}

/**
 * The source method: each component uniform in [-1, 1] of its semi-axis; then all pairs in random order, and of
 * one that lies outside its ellipse, either is drawn anew within what the other leaves.
 */
export function pairwiseVector(axes, random) {
  const k = axes.length;
  const u = Float64Array.from({ length: k }, () => 2 * random() - 1);
  const pairs = new Uint32Array((k * (k - 1)) / 2);
  for (let i = 0, at = 0; i < k; i += 1) {
    for (let j = i + 1; j < k; j += 1, at += 1) {
      const place = Math.floor(random() * (at + 1));
      pairs[at] = pairs[place];
      pairs[place] = i * k + j;
    }
  }
  for (const pair of pairs) {
    const [i, j] = [Math.floor(pair / k), pair % k];
    if (u[i] * u[i] + u[j] * u[j] > 1) {
      const [kept, drawn] = random() < 0.5 ? [i, j] : [j, i];
      u[drawn] = (2 * random() - 1) * Math.sqrt(1 - u[kept] * u[kept]);
    }
  }
  return u.map((x, i) => x * axes[i]);
}
