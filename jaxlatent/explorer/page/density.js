const DENSITY_BINS = 160;
const DENSITY_REACH = 4.5;

/** Mean, deviations and covariance of points (n, 2), flat. */
export function planeMoments(points) {
  const n = points.length / 2;
  const mean = [0, 0];
  for (let i = 0; i < points.length; i += 2) {
    mean[0] += points[i] / n;
    mean[1] += points[i + 1] / n;
  }
  let [xx, xy, yy] = [0, 0, 0];
  for (let i = 0; i < points.length; i += 2) {
    const x = points[i] - mean[0];
    const y = points[i + 1] - mean[1];
    xx += (x * x) / (n - 1);
    xy += (x * y) / (n - 1);
    yy += (y * y) / (n - 1);
  }
  return { n, mean, covariance: [xx, xy, yy], sigma: [Math.sqrt(xx), Math.sqrt(yy)] };
}

/**
 * The contour lines where the density has fallen to exp(-level² / 2) of its maximum, as lists of segments
 * [x1, y1, x2, y2]: a histogram smoothed by a Gaussian kernel of n^(-1/6) deviations, as `plane_density`.
 */
export function contourLines(points, { n, mean, sigma }, levels) {
  const bins = DENSITY_BINS;
  const width = sigma.map((s) => (2 * DENSITY_REACH * s) / bins);
  const low = mean.map((m, i) => m - DENSITY_REACH * sigma[i]);
  let grid = new Float32Array(bins * bins);
  for (let i = 0; i < points.length; i += 2) {
    const column = Math.floor((points[i] - low[0]) / width[0]);
    const row = Math.floor((points[i + 1] - low[1]) / width[1]);
    if (column >= 0 && column < bins && row >= 0 && row < bins) grid[row * bins + column] += 1;
  }
  const deviation = (n ** (-1 / 6) * bins) / (2 * DENSITY_REACH);
  grid = densityBlur(densityBlur(grid, bins, deviation, 1, bins), bins, deviation, bins, 1);
  const most = grid.reduce((a, b) => Math.max(a, b), 0);
  const place = (row, column) => [low[0] + (column + 0.5) * width[0], low[1] + (row + 0.5) * width[1]];
  return levels.map((level) => densitySegments(grid, bins, most * Math.exp((-level * level) / 2), place));
}

function densityBlur(grid, bins, deviation, step, across) {
  const reach = Math.ceil(4 * deviation);
  const kernel = Float32Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * deviation ** 2)));
  const total = kernel.reduce((a, b) => a + b, 0);
  const out = new Float32Array(grid.length);
  for (let line = 0; line < bins; line += 1) {
    for (let i = 0; i < bins; i += 1) {
      let sum = 0;
      const first = Math.max(0, i - reach);
      const last = Math.min(bins - 1, i + reach);
      for (let j = first; j <= last; j += 1) sum += kernel[j - i + reach] * grid[line * across + j * step];
      out[line * across + i * step] = sum / total;
    }
  }
  return out;
}

/** Marching squares, the crossings of a level interpolated along the edges of each cell. */
function densitySegments(grid, bins, level, place) {
  const segments = [];
  for (let row = 0; row + 1 < bins; row += 1) {
    for (let column = 0; column + 1 < bins; column += 1) {
      const corners = [
        [row, column],
        [row, column + 1],
        [row + 1, column + 1],
        [row + 1, column],
      ];
      const crossings = [];
      for (let edge = 0; edge < 4; edge += 1) {
        const [a, b] = [corners[edge], corners[(edge + 1) % 4]];
        const [from, to] = [grid[a[0] * bins + a[1]] - level, grid[b[0] * bins + b[1]] - level];
        if (from < 0 === to < 0) continue;
        const t = from / (from - to);
        crossings.push(place(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])));
      }
      for (let i = 0; i + 1 < crossings.length; i += 2) segments.push([...crossings[i], ...crossings[i + 1]]);
    }
  }
  return segments;
}

/** Points (m, 2), flat, of the ellipse of a covariance at a level in deviations. */
export function ellipseLine({ mean, covariance: [xx, xy, yy] }, level, count = 96) {
  const a = Math.sqrt(xx);
  const b = xy / a;
  const c = Math.sqrt(Math.max(0, yy - b * b));
  return Array.from({ length: count + 1 }, (_, i) => {
    const angle = (2 * Math.PI * i) / count;
    const [u, v] = [level * Math.cos(angle), level * Math.sin(angle)];
    return [mean[0] + a * u, mean[1] + b * u + c * v];
  });
}

/** Finds the nearest point (n, 2) by a grid of cells, so that hovering over many points costs nothing. */
export class NearestPoint {
  constructor(points, { mean, sigma }) {
    this.points = points;
    this.mean = mean;
    this.cell = sigma.map((s) => s / 8 || 1);
    this.cells = new Map();
    for (let i = 0; i < points.length; i += 2) {
      const key = this.key(this.at(points[i], 0), this.at(points[i + 1], 1));
      const list = this.cells.get(key);
      if (list) list.push(i / 2);
      else this.cells.set(key, [i / 2]);
    }
  }

  at(value, axis) {
    return Math.floor((value - this.mean[axis]) / this.cell[axis]);
  }

  key(column, row) {
    return column * 65536 + row;
  }

  /** The row of the nearest point within `reach` (in deviations of each axis), or -1. */
  find(x, y, reach = 0.25) {
    const [column, row] = [this.at(x, 0), this.at(y, 1)];
    const cells = Math.ceil(reach * 8);
    let best = -1;
    let least = reach * reach;
    for (let i = column - cells; i <= column + cells; i += 1) {
      for (let j = row - cells; j <= row + cells; j += 1) {
        for (const point of this.cells.get(this.key(i, j)) ?? []) {
          const dx = (this.points[2 * point] - x) / (8 * this.cell[0]);
          const dy = (this.points[2 * point + 1] - y) / (8 * this.cell[1]);
          const square = dx * dx + dy * dy;
          if (square < least) [least, best] = [square, point];
        }
      }
    }
    return best;
  }
}
