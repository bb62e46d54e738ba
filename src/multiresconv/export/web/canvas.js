/** Sharp canvases that follow the width of the page and its colours. */

/** Call `draw(context, width, height)`, in CSS pixels, on the next frame after `redraw`, a resize or a new colour scheme. */
export class Surface {
  constructor(canvas, height, draw) {
    this.canvas = canvas;
    this.draw = draw;
    this.waiting = false;
    this.resize(height);
    new ResizeObserver(() => this.redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  resize(height) {
    this.height = height;
    this.canvas.style.height = `${height}px`;
    this.redraw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      const { canvas, height } = this, width = canvas.clientWidth, scale = devicePixelRatio || 1;
      if (!width) return;
      if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
      }
      const context = canvas.getContext("2d");
      context.setTransform(scale, 0, 0, scale, 0, 0);
      context.clearRect(0, 0, width, height);
      this.draw(context, width, height);
    });
  }
}

/** Return the value of a CSS variable of the page, for example colour("--ink"). */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Return the CSS variable of the colour of name number i. */
export function hue(i) {
  return `--hue-${i % 10}`;
}
