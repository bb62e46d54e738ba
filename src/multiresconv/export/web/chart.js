/** `Chart`: the running answer as a line for each name. */

import { Surface, colour, hue } from "./canvas.js";
import { element } from "./dom.js";

const HEIGHT = 190;
const EDGE = { top: 10, bottom: 8 };

export class Chart {
  /** `margin` is the space for the labels on the left, in CSS pixels. */
  constructor(margin) {
    this.margin = margin;
    this.canvas = element("canvas", { role: "img", "aria-label": "The running answer of each name over time" });
    this.running = null;
    this.surface = new Surface(this.canvas, HEIGHT, (...place) => this.draw(...place));
  }

  /** Show the answers up to `position`, where the width of the chart covers the steps from `from` to `to`. */
  show(running, position, from, to) {
    Object.assign(this, { running, position, from, to });
    this.surface.redraw();
  }

  draw(context, width, height) {
    if (!this.running) return;
    const { running, position, margin, from, to } = this, { kind, names } = running.output;
    const points = this.points(width);
    const [low, high] = kind === "value" ? range(points) : [0, 1];
    const x = (step) => margin + ((step - from) / (to - from)) * (width - margin - 2);
    const y = (value) => height - EDGE.bottom - ((value - low) / (high - low)) * (height - EDGE.top - EDGE.bottom);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    for (const value of [low, (low + high) / 2, high]) {
      context.strokeStyle = colour("--line");
      line(context, [[margin, y(value)], [width, y(value)]]);
      context.fillStyle = colour("--faint");
      const text = kind === "value" ? shortened(value) : `${value * 100} %`;
      context.fillText(text, 0, Math.min(Math.max(y(value), 7), height - 7));
    }
    const now = points.at(-1)?.values ?? [];
    const leader = kind === "value" ? -1 : now.indexOf(Math.max(...now));
    const order = names.map((_, i) => i).sort((a, b) => (a === leader) - (b === leader));
    for (const i of order) {
      context.strokeStyle = colour(hue(i));
      context.lineWidth = i === leader ? 3 : 1.5;
      context.globalAlpha = i === leader || names.length <= 6 ? 1 : 0.55;
      line(context, points.map(({ step, values }) => [x(step), y(values[i])]));
    }
    context.globalAlpha = 1;
    if (position > from) {
      context.strokeStyle = colour("--ink");
      context.lineWidth = 1;
      line(context, [[x(position), 0], [x(position), height]]);
    }
  }

  /** Return the answers in the window, at most two for each pixel. */
  points(width) {
    const first = Math.max(1, Math.ceil(this.from)), end = Math.min(this.position, this.running.known);
    const every = Math.max(1, Math.floor((end - first) / (2 * width)));
    const found = [];
    for (let step = first; step < end; step += every) found.push({ step, values: this.running.values(step) });
    if (end >= first) found.push({ step: end, values: this.running.values(end) });
    return found.filter(({ values }) => values);
  }
}

/** Draw a line through points. */
export function line(context, points) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
}

/** Write a number with three digits. */
export function shortened(value) {
  return String(Number(value.toPrecision(3)));
}

function range(points) {
  const values = points.flatMap((point) => point.values);
  if (!values.length) return [0, 1];
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}
