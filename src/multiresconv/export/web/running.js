/** `Running`: the answers after each step of a sequence, as they arrive. */

import { probabilities } from "./model.js";

export class Running {
  /** `whole` is true for a model that answers once, at the end. */
  constructor(output, length, whole) {
    this.output = output;
    this.length = length;
    this.whole = whole;
    this.known = 0;
    this.parts = [];
    this.width = 0;
  }

  /** Add the outputs of the next steps; `steps` is their number. */
  push(data, steps) {
    this.width = data.length / (this.whole ? 1 : steps);
    this.parts.push({ start: this.known, data });
    this.known += steps;
  }

  /** Return the outputs after a number of steps (from 1), or null if they are not there (yet). */
  outputs(steps) {
    if (steps < 1 || steps > this.known || (this.whole && steps < this.length)) return null;
    if (this.whole) return this.parts[0].data;
    let low = 0, high = this.parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.parts[middle].start < steps) low = middle;
      else high = middle - 1;
    }
    const { start, data } = this.parts[low], at = (steps - 1 - start) * this.width;
    return data.subarray(at, at + this.width);
  }

  /** Return a number for each name after a number of steps: probability, value, or middle of the next forecast value. */
  values(steps) {
    const found = this.outputs(steps), { kind, names, quantiles = [] } = this.output;
    if (!found) return null;
    if (kind === "class" || kind === "labels") return probabilities(found, kind);
    if (kind === "value") return Array.from(found);
    const levels = Math.max(1, quantiles.length);
    return names.map((_, i) => found[i * levels + (levels >> 1)]);
  }

  /** Return the forecast of channel `i` after a number of steps: a list for each quantile, or null. */
  forecast(steps, i) {
    const found = this.outputs(steps), { names, quantiles = [], horizon } = this.output;
    if (!found) return null;
    const levels = Math.max(1, quantiles.length), step = names.length * levels;
    return Array.from({ length: levels }, (_, q) =>
      Array.from({ length: horizon }, (_, h) => found[h * step + i * levels + q]),
    );
  }
}
