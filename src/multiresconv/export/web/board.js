/** `Board`: a canvas to draw on with mouse, pen or finger, white on black. */

import { element } from "./dom.js";

export const SIZE = 280;
const PEN = 22; // about the width of MNIST's strokes

export class Board {
  /** `onStroke(ink)` gets SIZE * SIZE levels after each stroke. */
  constructor(onStroke) {
    this.canvas = element("canvas", {
      className: "board",
      width: SIZE,
      height: SIZE,
      role: "img",
      "aria-label": "Drawing area for mouse, pen or finger; the buttons below give an example or open a picture instead",
    });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(this.context, { lineCap: "round", lineJoin: "round", lineWidth: PEN, strokeStyle: "white" });
    this.onStroke = onStroke;
    this.pointer = null;
    this.clear();
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, (event) => this.up(event));
  }

  clear() {
    this.context.fillStyle = "black";
    this.context.fillRect(0, 0, SIZE, SIZE);
  }

  /** Show a picture of levels instead of a drawing. */
  show(levels, side) {
    this.context.fillStyle = "black";
    this.context.fillRect(0, 0, SIZE, SIZE);
    const cell = SIZE / side;
    levels.forEach((level, i) => {
      this.context.fillStyle = `rgb(${level} ${level} ${level})`;
      this.context.fillRect((i % side) * cell, Math.floor(i / side) * cell, cell, cell);
    });
  }

  down(event) {
    if (event.button > 0 || this.pointer !== null) return;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.onDown?.();
    this.place = this.at(event);
    this.to(this.place);
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    const places = event.getCoalescedEvents?.() ?? [];
    for (const one of places.length ? places : [event]) this.to(this.at(one));
  }

  up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    const { data } = this.context.getImageData(0, 0, SIZE, SIZE);
    this.onStroke(Uint8Array.from({ length: SIZE * SIZE }, (_, i) => data[4 * i]));
  }

  at(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * SIZE, ((event.clientY - top) / width) * SIZE];
  }

  to(place) {
    this.context.beginPath();
    this.context.moveTo(...this.place);
    this.context.lineTo(...place);
    this.context.stroke();
    this.place = place;
  }
}
