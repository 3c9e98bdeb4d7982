const ELLIPSES_LIMIT = 1 - 2 ** -20;
const ELLIPSES_HALVINGS = 40;

/** The ellipse body { y : (y_i / a_i)² + (y_j / a_j)² <= 1 for all pairs }, as `jaxlatent.EllipseBody`. */
export class EllipseRegion {
  constructor(axes) {
    this.axes = axes;
  }

  /** The factor by which the body has to be scaled for y to be on its border: of the two largest. */
  gauge(y) {
    let [first, second] = [0, 0];
    for (let i = 0; i < this.axes.length; i += 1) {
      const square = (y[i] / this.axes[i]) ** 2;
      if (square > first) [first, second] = [square, first];
      else if (square > second) second = square;
    }
    return Math.sqrt(first + second);
  }

  /** y, drawn straight to the middle where it is outside; what lies beyond the axes is left. */
  pull(y) {
    const gauge = this.gauge(y);
    if (gauge <= 1) return y;
    return y.map((x, i) => (i < this.axes.length ? (x * ELLIPSES_LIMIT) / gauge : x));
  }

  /** y moved by strength times the way, or as far as it stays inside; first pulled inside. */
  move(y, way, strength) {
    const start = this.pull(y);
    const inFrame = way.map((x, i) => (i < this.axes.length ? x : 0));
    const at = (t) => start.map((x, i) => x + t * inFrame[i]);
    if (this.gauge(at(strength)) <= ELLIPSES_LIMIT) return at(strength);
    let [low, high] = [0, 1];
    for (let i = 0; i < ELLIPSES_HALVINGS; i += 1) {
      const middle = (low + high) / 2;
      if (this.gauge(at(middle * strength)) <= ELLIPSES_LIMIT) low = middle;
      else high = middle;
    }
    return at(low * strength);
  }

  /** What the others leave to component j: [-c, c]; NaN where they are outside themselves, all beyond the axes. */
  interval(y, j) {
    if (j >= this.axes.length) return [-Infinity, Infinity];
    let [first, second] = [0, 0];
    for (let i = 0; i < this.axes.length; i += 1) {
      const square = i === j ? 0 : (y[i] / this.axes[i]) ** 2;
      if (square > first) [first, second] = [square, first];
      else if (square > second) second = square;
    }
    if (first + second > 1) return [NaN, NaN];
    const most = this.axes[j] * Math.sqrt(1 - first);
    return [-most, most];
  }
}
