const CHART_MARGIN = { left: 46, right: 10, top: 10, bottom: 40 };

/** Colours of the drawing, from the page's own; read anew, as the scheme may change. */
export function chartColours(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return { text: of("--text"), quiet: of("--quiet"), line: of("--line"), page: of("--panel"), point: of("--point"), drawn: of("--drawn"), link: of("--link"), mark: of("--mark") };
}

/** What of a plane is seen on a canvas: the middle, the size of a unit; and axes with their ticks. */
export class Viewport {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.middle = [0, 0];
    this.scale = [1, 1];
    this.fit();
  }

  /** Takes the size that the page gives the canvas; says whether it changed. */
  fit() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    const isNew = this.width !== clientWidth || this.height !== clientHeight || this.ratio !== ratio;
    [this.width, this.height, this.ratio] = [clientWidth, clientHeight, ratio];
    if (isNew && clientWidth) {
      this.canvas.width = Math.round(clientWidth * ratio);
      this.canvas.height = Math.round(clientHeight * ratio);
    }
    return isNew;
  }

  get frame() {
    const { left, right, top, bottom } = CHART_MARGIN;
    return { x: left, y: top, width: Math.max(1, this.width - left - right), height: Math.max(1, this.height - top - bottom) };
  }

  /** Shows `reach` deviations to each side of the mean, both axes in the same measure where they share a unit. */
  show({ mean, sigma }, reach, sameUnit) {
    const { width, height } = this.frame;
    this.middle = [...mean];
    this.scale = [width / (2 * reach * (sigma[0] || 1)), height / (2 * reach * (sigma[1] || 1))];
    if (sameUnit) this.scale.fill(Math.min(...this.scale));
  }

  toPixel(x, y) {
    const frame = this.frame;
    return [
      frame.x + frame.width / 2 + (x - this.middle[0]) * this.scale[0],
      frame.y + frame.height / 2 - (y - this.middle[1]) * this.scale[1],
    ];
  }

  toPlane(px, py) {
    const frame = this.frame;
    return [
      this.middle[0] + (px - frame.x - frame.width / 2) / this.scale[0],
      this.middle[1] - (py - frame.y - frame.height / 2) / this.scale[1],
    ];
  }

  pan(dx, dy) {
    this.middle = [this.middle[0] - dx / this.scale[0], this.middle[1] + dy / this.scale[1]];
  }

  /** Nearer by a factor; the point under (px, py) stays where it is. */
  zoom(factor, px, py) {
    const [x, y] = this.toPlane(px, py);
    this.scale = this.scale.map((s) => s * factor);
    const [nx, ny] = this.toPlane(px, py);
    this.middle = [this.middle[0] + x - nx, this.middle[1] + y - ny];
  }

  /** Counts points in pixels and colours these by how many there are, on a logarithmic scale. */
  drawPoints(points, colour) {
    const { context, ratio } = this;
    const frame = this.frame;
    const width = Math.round(frame.width * ratio);
    const height = Math.round(frame.height * ratio);
    const counts = new Uint16Array(width * height);
    const block = Math.max(1, Math.round(ratio * (points.length > 100_000 ? 1 : points.length > 20_000 ? 1.6 : 2.6)));
    const [sx, sy] = [this.scale[0] * ratio, this.scale[1] * ratio];
    const ox = width / 2 - this.middle[0] * sx;
    const oy = height / 2 + this.middle[1] * sy;
    let most = 1;
    for (let i = 0; i < points.length; i += 2) {
      const px = (points[i] * sx + ox) | 0;
      const py = (oy - points[i + 1] * sy) | 0;
      if (px < 0 || py < 0 || px + block > width || py + block > height) continue;
      for (let v = 0; v < block; v += 1) {
        for (let u = 0; u < block; u += 1) {
          const count = (counts[(py + v) * width + px + u] += 1);
          if (count > most) most = count;
        }
      }
    }
    const image = new ImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const [r, g, b] = chartRgb(colour);
    const shades = Uint32Array.from({ length: most + 1 }, (_, n) => {
      const alpha = n ? Math.round(255 * (0.3 + (0.7 * Math.log(n)) / Math.max(Math.log(most), 1))) : 0;
      return (alpha << 24) | (b << 16) | (g << 8) | r;
    });
    for (let i = 0; i < counts.length; i += 1) if (counts[i]) words[i] = shades[counts[i]];
    this.layer ??= document.createElement("canvas");
    this.layer.width = width;
    this.layer.height = height;
    this.layer.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(this.layer, Math.round(frame.x * ratio), Math.round(frame.y * ratio));
  }

  begin(colours) {
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colours.page;
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** From here on in CSS pixels, and only within the axes. */
  clip() {
    const { context, ratio } = this;
    const frame = this.frame;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.save();
    context.beginPath();
    context.rect(frame.x, frame.y, frame.width, frame.height);
    context.clip();
  }

  line(points, style, dash = [], width = 1.5) {
    const { context } = this;
    context.beginPath();
    points.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](...this.toPixel(x, y)));
    this.stroke(style, dash, width);
  }

  segments(segments, style, width = 1.5) {
    const { context } = this;
    context.beginPath();
    for (const [x1, y1, x2, y2] of segments) {
      context.moveTo(...this.toPixel(x1, y1));
      context.lineTo(...this.toPixel(x2, y2));
    }
    this.stroke(style, [], width);
  }

  stroke(style, dash, width) {
    const { context } = this;
    context.strokeStyle = style;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.stroke();
    context.setLineDash([]);
  }

  /** Frame, ticks and titles. */
  axes(labels, colours) {
    const { context } = this;
    context.restore();
    const frame = this.frame;
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.strokeRect(frame.x, frame.y, frame.width, frame.height);
    context.fillStyle = colours.quiet;
    context.font = "12px system-ui, sans-serif";
    const [low, high] = [this.toPlane(frame.x, frame.y + frame.height), this.toPlane(frame.x + frame.width, frame.y)];
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const tick of chartTicks(low[0], high[0], frame.width / 70)) {
      const [px] = this.toPixel(tick.at, 0);
      context.fillRect(px, frame.y + frame.height, 1, 4);
      context.fillText(tick.text, px, frame.y + frame.height + 6);
    }
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const tick of chartTicks(low[1], high[1], frame.height / 50)) {
      const [, py] = this.toPixel(0, tick.at);
      context.fillRect(frame.x - 4, py, 4, 1);
      context.fillText(tick.text, frame.x - 6, py);
    }
    context.fillStyle = colours.text;
    context.textAlign = "center";
    context.textBaseline = "bottom";
    context.fillText(labels[0], frame.x + frame.width / 2, this.height - 2);
    context.save();
    context.translate(10, frame.y + frame.height / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "middle";
    context.fillText(labels[1], 0, 0);
    context.restore();
  }
}

function chartTicks(low, high, most) {
  const rough = (high - low) / Math.max(2, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= rough);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) {
    ticks.push({ at: i * step, text: (i * step).toFixed(decimals).replace("-", i ? "−" : "") });
  }
  return ticks;
}

function chartRgb(colour) {
  const digits = colour.replace("#", "");
  return [0, 2, 4].map((i) => parseInt(digits.slice(i, i + 2), 16));
}
